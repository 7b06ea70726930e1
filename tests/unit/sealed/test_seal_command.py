"""``sealroom seal`` and ``sealroom unseal`` as a person and a script use them, a real broker included."""

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from sealed_world import FILES, write_files

from sealroom.sealed.stores import open_package

POLICY = """
policy = 1
name = "release"
[trust]
tees = ["snp"]
freshness = "nonce"
[snp]
measurement = ["{measurement}"]
[unchecked]
minimum_tcb = "nothing is released in these tests"
""".format(measurement="ab" * 48)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a model in it, which commands run in."""
    write_files(tmp_path / "Tiny Model", FILES)
    return tmp_path


def sealroom(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SEALROOM_")}
    return subprocess.run(
        [sys.executable, "-m", "sealroom", *words], cwd=place, env=environment | {"HOME": str(place)},
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip


def result(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert isinstance(facts, dict)
    return facts


def refusal(done: subprocess.CompletedProcess[str]) -> tuple[int, str]:
    """Exit status and code; the same code on stderr for a person."""
    code = json.loads(done.stdout)["error"]["code"]
    assert f"({code})" in done.stderr
    return done.returncode, code


def test_a_model_sealed_into_a_key_file_opens_with_it_and_comes_back(place: Path) -> None:
    sealed = result(sealroom(place, "seal", "Tiny Model", "--key-file", "key.json", "--json"))
    assert (sealed["name"], sealed["version"], sealed["path"]) == ("Tiny-Model", 1, "Tiny-Model-v1.sealed")
    assert stat.S_IMODE((place / "key.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((place / ".config/sealroom/publisher.pem").stat().st_mode) == 0o600
    words = ("unseal", "Tiny-Model-v1.sealed", "--key-file", "key.json", "--json")
    checked = result(sealroom(place, *words, "--publisher", str(sealed["publisher"])))
    assert (checked["publisher_pinned"], checked["model_digest"]) == (True, sealed["model_digest"])
    assert refusal(sealroom(place, *words, "--output", "out")) == (2, "seal.plaintext-to-disk")
    done = sealroom(place, *words, "--output", "out", "--insecure-write-plaintext")
    assert result(done)["output"] == "out"
    assert "PLAINTEXT" in done.stderr
    assert "no --publisher was given" in done.stderr
    out = place / "out"
    assert {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()} == FILES


def test_a_second_version_of_the_same_publisher_needs_another_key_file(place: Path) -> None:
    one = result(sealroom(place, "seal", "Tiny Model", "--key-file", "key.json", "--json"))
    again = ("seal", "Tiny Model", "--version", "2", "--json", "--key-file")
    assert refusal(sealroom(place, *again, "key.json")) == (2, "sealed.key-file-exists")
    two = result(sealroom(place, *again, "key2.json"))
    assert one["publisher"] == two["publisher"]
    assert one["model_digest"] == two["model_digest"]
    wrong = sealroom(place, "unseal", str(two["path"]), "--key-file", "key.json", "--json")
    assert refusal(wrong) == (4, "sealed.wrong-key")


def test_a_model_sealed_to_a_recipient_opens_with_the_recipient_s_key(place: Path) -> None:
    key = X25519PrivateKey.generate()
    (place / "r.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (place / "r.pub").write_bytes(public)
    result(sealroom(place, "seal", "Tiny Model", "--recipient", "r.pub", "--output", "s", "--json"))
    result(sealroom(place, "unseal", "s", "--recipient-key", "r.pem", "--json"))


@pytest.mark.parametrize(("words", "code"), [
    (["seal", "Tiny Model"], "seal.no-keeper"),
    (["seal", "Tiny Model", "--broker", "http://127.0.0.1:1"], "seal.broker-options"),
    (["seal", "nowhere", "--key-file", "k"], "sealed.no-access"),
    (["seal", "Tiny Model", "--key-file", "k", "--name", "a/b"], "sealed.bad-name"),
    (["seal", "Tiny Model", "--key-file", "k", "--output", "Tiny Model/s"], "sealed.target-inside-source"),
    (["unseal", "nowhere", "--key-file", "k"], "sealed.no-access"),
])  # fmt: skip
def test_a_mistake_is_told_and_nothing_is_left_of_it(place: Path, words: list[str], code: str) -> None:
    assert refusal(sealroom(place, *words, "--json")) == (2, code)
    assert {path.name for path in place.iterdir()} <= {"Tiny Model", ".config"}
    assert {path.name for path in (place / "Tiny Model").iterdir()} == {path.split("/")[0] for path in FILES}


def test_the_key_goes_to_the_broker_under_the_name_that_the_package_carries(place: Path) -> None:
    (place / "policy.toml").write_text(POLICY)
    with running_broker(place) as (url, token):
        words = ("seal", "Tiny Model", "--broker", url, "--policy", "policy.toml", "--admin-token", token, "--json")
        sealed = result(sealroom(place, *words))
        package = open_package(place / str(sealed["path"]), publisher=None)
        assert sealed["resource"] == package.key_resource
        listed = sealroom(place, "broker", "keys", "--state", "broker", "--json")
        assert str(sealed["resource"]) in listed.stdout
        older = sealroom(place, *words, "--version", "3")
        assert result(older)["version"] == 3
        below = sealroom(place, *words, "--version", "2")
        assert refusal(below) == (1, "broker.version-below-floor")
    assert {path.name for path in place.iterdir() if "sealed" in path.name} == {
        "Tiny-Model-v1.sealed",
        "Tiny-Model-v3.sealed",
    }


def test_a_refusal_by_the_broker_undoes_the_sealing_and_the_key_file(place: Path) -> None:
    (place / "policy.toml").write_text(POLICY)
    (place / "token").write_text("0" * 64)
    (place / "token").chmod(0o600)
    with running_broker(place) as (url, _token):
        done = sealroom(place, "seal", "Tiny Model", "--broker", url, "--policy", "policy.toml", "--admin-token",
                        "token", "--key-file", "key.json", "--json")  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert not (place / "key.json").exists()
    assert not [path for path in place.iterdir() if "sealed" in path.name]


def test_a_policy_that_does_not_load_is_told_before_anything_is_sealed(place: Path) -> None:
    (place / "policy.toml").write_text("policy = 1")
    (place / "token").write_text("0" * 64)
    (place / "token").chmod(0o600)
    done = sealroom(place, "seal", "Tiny Model", "--broker", "http://127.0.0.1:1", "--policy", "policy.toml",
                    "--admin-token", "token", "--json")  # fmt: skip
    status, code = refusal(done)
    assert (status, code.split(".")[0]) == (3, "policy")
    assert "sealing" not in done.stderr


@contextlib.contextmanager
def running_broker(place: Path) -> Iterator[tuple[str, str]]:
    """A broker in a process of its own: its address, and the file of its admin token."""
    options = ("--state", str(place / "broker"), "--port", "0", "--json")
    command = [sys.executable, "-m", "sealroom", "broker", "run", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            yield ready["url"], ready["admin_token_file"]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=20)
