"""A publisher makes reference files by command, signers sign one after the other, and a policy says what counts."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sealroom.cli.main import _run

_AT = "2026-11-23T12:00:00Z"
_NEW = "02" * 48
_VALUES = f"""\
name = "images"
publisher = "the release team"
for = "nitro"
serial = 7
until = 2126-12-31T00:00:00Z
reason = "release 2.1"

[values]
pcr0 = ["{_NEW}"]
"""


@dataclass(frozen=True)
class Press:
    """A folder with two signers' keys, what is to be released, and a policy that asks for both."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    def run(self, *words: str | Path) -> tuple[int, str, str]:
        status = _run([str(word) for word in words])
        return status, *self.capsys.readouterr()

    def sign(self, values: str = _VALUES, *words: str, name: str = "values.toml") -> tuple[int, str, str]:
        (self.folder / name).write_text(values)
        return self.run("policy", "references", "sign", self.folder / name, "--key", self.folder / "a.pem",
                        "--output", self.file, "--at", _AT, *words)  # fmt: skip

    @property
    def file(self) -> Path:
        return self.folder / "policy.references" / "images.json"

    def show(self) -> dict[str, Any]:
        return json.loads(self.run("policy", "references", "show", self.file, "--json")[1])


@pytest.fixture
def press(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Press:
    for name, curve in (("a.pem", ec.SECP256R1()), ("b.pem", ec.SECP384R1())):
        key = ec.generate_private_key(curve)
        (tmp_path / name).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "policy.references").mkdir()
    return Press(tmp_path, capsys)


def _policy(press: Press, *, minimum_serial: int = 0) -> Path:
    """Written once both have signed, with the signers that `references show` tells."""
    signers = ", ".join(f'"{one["signer"]}"' for one in press.show()["signers"])
    path = press.folder / "policy.toml"
    path.write_text('policy = 1\nname = "p"\n[trust]\ntees = ["nitro"]\n[nitro]\n[[reference_files]]\n'
                    f'name = "images"\nfor = "nitro"\nkeys = ["pcr0"]\nsigners = [{signers}]\nthreshold = 2\n'
                    f"minimum_serial = {minimum_serial}\n")  # fmt: skip
    return path


def test_two_signers_make_a_file_that_a_policy_accepts_and_explains(press: Press) -> None:
    status, out, _ = press.sign()
    assert status == 0
    assert out.startswith("images, serial 7, for [nitro], of the release team")

    assert press.run("policy", "references", "cosign", press.file, "--key", press.folder / "b.pem")[0] == 0
    shown = press.show()
    assert shown["values"] == {"pcr0": [_NEW]}
    assert (shown["issued"], shown["until"]) == ("2026-11-23T12:00:00+00:00", "2126-12-31T00:00:00+00:00")
    assert [one["holds"] for one in shown["signers"]] == [True, True]

    status, out, _ = press.run("policy", "explain", _policy(press))
    assert status == 0
    for words in ("images, serial 7", "signed by 2 of 2", "release 2.1", f"accepts pcr0 {_NEW}"):
        assert words in out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("minimum_serial", "serial 7, and the policy asks for 8 or later"),
        ("signature", "1 of the signatures count, and 2 are asked for"),
        ("expired", "it counts before 2026-11-23T12:00:01+00:00, and it is 20"),
    ],
)
def test_a_policy_explains_why_a_file_does_not_count(press: Press, change: str, words: str) -> None:
    ends = "2026-11-23T12:00:01Z" if change == "expired" else "2126-12-31T00:00:00Z"
    assert press.sign(_VALUES.replace("2126-12-31T00:00:00Z", ends))[0] == 0
    assert press.run("policy", "references", "cosign", press.file, "--key", press.folder / "b.pem")[0] == 0
    policy = _policy(press, minimum_serial=8 if change == "minimum_serial" else 0)
    if change == "signature":
        document = json.loads(press.file.read_bytes())
        press.file.write_text(json.dumps({**document, "signatures": document["signatures"][:1]}))

    status, out, _ = press.run("policy", "explain", policy)
    assert status == 0
    assert words in out
    assert f"accepts pcr0 {_NEW}" not in out


