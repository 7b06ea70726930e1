"""Manifest, signature, wraps and key file are strict: one spelling, no unknown field, no silent default."""

import json
from collections.abc import Callable

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from sealed_world import CHUNK, PUBLISHER, World

from sealroom.errors import MalformedError, SealroomError, UnverifiedError
from sealroom.sealed import FileEntry, Manifest, ModelKey
from sealroom.sealed.keys import encode_key_file, parse_key_file
from sealroom.sealed.manifest import parse_manifest
from sealroom.sealed.publisher import verify_manifest
from sealroom.sealed.wraps import parse_wraps

GOOD = Manifest(
    name="tiny",
    version=7,
    package_id=bytes(range(32)),
    chunk_size=CHUNK,
    files=(FileEntry(path="a", size=1, sha256=bytes(32)), FileEntry(path="b/c", size=0, sha256=bytes(32))),
    key_commitment=bytes(32),
    publisher=PUBLISHER.digest,
    tag_table=bytes(32),
)


def edited(**changes: object) -> bytes:
    return rfc8785.dumps(json.loads(GOOD.encode()) | changes)


def file(path: str, size: object = 1, sha256: object = "00" * 32, **more: object) -> dict[str, object]:
    return {"path": path, "size": size, "sha256": sha256} | more


def code_of(raw: bytes) -> str:
    with pytest.raises(MalformedError) as caught:
        parse_manifest(raw)
    return caught.value.code


def test_a_manifest_is_read_as_it_was_written() -> None:
    assert parse_manifest(GOOD.encode()) == GOOD


@pytest.mark.parametrize(("changes", "code"), [
    ({"format": "other"}, "unknown-format"),
    ({"format": None}, "unknown-format"),
    ({"format_version": 2, "novelty": 1}, "unknown-format-version"),
    ({"format_version": True}, "unknown-format-version"),
    ({"format_version": "1"}, "unknown-format-version"),
    ({"novelty": 1}, "unknown-field"),
    ({"files": [file("a", novelty=1)]}, "unknown-field"),
    ({"cipher": "AES-128-GCM"}, "unknown-cipher"),
    ({"cipher": ["AES-256-GCM"]}, "unknown-cipher"),
    ({"chunk_size": 4096}, "malformed-manifest"),
    ({"chunk_size": CHUNK + 1}, "malformed-manifest"),
    ({"chunk_size": "65536"}, "malformed-manifest"),
    ({"chunk_size": True}, "malformed-manifest"),
    ({"name": ""}, "malformed-manifest"),
    ({"name": "../x"}, "malformed-manifest"),
    ({"name": 1}, "malformed-manifest"),
    ({"version": 0}, "malformed-manifest"),
    ({"version": -1}, "malformed-manifest"),
    ({"version": None}, "malformed-manifest"),
    ({"package_id": "00" * 31}, "malformed-manifest"),
    ({"package_id": "AA" * 32}, "malformed-manifest"),
    ({"key_commitment": None}, "malformed-manifest"),
    ({"publisher": "00" * 32}, "malformed-manifest"),
    ({"publisher": "sha256:" + "0g" * 32}, "malformed-manifest"),
    ({"tag_table": 1}, "malformed-manifest"),
    ({"files": []}, "malformed-manifest"),
    ({"files": {}}, "malformed-manifest"),
    ({"files": ["a"]}, "malformed-manifest"),
    ({"files": [{"path": "a", "size": 1}]}, "malformed-manifest"),
    ({"files": [file("a", -1)]}, "malformed-manifest"),
    ({"files": [file("a", (1 << 44) + 1)]}, "malformed-manifest"),
    ({"files": [file("a", 1 << 44)]}, "malformed-manifest"),  # more than 2^24 chunks of 64 KiB
    ({"files": [file("a", sha256="0" * 63)]}, "malformed-manifest"),
    ({"files": [file(1)]}, "malformed-manifest"),  # type: ignore[arg-type]
    ({"files": [file("b"), file("a")]}, "path-order"),
    ({"files": [file("a"), file("a")]}, "path-order"),
    ({"files": [file("A"), file("a")]}, "path-collision"),
    ({"files": [file("STRASSE"), file("stra\u00dfe")]}, "path-collision"),
    ({"files": [file("A"), file("a/b")]}, "path-collision"),
    ({"files": [file("a"), file("a!"), file("a/b")]}, "path-collision"),
])  # fmt: skip
def test_a_manifest_that_is_signed_and_wrong_is_refused(changes: dict[str, object], code: str) -> None:
    assert code_of(edited(**changes)) == f"sealed.{code}"


@pytest.mark.parametrize("member", sorted(json.loads(GOOD.encode())))
def test_a_manifest_without_one_of_its_members_is_refused(member: str) -> None:
    document = json.loads(GOOD.encode())
    del document[member]
    assert code_of(rfc8785.dumps(document)).startswith("sealed.")


