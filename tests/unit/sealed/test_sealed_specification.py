"""``spec/sealed-model.md`` is what the code does: its example follows from the text alone, its refusals are made."""

import hashlib
import hmac
import json
import re
from pathlib import Path

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sealed_world import contents

from sealroom.sealed import ModelKey
from sealroom.sealed.stores import open_package, unseal

ROOT = Path(__file__).resolve().parents[3]
SPEC = (ROOT / "spec" / "sealed-model.md").read_text()


def example() -> dict[str, bytes]:
    """The values of section 11."""
    (block,) = re.findall(r"```example\n(.*?)```", SPEC, re.S)
    joined = re.sub(r"\n {10,}", "", block)
    pairs = (line.split("=") for line in joined.splitlines())
    return {name.strip(): bytes.fromhex(value) for name, value in pairs}


def documents() -> list[bytes]:
    """manifest.json, signature.json and wraps.json of section 11."""
    return [text.encode() for text in re.findall(r"```json\n(.*?)\n```", SPEC, re.S)]


def hkdf(salt: bytes, ikm: bytes, info: bytes) -> bytes:
    """RFC 5869 for one block of output."""
    prk = hmac.digest(salt, ikm, "sha256")
    return hmac.digest(prk, info + b"\x01", "sha256")


def test_the_example_follows_from_the_specification_s_words_without_our_code() -> None:
    values = example()
    manifest, signature, wraps = documents()
    parsed = json.loads(manifest)
    identity = {name: parsed[name] for name in
                ("chunk_size", "cipher", "format", "format_version", "name", "package_id", "version")}  # fmt: skip
    identity["files"] = [{"path": file["path"], "size": file["size"]} for file in parsed["files"]]
    digest = hashlib.sha256(rfc8785.dumps(identity)).digest()
    assert digest == values["identity digest"]
    label = b"sealroom-sealed-model-v1 "
    assert hkdf(digest, values["model key"], label + b"key commitment\0") == values["key_commitment"]
    for index, plaintext in enumerate((values["file 0 content"], b"")):
        key = hkdf(digest, values["model key"], label + b"file key\0" + index.to_bytes(4, "big"))
        aad = digest + index.to_bytes(4, "big") + bytes(8) + b"\x01" + len(plaintext).to_bytes(4, "big")
        sealed = AESGCM(key).encrypt(bytes(12), plaintext, aad)
        assert key == values[f"file key {index}"]
        assert (bytes(12), aad) == (values[f"nonce {index}.0"], values[f"aad {index}.0"])
        assert sealed == values[f"data/{index:05d}"] + values[f"tag {index}.0"]
    assert hashlib.sha256(values["tag 0.0"] + values["tag 1.0"]).digest() == values["tag_table"]
    assert hashlib.sha256(rfc8785.dumps(parsed["files"])).digest() == values["model digest"]
    assert hashlib.sha256(manifest).digest() == values["package digest"]
    public_key = bytes.fromhex(json.loads(signature)["public_key"])
    assert (
        public_key == Ed25519PrivateKey.from_private_bytes(values["publisher seed"]).public_key().public_bytes_raw()
    )
    assert hashlib.sha256(public_key).digest() == values["publisher"]
    signed = label + b"manifest\0" + manifest
    Ed25519PublicKey.from_public_bytes(public_key).verify(values["signature"], signed)
    assert json.loads(wraps)["package_digest"] == f"sha256:{values['package digest'].hex()}"


@pytest.fixture
def example_package(tmp_path: Path) -> Path:
    """The example as a package on disk, written from the specification's text."""
    values = example()
    names = ("manifest.json", "signature.json", "wraps.json")
    for name, document in zip(names, documents(), strict=True):
        (tmp_path / name).write_bytes(document)
    (tmp_path / "tags").write_bytes(values["tag 0.0"] + values["tag 1.0"])
    (tmp_path / "data").mkdir()
    for name in ("data/00000", "data/00001"):
        (tmp_path / name).write_bytes(values[name])
    return tmp_path


def test_our_code_opens_the_example(example_package: Path) -> None:
    values = example()
    package = open_package(example_package, publisher=values["publisher"], minimum_version=3)
    assert package.model_digest == values["model digest"]
    assert package.package_digest == values["package digest"]
    assert package.manifest.oms_subject_digest == values["OMS subject digest"]
    assert package.key_resource == "models/tiny/v3-2021222324252627"
    with unseal(package, ModelKey(values["model key"])) as model:
        assert contents(model) == {"config.json": values["file 0 content"], "weights/empty.bin": b""}


def test_every_refusal_that_the_specification_names_is_one_that_the_code_makes() -> None:
    named = set(re.findall(r"`(sealed\.[a-z0-9-]+)`", SPEC))
    sources = "\n".join(path.read_text() for path in (ROOT / "src/sealroom/sealed").rglob("*.py"))
    made = set(re.findall(r"\"(sealed\.[a-z0-9-]+)\"", sources)) | {"sealed.truncated-file", "sealed.oversized-file"}
    assert named - made == set()
    assert len(named) > 25