def test_the_same_in_json_is_the_same(press: Press) -> None:
    document = {"name": "images", "publisher": "p", "for": "nitro", "serial": 7, "until": "2126-12-31T00:00:00Z",
                "from": "2027-01-01T00:00:00+01:00", "values": {"pcr0": [_NEW]}}  # fmt: skip
    assert press.sign(json.dumps(document), name="values.json")[0] == 0
    assert press.show()["from"] == "2026-12-31T23:00:00+00:00"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("serial = 7", "", "reference.member-missing"),
        ("serial = 7", "serial = -7", "reference.serial"),
        ("serial = 7", "serial = 7\nmore = 1", "reference.unknown-member"),
        ('for = "nitro"', 'for = "everything"', "reference.table"),
        ("2126-12-31T00:00:00Z", "2126-12-31", "reference.time"),
        ("2126-12-31T00:00:00Z", "2126-12-31T00:00:00", "reference.time"),
        ("2126-12-31T00:00:00Z", '"soon"', "reference.time"),
        ("2126-12-31T00:00:00Z", "2026-11-23T12:00:00Z", "reference.time"),
        ("reason", "from = 2127-01-01T00:00:00Z\nreason", "reference.time"),
        (_NEW, "02", "reference.values"),
        ("pcr0", "pcr77", "reference.values"),
        ("[values]", "[values", "reference.source"),
        (_VALUES, "", "reference.source"),
        (_VALUES, "{}", "reference.source"),
        ("release 2.1", "release\\u001b[31m", "reference.text"),
    ],
)
def test_one_thing_wrong_is_told_and_nothing_is_signed(press: Press, old: str, new: str, code: str) -> None:
    status, _, err = press.sign(_VALUES.replace(old, new))

    assert status == 3
    assert f"({code})" in err
    assert not press.file.exists()


def test_a_file_takes_the_place_of_an_older_one_only(press: Press) -> None:
    assert press.sign()[0] == 0
    for again in (_VALUES, _VALUES.replace("serial = 7", "serial = 6"),
                  _VALUES.replace("serial = 7", "serial = 8").replace('"images"', '"others"')):  # fmt: skip
        status, _, err = press.sign(again)
        assert (status, "(reference.serial-not-newer)" in err) == (2, True)
    assert press.sign(_VALUES.replace("serial = 7", "serial = 8"))[0] == 0
    press.file.write_text("something else")
    assert press.sign(_VALUES.replace("serial = 7", "serial = 9"))[0] == 2
    assert press.file.read_text() == "something else"


def test_a_signer_signs_once(press: Press) -> None:
    assert press.sign()[0] == 0
    status, _, err = press.run("policy", "references", "cosign", press.file, "--key", press.folder / "a.pem")
    assert (status, "(reference.signer-twice)" in err) == (3, True)
    assert press.run("policy", "references", "cosign", "-", "--key", press.folder / "a.pem")[0] == 2


def test_a_signature_of_something_else_shows_and_is_no_success(press: Press) -> None:
    assert press.sign()[0] == 0
    honest = json.loads(press.file.read_bytes())
    assert press.sign(_VALUES.replace("serial = 7", "serial = 8"))[0] == 0
    newer = json.loads(press.file.read_bytes())
    press.file.write_text(json.dumps({"payload": newer["payload"], "signatures": honest["signatures"]}))

    status, out, _ = press.run("policy", "references", "show", press.file)
    assert status == 4
    assert "THE SIGNATURE DOES NOT HOLD" in out


def test_a_key_that_can_not_sign_is_refused(press: Press) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    (press.folder / "a.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert press.sign()[0] == 2
    assert not press.file.exists()


def test_a_file_that_can_not_be_written_is_told(press: Press) -> None:
    (press.folder / "policy.references").rmdir()
    assert press.sign()[0] == 5


def test_a_file_beside_a_policy_that_is_none_is_named(press: Press) -> None:
    assert press.sign()[0] == 0
    assert press.run("policy", "references", "cosign", press.file, "--key", press.folder / "b.pem")[0] == 0
    policy, second = _policy(press), press.file.with_name("second.json")

    second.write_text("no file of anybody")
    status, _, err = press.run("policy", "explain", policy)
    assert (status, "(reference.token)" in err, str(second) in err) == (3, True, True)
    second.write_bytes(press.file.read_bytes())
    status, _, err = press.run("verify", "nothing", "--policy", policy)
    assert (status, "(reference.given-twice)" in err, str(second) in err) == (2, True, True)
    second.unlink()
    second.mkdir()
    status, _, err = press.run("policy", "check", policy)
    assert (status, "(client.no-reference-file)" in err, str(second) in err) == (2, True, True)


def test_inspect_shows_what_a_file_holds_and_believes_nothing_of_it(press: Press) -> None:
    assert press.sign()[0] == 0
    status, out, _ = press.run("inspect", press.file)
    assert status == 0
    assert out.startswith("reference file (nothing here is verified)")
    for words in (_NEW, "release 2.1", "serial: 7", press.show()["signers"][0]["signer"]):
        assert words in out
