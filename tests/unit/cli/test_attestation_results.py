"""A verdict goes out as an attestation result and comes back as one, on the command line."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from sealroom.cli.main import _run
from sealroom.testing.snp import SimulatedSnp, SnpPlatform

_AT = "2026-11-23T12:00:00Z"
_NONCE = "0b" * 16


@dataclass(frozen=True)
class Office:
    """A report of a simulated machine, a policy that accepts it, and a verifier's key."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    def run(self, *words: str | Path) -> tuple[int, str, str]:
        status = _run([str(word) for word in words])
        return status, *self.capsys.readouterr()

    def issue(self, *words: str | Path, policy: str = "policy.toml") -> int:
        return self.run("verify", self.folder / "report.bin", "--collateral", self.folder / "stapled", "--policy",
                        self.folder / policy, "--at", _AT, "--ear", self.folder / "ear", "--ear-key",
                        self.folder / "key.pem", *words)[0]  # fmt: skip

    def read(self, *words: str | Path, key: str = "public.pem") -> tuple[int, str, str]:
        return self.run("result", self.folder / "ear", "--issuer-key", self.folder / key, "--at", _AT, *words)


def _pem(key: Any, password: bytes | None = None) -> bytes:
    hidden = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden)


def _keys(office: Office, key: Any) -> None:
    spki = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (office.folder / "key.pem").write_bytes(_pem(key))
    (office.folder / "public.pem").write_bytes(spki)


@pytest.fixture(scope="module")
def platform() -> SnpPlatform:
    return SnpPlatform.create()


@pytest.fixture
def office(tmp_path: Path, platform: SnpPlatform, capsys: pytest.CaptureFixture[str]) -> Office:
    collected = SimulatedSnp(platform=platform, measurement=b"\x4d" * 48).collect(b"\x42" * 64)
    (tmp_path / "report.bin").write_bytes(collected.raw)
    (tmp_path / "stapled").mkdir()
    for name, value in collected.collateral.items.items():
        (tmp_path / "stapled" / name).write_bytes(value)
    floor = "\n".join(f"{part} = {level}" for part, level in platform.tcb.items())
    for name, measurement in (("policy.toml", "4d"), ("other.toml", "4e")):
        (tmp_path / name).write_text(
            f'policy = 1\nname = "desk"\n[trust]\ntees = ["snp"]\n'
            f'insecure_simulated = ["sha256:{platform.root_fingerprint.hex()}"]\n'
            f'[snp]\nmeasurement = ["{measurement * 48}"]\nallow = ["smt"]\n[snp.minimum_tcb.Genoa]\n{floor}\n'
            '[unchecked]\nreport_data = "of a file"\nmodel = "x"\nengine = "x"\ninit_data = "x"\nfreshness = "x"\n'
        )
    found = Office(tmp_path, capsys)
    _keys(found, ec.generate_private_key(ec.SECP256R1()))
    return found


@pytest.mark.parametrize("words", [[], ["--ear-for", "veraison"], ["--ear-for", "trustee"], ["--ear-form", "cbor"]])
@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_a_verdict_goes_out_and_comes_back(office: Office, words: list[str], curve: ec.EllipticCurve) -> None:
    _keys(office, ec.generate_private_key(curve))

    assert office.issue("--ear-nonce", _NONCE, "--ear-issuer", "https://us.example", *words) == 0

    # what is simulated is contraindicated, though the policy accepts it
    status, out, _ = office.read("--json", "--nonce", _NONCE, "--issuer", "https://us.example")
    found = json.loads(out)
    assert (status, found["accepted"], found["status"]) == (1, False, "contraindicated")
    assert found["attesters"][0]["label"] == "cpu0"
    assert found["attesters"][0]["vector"]["hardware"] == 96
    assert found["attesters"][0]["refusals"] == []
    assert found["expires_at"] == "2026-11-23T13:00:00+00:00"
    assert office.read("--least", "contraindicated")[0] == 0


@pytest.mark.parametrize("form", ["jwt", "cbor"])
def test_a_refusal_is_a_result_too_and_stays_exit_status_1(office: Office, form: str) -> None:
    assert office.issue("--ear-form", form, policy="other.toml") == 1

    status, out, _ = office.read()
    assert status == 1
    assert out.startswith("REFUSED, affirming is asked for: contraindicated, by Sealroom")
    assert "refused: snp.measurement-not-accepted" in out