@pytest.mark.parametrize("path", [
    "", "/etc/passwd", "..", "../a", "a/../b", "a/..", ".", "./a", "a//b", "a/", "a\x00b", "a\nb", "a\\b", "a\x7f",
    "C:\\x", "x" * 256, "/".join(["x" * 200] * 6), "e\u0301",
])  # fmt: skip
def test_a_path_that_could_leave_its_folder_or_lie_about_itself_is_refused(path: str) -> None:
    assert code_of(edited(files=[file(path)])) == "sealed.unsafe-path"


@pytest.mark.parametrize(
    "path", ["a", "a/b/c", "...", "..a", "modèle.gguf", "模型.safetensors", "a b", "-rf", "x" * 255]
)
def test_a_plain_path_in_any_language_is_taken(path: str) -> None:
    assert parse_manifest(edited(files=[file(path)])).files[0].path == path


@pytest.mark.parametrize("spell", [
    lambda raw: raw + b"\n",
    lambda raw: b" " + raw,
    lambda raw: raw.replace(b'"version":7', b'"version":7.0'),
    lambda raw: raw.replace(b'"version":7', b'"version":7,"version":7'),
    lambda raw: raw.replace(b'"version":7', b'"version":07'),
    lambda raw: raw.replace(b'"version":7', b'"version":NaN'),
    lambda raw: raw.replace(b'"version":7', b'"version":' + b"9" * 5000),
    lambda raw: raw.replace(b'"a"', b'"\\u0061"'),
    lambda raw: raw.replace(b'"a"', b'"\\ud800"'),
    lambda raw: json.dumps(json.loads(raw), indent=1).encode(),
    lambda raw: raw.decode().encode("utf-16"),
    lambda raw: b"\xef\xbb\xbf" + raw,
    lambda raw: b"[" * 100_000,
    lambda raw: b"[]",
    lambda raw: b"null",
    lambda raw: b"",
    lambda raw: b"\xff",
])  # fmt: skip
def test_another_spelling_of_the_same_or_no_json_at_all_is_refused(spell: Callable[[bytes], bytes]) -> None:
    assert code_of(spell(GOOD.encode())) in {"sealed.not-canonical", "sealed.malformed-manifest"}


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_other_bytes_are_refused_in_our_own_words(raw: bytes) -> None:
    key = ModelKey(bytes(32))
    readers: list[Callable[[], object]] = [
        lambda: parse_manifest(raw),
        lambda: verify_manifest(b"", raw, publisher=None),
        lambda: parse_wraps(raw, package_digest=bytes(32)),
        lambda: parse_key_file(raw, package_digest=bytes(32)),
    ]
    for read in readers:
        with pytest.raises(SealroomError):
            read()
    assert key.secret == bytes(32)


@pytest.mark.parametrize(("changes", "code"), [
    ({"algorithm": "none"}, "unknown-algorithm"),
    ({"algorithm": "ML-DSA-65"}, "unknown-algorithm"),
    ({"format_version": 2}, "unknown-format-version"),
    ({"format": "sealroom-sealed-model"}, "unknown-format"),
    ({"extra": 1}, "unknown-field"),
    ({"signature": "00" * 63}, "malformed-signature"),
    ({"public_key": "00" * 33}, "malformed-signature"),
    ({"public_key": None}, "malformed-signature"),
])  # fmt: skip
def test_a_signature_file_of_another_form_is_refused(changes: dict[str, object], code: str) -> None:
    raw = GOOD.encode()
    signature = rfc8785.dumps(json.loads(PUBLISHER.sign(raw)) | changes)
    with pytest.raises(MalformedError) as caught:
        verify_manifest(raw, signature, publisher=PUBLISHER.digest)
    assert caught.value.code == f"sealed.{code}"


def test_a_manifest_is_not_parsed_before_its_signature_is_found_good() -> None:
    with pytest.raises(UnverifiedError) as caught:
        verify_manifest(b"{not json", PUBLISHER.sign(b"{other"), publisher=PUBLISHER.digest)
    assert caught.value.code == "sealed.manifest-not-authentic"


def test_a_key_shows_itself_nowhere(world: World) -> None:
    key = ModelKey(bytes(range(32)))
    hidden = [bytes(range(32)).hex(), repr(bytes(range(32)))]
    shown = f"{key} {key!r} {world.info!r} {world.open()!r}"
    assert not any(text in shown for text in [*hidden, world.key.secret.hex(), repr(world.key.secret)[2:-1]])
    with pytest.raises(SealroomError):
        key.__reduce__()


@pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
def test_a_key_of_another_length_is_no_key(size: int) -> None:
    with pytest.raises(MalformedError) as caught:
        ModelKey(bytes(size))
    assert caught.value.code == "sealed.malformed-key"


def test_a_key_file_serves_its_own_package_alone() -> None:
    key = ModelKey.generate()
    raw = encode_key_file(key, bytes(32))
    assert parse_key_file(raw, package_digest=bytes(32)) == key
    with pytest.raises(UnverifiedError) as caught:
        parse_key_file(raw, package_digest=b"\x01" * 32)
    assert caught.value.code == "sealed.wrong-key"
