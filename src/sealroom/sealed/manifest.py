"""The signed core of a package: what it holds, and the digests that name it (sections 3 to 3.2)."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from sealroom.errors import MalformedError, MisuseError
from sealroom.sealed import strict_json
from sealroom.sealed.format import (
    CIPHER,
    FORMAT,
    FORMAT_VERSION,
    MANIFEST_FILE,
    MAX_CHUNK_SIZE,
    MAX_CHUNKS,
    MAX_FILE_SIZE,
    MAX_FILES,
    MIN_CHUNK_SIZE,
    ChunkPlace,
    chunk_count,
    chunks_of,
    digest_text,
    parse_digest,
    parse_hex,
)
from sealroom.sealed.paths import check_paths

__all__ = ["FileEntry", "Identity", "Manifest", "check_label", "parse_manifest"]

_MALFORMED = "sealed.malformed-manifest"
_MEMBERS = frozenset({
    "chunk_size", "cipher", "files", "format", "format_version", "key_commitment", "name", "package_id",
    "publisher", "tag_table", "version",
})  # fmt: skip
_FILE_MEMBERS = frozenset({"path", "sha256", "size"})
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")
_NAME_RULE = "1 to 128 of A-Z a-z 0-9 _ - . and no . at the start"
_MAX_VERSION = (1 << 53) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file of the model: its path, its size in bytes, and SHA-256 of its plaintext."""

    path: str
    size: int
    sha256: bytes

    def as_json(self) -> dict[str, object]:
        """The entry as it stands in the manifest."""
        return {"path": self.path, "sha256": self.sha256.hex(), "size": self.size}


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What is known of a package before its first byte is encrypted; every key and chunk is bound to its digest."""

    name: str
    version: int
    package_id: bytes
    chunk_size: int
    files: tuple[tuple[str, int], ...]
    """Path and size in bytes of each file, in the manifest's order."""

    @cached_property
    def digest(self) -> bytes:
        """The identity digest of section 3.2 (32 bytes)."""
        document = {
            "chunk_size": self.chunk_size,
            "cipher": CIPHER,
            "files": [{"path": path, "size": size} for path, size in self.files],
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "package_id": self.package_id.hex(),
            "version": self.version,
        }
        return hashlib.sha256(strict_json.encode(document)).digest()

    @property
    def total_size(self) -> int:
        """Bytes of all files together."""
        return sum(size for _, size in self.files)

    @property
    def total_chunks(self) -> int:
        """Chunks of all files together: tags in the tag table."""
        return sum(chunk_count(size, self.chunk_size) for _, size in self.files)

    def chunks(self) -> Iterator[ChunkPlace]:
        """Every chunk of every file, in the order of the tag table."""
        first_tag = 0
        for index, (_, size) in enumerate(self.files):
            yield from chunks_of(index, size, self.chunk_size, first_tag)
            first_tag += chunk_count(size, self.chunk_size)

    def check(self) -> None:
        """Refuse what section 3 forbids: sizes, counts, paths, name, version."""
        size = self.chunk_size
        if not MIN_CHUNK_SIZE <= size <= MAX_CHUNK_SIZE or size & (size - 1):
            raise _malformed("chunk_size", size, f"a power of two from {MIN_CHUNK_SIZE} to {MAX_CHUNK_SIZE}")
        if not 1 <= len(self.files) <= MAX_FILES:
            raise _malformed("files", len(self.files), f"1 to {MAX_FILES} files")
        for path, file_size in self.files:
            if not 0 <= file_size <= MAX_FILE_SIZE:
                raise _malformed(f"size of {path!r}", file_size, f"0 to {MAX_FILE_SIZE} bytes")
        if self.total_chunks > MAX_CHUNKS:
            raise _malformed("files", f"{self.total_chunks} chunks", f"at most {MAX_CHUNKS}")
        check_paths([path for path, _ in self.files])
        if not _NAME.fullmatch(self.name):
            raise _malformed("name", repr(self.name)[:160], _NAME_RULE)
        if not 1 <= self.version <= _MAX_VERSION:
            raise _malformed("version", self.version, f"1 to {_MAX_VERSION}")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The signed core. `encode` gives the bytes that the publisher signs."""

    name: str
    version: int
    package_id: bytes
    chunk_size: int
    files: tuple[FileEntry, ...]
    key_commitment: bytes
    publisher: bytes
    """SHA-256 of the publisher's raw public key."""
    tag_table: bytes
    """SHA-256 of the tag table."""

    @cached_property
    def identity(self) -> Identity:
        """The part that keys and chunks are bound to."""
        return Identity(
            name=self.name,
            version=self.version,
            package_id=self.package_id,
            chunk_size=self.chunk_size,
            files=tuple((entry.path, entry.size) for entry in self.files),
        )

    @cached_property
    def model_digest(self) -> bytes:
        """What the model is, whatever it is sealed with: SHA-256 over the list of files (32 bytes)."""
        return hashlib.sha256(strict_json.encode([entry.as_json() for entry in self.files])).digest()

    @cached_property
    def oms_subject_digest(self) -> bytes:
        """The subject digest that an OpenSSF model signature over the same files carries (32 bytes)."""
        return hashlib.sha256(b"".join(entry.sha256 for entry in self.files)).digest()

    @cached_property
    def package_digest(self) -> bytes:
        """SHA-256 of the manifest's bytes (32 bytes)."""
        return hashlib.sha256(self.encode()).digest()

    def encode(self) -> bytes:
        """The bytes of ``manifest.json``."""
        return strict_json.encode({
            "chunk_size": self.chunk_size,
            "cipher": CIPHER,
            "files": [entry.as_json() for entry in self.files],
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "key_commitment": self.key_commitment.hex(),
            "name": self.name,
            "package_id": self.package_id.hex(),
            "publisher": digest_text(self.publisher),
            "tag_table": digest_text(self.tag_table),
            "version": self.version,
        })  # fmt: skip