def test_what_is_not_authentic_is_no_verdict_and_no_result(office: Office) -> None:
    raw = bytearray((office.folder / "report.bin").read_bytes())
    raw[0x50] ^= 1
    (office.folder / "report.bin").write_bytes(raw)

    assert office.issue() == 4
    assert not (office.folder / "ear").exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--nonce", "0c" * 16], "ear.nonce"),
        (["--issuer", "https://other.example"], "ear.issuer"),
        (["--audience", "us"], "ear.audience"),
        (["--attester", "gpu0"], "ear.attester-missing"),
        (["--policy", "another"], "ear.policy"),
        (["--at", "2026-11-23T13:00:00Z"], "ear.expired"),
        (["--at", "2026-11-23T11:58:59Z"], "ear.not-yet-valid"),
        (["--at", "2026-11-23T12:01:01Z", "--max-minutes", "1"], "ear.too-old"),
    ],
)
def test_what_a_relying_party_asks_and_does_not_get_is_unverified(
    office: Office, words: list[str], code: str
) -> None:
    assert office.issue("--ear-nonce", _NONCE, "--ear-issuer", "https://us.example") == 0

    status, _, err = office.read(*words)
    assert status == 4
    assert f"({code})" in err


def test_another_key_is_unverified_and_a_private_one_is_not_what_readers_are_given(office: Office) -> None:
    assert office.issue() == 0
    assert office.read(key="key.pem")[0] == 3

    _keys(office, ec.generate_private_key(ec.SECP256R1()))
    status, _, err = office.read()
    assert (status, "(ear.token-signature)" in err) == (4, True)


def test_a_key_set_serves_as_well_as_a_key_and_an_empty_one_verifies_nothing(office: Office) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    _keys(office, key)
    assert office.issue() == 0
    numbers = key.public_key().public_numbers()
    x, y = (base64.urlsafe_b64encode(one.to_bytes(32, "big")).rstrip(b"=").decode() for one in (numbers.x, numbers.y))
    jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
    for document, status in (({"keys": [jwk]}, 0), (jwk, 0), ({"keys": []}, 4)):
        (office.folder / "set.json").write_text(json.dumps(document))
        assert office.read("--least", "contraindicated", key="set.json")[0] == status


def test_a_key_that_can_not_sign_is_refused_before_anything_is_judged(office: Office) -> None:
    others = (ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP521R1()),
              rsa.generate_private_key(public_exponent=65537, key_size=2048))  # fmt: skip
    locked = _pem(ec.generate_private_key(ec.SECP256R1()), b"a password")
    for raw in (b"", b"nonsense", (office.folder / "public.pem").read_bytes(), locked, *map(_pem, others)):
        (office.folder / "key.pem").write_bytes(raw)
        assert office.issue() == 2
        assert not (office.folder / "ear").exists()
    (office.folder / "key.pem").unlink()
    assert office.issue() == 2


@pytest.mark.parametrize(
    "words",
    [["--ear", "x"], ["--ear-key", "key.pem"], ["--ear-nonce", _NONCE], ["--ear-issuer", "x"]],
)
def test_half_an_order_is_a_mistake_and_not_a_silence(office: Office, words: list[str]) -> None:
    assert office.run("verify", office.folder / "report.bin", *words)[0] == 2


@pytest.mark.parametrize(
    "words",
    [["--ear-form", "cbor", "--ear-for", "trustee"], ["--ear-minutes", "0"], ["--ear-nonce", "0b"],
     ["--event-log", "log.bin"]],
)  # fmt: skip
def test_options_that_do_not_go_together_are_a_mistake(office: Office, words: list[str]) -> None:
    assert office.issue(*words) == 2
    assert not (office.folder / "ear").exists()


def test_a_result_that_can_not_be_written_is_told(office: Office) -> None:
    (office.folder / "ear").mkdir()
    assert office.issue() == 5


def test_what_a_stranger_wrote_reaches_no_terminal_as_a_control_character(office: Office) -> None:
    assert office.issue("--ear-issuer", "a\x1b[31mb") == 0
    out = office.read()[1]
    assert "\x1b" not in out
    assert r"a\x1b[31mb" in out


@pytest.mark.parametrize(
    ("form", "kind"), [("jwt", "JWS (JWT), compact"), ("cbor", "attestation result (EAR), CBOR")]
)
def test_inspect_shows_a_result_and_believes_nothing_of_it(office: Office, form: str, kind: str) -> None:
    assert office.issue("--ear-form", form, "--ear-issuer", "https://us.example") == 0

    status, out, _ = office.run("inspect", office.folder / "ear", "--json")
    found = json.loads(out)
    assert (status, found["kind"], found["verified"]) == (0, kind, False)
    assert "contraindicated" in out
    assert "https://us.example" in out
