"""TDX and SGX quotes as a person meets them: verify, policy derive, inspect."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sealroom.binding import Label, report_data
from sealroom.cli.main import _run
from sealroom.collateral import EvidenceBundle
from sealroom.evidence import Tee
from sealroom.policy import load_policy
from sealroom.statement import RoomStatement
from sealroom.testing.dcap import DcapPlatform, SimulatedSgx, SimulatedTdx

_AT = datetime(2026, 6, 1, tzinfo=UTC)
_TIME = "2026-06-01T00:00:00Z"
_DATA = bytes(range(64))
_SEPT_VE_DISABLE, _DEBUG = 1 << 28, 1


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Desk:
    """A folder with quotes of one simulated machine and their collateral, and the command line."""

    folder: Path
    platform: DcapPlatform
    capsys: pytest.CaptureFixture[str]

    @property
    def root(self) -> str:
        return f"sha256:{self.platform.vendor.root_fingerprint.hex()}"

    def run(self, *words: str | Path) -> Outcome:
        status = _run([str(word) for word in words])
        captured = self.capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    def td(self, name: str = "td.bin", **fields: Any) -> Path:
        return self._write(name, SimulatedTdx(platform=self.platform, mr_td=b"\x4d" * 48, **fields).quote(_DATA))

    def enclave(self, **fields: Any) -> Path:
        guest = SimulatedSgx(platform=self.platform, mr_enclave=b"\xe1" * 32, **fields)
        return self._write("enclave.bin", guest.quote(_DATA))

    def collateral(self, tee: Tee = Tee.TDX, **forms: Any) -> Path:
        folder = self.folder / f"collateral-{tee}"
        folder.mkdir(exist_ok=True)
        for number, raw in enumerate(dict.fromkeys(self.platform.collateral(tee, **forms).values())):
            (folder / f"{number}.dat").write_bytes(raw)
        return folder

    def derive(self, evidence: Path, *words: str | Path) -> Outcome:
        return self.run("policy", "derive", evidence, "--at", _TIME, "--insecure-simulated-root", self.root, *words)

    def save(self, text: str, name: str = "policy.toml") -> Path:
        return self._write(name, text.encode())

    def _write(self, name: str, raw: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(raw)
        return path


@pytest.fixture(scope="module")
def platform() -> DcapPlatform:
    return DcapPlatform.create()


@pytest.fixture
def desk(tmp_path: Path, platform: DcapPlatform, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, platform, capsys)


# verify


@pytest.mark.parametrize(
    ("vector", "at", "status"),
    [
        ("tdx/v5-90c06f-uptodate", "2026-02-04T12:00:00Z", 0),
        ("tdx/v4-00806f05-trailing-zeros", "2025-06-19T12:00:00Z", 1),
        ("tdx/v4-50806f-debug", "2023-06-28T12:00:00Z", 1),
        ("tdx/v5-90c06f-uptodate", "2036-02-04T12:00:00Z", 4),
        ("tdx/v5-90c06f-tcb-not-supported", "2026-02-04T12:00:00Z", 4),
        ("sgx/v3-00606a-swhardening", "2025-08-30T12:00:00Z", 1),
        ("sgx/v3-certtype1", "2025-08-30T12:00:00Z", 4),
    ],
)
def test_recorded_quotes_are_judged_with_nothing_but_their_folder(
    desk: Desk, shared_vectors: Path, vector: str, at: str, status: int
) -> None:
    folder = shared_vectors / vector

    found = desk.run("verify", folder / "quote.bin", "--collateral", folder, "--at", at)
    assert found.status == status, found.out + found.err
    assert "internal." not in found.err


def test_a_simulated_quote_is_unverified_until_its_root_is_named(desk: Desk) -> None:
    words = ("verify", desk.td(), "--collateral", desk.collateral(), "--at", _TIME)

    assert desk.run(*words).status == 4
    policy = desk.save(desk.derive(desk.td(), "--collateral", desk.collateral()).out)
    accepted = desk.run(*words, "--policy", policy)
    assert accepted.status == 0
    assert "SIMULATED" in accepted.out


def test_a_quote_without_collateral_is_unverified_and_says_what_is_missing(desk: Desk, shared_vectors: Path) -> None:
    found = desk.run("verify", shared_vectors / "tdx/v5-90c06f-uptodate/quote.bin", "--at", "2026-02-04T12:00:00Z")

    assert found.status == 4
    assert "collateral.missing" in found.err


@pytest.mark.parametrize(("named", "status"), [("sgx", 3), ("snp", 3), ("tdx", 0), ("nitro", 3)])
def test_a_tee_that_is_named_is_taken_at_its_word(desk: Desk, shared_vectors: Path, named: str, status: int) -> None:
    folder = shared_vectors / "tdx" / "v5-90c06f-uptodate"
    words = ("verify", folder / "quote.bin", "--at", "2026-02-04T12:00:00Z", "--tee", named)

    assert desk.run(*words, *(() if named in {"snp", "nitro"} else ("--collateral", folder))).status == status


@pytest.mark.parametrize(
    "raw", [b"", b"\x04", b"\x04\x00\x02\x00\x81", b"hello", b"\xff" * 2000, b"\x09" + bytes(1183)]
)
def test_what_is_no_evidence_is_malformed(desk: Desk, raw: bytes) -> None:
    found = desk.run("verify", desk.save("").parent / desk._write("thing", raw).name, "--at", _TIME)

    assert found.status == 3
    assert "Traceback" not in found.err


# policy derive


@pytest.mark.parametrize("tee", [Tee.TDX, Tee.SGX])
def test_a_derived_policy_accepts_its_evidence_and_refuses_other_software(desk: Desk, tee: Tee) -> None:
    make, changed = (desk.td, {"rtmr1": b"\x01" * 48}) if tee is Tee.TDX else (desk.enclave, {"isv_prod_id": 9})
    collateral = desk.collateral(tee)
    derived = desk.derive(make(), "--collateral", collateral)
    assert derived.status == 0
    policy = desk.save(derived.out)

    assert desk.run("policy", "check", policy).status == 0
    words = ("--collateral", collateral, "--at", _TIME, "--policy", policy)
    assert desk.run("verify", make(), *words).status == 0
    assert desk.run("verify", make(**changed), *words).status == 1


def test_a_dangerous_fact_is_left_to_decide_and_told_on_stderr(desk: Desk) -> None:
    evidence, collateral = desk.td(td_attributes=_SEPT_VE_DISABLE | _DEBUG), desk.collateral()
    derived = desk.derive(evidence, "--collateral", collateral)

    assert derived.status == 0
    assert "to decide: the evidence says td_debug" in derived.err
    assert "refuses the evidence that it is derived from: tdx.td-debug" in derived.err
    words = ("verify", evidence, "--collateral", collateral, "--at", _TIME, "--policy")
    assert desk.run(*words, desk.save(derived.out)).status == 1
    decided = derived.out.replace('# allow = ["debug"]', 'allow = ["debug"]')
    assert desk.run(*words, desk.save(decided)).status == 0


def test_derived_json_is_one_object(desk: Desk) -> None:
    evidence = desk.td(td_attributes=_SEPT_VE_DISABLE | _DEBUG)
    document = desk.derive(evidence, "--collateral", desk.collateral(), "--json", "--name", "mine").json

    assert set(document) == {"policy", "to_decide", "still_refused"}
    assert document["still_refused"] == ["tdx.td-debug"]
    assert load_policy(document["policy"], source="derived").name == "mine"


def test_nothing_is_derived_from_evidence_that_does_not_verify(desk: Desk) -> None:
    evidence, collateral = desk.td(), desk.collateral()
    forged = bytearray(evidence.read_bytes())
    forged[48 + 136] ^= 1
    without_root = desk.run("policy", "derive", evidence, "--collateral", collateral, "--at", _TIME)
    changed = desk.derive(desk._write("forged.bin", bytes(forged)), "--collateral", collateral)
    bare = desk.derive(evidence)

    for found in (without_root, changed, bare):
        assert found.status == 4
        assert found.out == ""


@pytest.mark.parametrize("root", ["", "00", "sha256:", "sha256:" + "0g" * 32, "ab" * 33])
def test_a_root_that_is_no_digest_is_a_mistake(desk: Desk, root: str) -> None:
    found = desk.run("policy", "derive", desk.td(), "--at", _TIME, "--insecure-simulated-root", root)

    assert found.status == 2


def test_an_event_log_that_leads_to_the_quote_stands_beside_the_registers(desk: Desk, shared_vectors: Path) -> None:
    folder = shared_vectors / "measure" / "ccel-qemu-direct-boot-quote"
    case = json.loads((folder / "vector.json").read_text("utf-8"))
    log = (folder / case["evidence"]).read_bytes()
    registers = {name: bytes.fromhex(value) for name, value in _registers(case).items()}
    evidence = desk.td("logged.bin", **registers)

    found = desk.derive(evidence, "--collateral", desk.collateral(), "--event-log", desk._write("log", log))
    assert found.status == 0, found.err
    assert "#   EV_SEPARATOR" in found.out
    assert load_policy(found.out, source="derived").tdx is not None
    other = desk.derive(desk.td(), "--collateral", desk.collateral(), "--event-log", desk._write("log", log))
    assert other.status == 4
    assert other.out == ""


def _registers(case: dict[str, Any]) -> dict[str, str]:
    fields = case["expect"]["fields"]
    return {name: fields[name] for name in ("rtmr0", "rtmr1", "rtmr2", "rtmr3") if name in fields}


def test_the_policy_of_a_room_needs_no_further_line(desk: Desk) -> None:
    statement = RoomStatement(
        nonce=b"\x0a" * 32, key_configs=b"no list of keys", model_name="SmolLM2", model_version=3,
        model_digest=b"\x11" * 32, package_digest=b"\x22" * 32, engine_name="llama.cpp", engine_version="1",
        engine_config_digest=b"\x33" * 32, sandbox_layers=("landlock",), software_version="0.1.0", created_at=_AT,
        not_after=_AT + timedelta(minutes=30),
    )  # fmt: skip
    raw = statement.encode()
    collected = SimulatedTdx(platform=desk.platform).collect(report_data(Label.ROOM_STATEMENT, raw))
    bundle = desk._write("room.cmw", EvidenceBundle.of(raw, collected).encode())

    derived = desk.derive(bundle)
    assert derived.status == 0, derived.err
    policy = desk.save(derived.out)
    words = ("verify", bundle, "--policy", policy, "--at", _TIME)
    assert desk.run(*words, "--nonce", "0a" * 32).status == 0
    assert desk.run(*words).status == 1, "a recording without its nonce is not fresh"
    assert desk.derive(bundle, "--collateral", desk.collateral()).status == 2
    shown = desk.run("inspect", bundle, "--json").json["content"]["cpu"]
    assert shown["evidence"]["report"]["mr_td"] == "48 bytes of 0x00"
    assert shown["collateral"]["pck_crl"]["issuer"].startswith("Intel SGX PCK")


# inspect


def test_inspect_shows_quotes_as_trees(desk: Desk) -> None:
    td, enclave = desk.run("inspect", desk.td()), desk.run("inspect", desk.enclave())

    assert td.out.startswith("TDX quote, version 4 (nothing here is verified)")
    assert "4d" * 48 not in td.out
    assert "mr_td: 48 bytes of 0x4d" in td.out
    assert "td_attributes: 0x0000000010000000: sept_ve_disable" in td.out
    assert "fmspc: 90c06f000000" in td.out
    assert enclave.out.startswith("SGX quote, version 3")
    assert "Intel SGX PCK Platform CA" in enclave.out


def test_inspect_shows_of_a_quote_without_chain_what_there_is(desk: Desk, shared_vectors: Path) -> None:
    for vector in ("sgx/v3-certtype1", "tdx/neg-v4-b0c06f-uptodate-truncated"):
        found = desk.run("inspect", shared_vectors / vector / "quote.bin")
        assert found.status == 0
        assert "signature: can not be read" in found.out


def test_inspect_reads_or_refuses_every_recorded_quote(desk: Desk, shared_vectors: Path) -> None:
    for path in sorted(shared_vectors.glob("[ts][dg]x/*/quote.bin")):
        assert desk.run("inspect", path).status in {0, 3}, path