def parse_manifest(raw: bytes) -> Manifest:
    """The manifest in ``raw``. Says nothing of who made it: check the signature first (section 4)."""
    document = strict_json.parse(raw, code=_MALFORMED, where=MANIFEST_FILE)
    strict_json.check_header(document, FORMAT, FORMAT_VERSION, where=MANIFEST_FILE)
    strict_json.check_members(document, _MEMBERS, code=_MALFORMED, where=MANIFEST_FILE)
    if document["cipher"] != CIPHER:
        raise MalformedError(
            "sealed.unknown-cipher",
            "the package is sealed with a cipher that is not known",
            where="manifest.json, cipher",
            got=repr(document["cipher"])[:80],
            expected=CIPHER,
        )
    manifest = Manifest(
        name=_text(document, "name"),
        version=_number(document, "version"),
        package_id=_hex(document, "package_id"),
        chunk_size=_number(document, "chunk_size"),
        files=_parse_files(document["files"]),
        key_commitment=_hex(document, "key_commitment"),
        publisher=parse_digest(document["publisher"], code=_MALFORMED, where="manifest.json, publisher"),
        tag_table=parse_digest(document["tag_table"], code=_MALFORMED, where="manifest.json, tag_table"),
    )
    manifest.identity.check()
    return manifest


def _parse_files(found: object) -> tuple[FileEntry, ...]:
    if not isinstance(found, list):
        raise _malformed("files", type(found).__name__, "a list")
    return tuple(_parse_file(entry, f"manifest.json, files[{index}]") for index, entry in enumerate(found))


def _parse_file(entry: object, where: str) -> FileEntry:
    if not isinstance(entry, dict):
        raise MalformedError(_MALFORMED, "a file's entry is not an object", where=where, got=type(entry).__name__)
    strict_json.check_members(entry, _FILE_MEMBERS, code=_MALFORMED, where=where)
    return FileEntry(
        path=_text(entry, "path", where),
        size=_number(entry, "size", where),
        sha256=parse_hex(entry["sha256"], 32, code=_MALFORMED, where=f"{where}, sha256"),
    )


def _text(document: Mapping[str, object], member: str, where: str = MANIFEST_FILE) -> str:
    if not isinstance(found := document[member], str):
        raise _malformed(member, type(found).__name__, "a string", where)
    return found


def _number(document: Mapping[str, object], member: str, where: str = MANIFEST_FILE) -> int:
    # bool is an int to Python, and a different thing to JSON
    if not isinstance(found := document[member], int) or isinstance(found, bool):
        raise _malformed(member, type(found).__name__, "a whole number", where)
    return found


def _hex(document: Mapping[str, object], member: str) -> bytes:
    return parse_hex(document[member], 32, code=_MALFORMED, where=f"manifest.json, {member}")


def _malformed(member: str, got: object, expected: str, where: str = MANIFEST_FILE) -> MalformedError:
    return MalformedError(_MALFORMED, f"{member} is not what the format allows", where=f"{where}, {member}",
                          got=got, expected=expected)  # fmt: skip


def check_label(name: str, version: int) -> None:
    """Refuse a name or version that a publisher gave and the format does not allow."""
    if not _NAME.fullmatch(name):
        raise MisuseError(
            "sealed.bad-name",
            "this is not a model name",
            where="name",
            got=repr(name)[:160],
            expected=_NAME_RULE,
            hint="a name is a path segment at the broker: give another",
        )
    if not 1 <= version <= _MAX_VERSION:
        raise MisuseError("sealed.bad-version", "this is not a model version", where="version", got=version,
                          expected=f"1 to {_MAX_VERSION}")  # fmt: skip
