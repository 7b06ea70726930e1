"""The numbers and names of ``spec/sealed-model.md``: what a package consists of, and where each chunk lies."""

from collections.abc import Iterator
from dataclasses import dataclass

from sealroom.errors import MalformedError

__all__ = [
    "CIPHER",
    "DATA_FOLDER",
    "DEFAULT_CHUNK_SIZE",
    "FORMAT",
    "FORMAT_VERSION",
    "MANIFEST_FILE",
    "MANIFEST_LIMIT",
    "MAX_CHUNKS",
    "MAX_CHUNK_SIZE",
    "MAX_FILES",
    "MAX_FILE_SIZE",
    "MIN_CHUNK_SIZE",
    "PARTIAL_MARK",
    "SIGNATURE_FILE",
    "SIGNATURE_LIMIT",
    "TAGS_FILE",
    "TAG_SIZE",
    "WRAPS_FILE",
    "WRAPS_LIMIT",
    "ChunkPlace",
    "chunk_count",
    "chunks_of",
    "data_name",
    "digest_text",
    "parse_digest",
    "parse_hex",
]

FORMAT = "sealroom-sealed-model"
FORMAT_VERSION = 1
CIPHER = "AES-256-GCM"

MANIFEST_FILE = "manifest.json"
SIGNATURE_FILE = "signature.json"
WRAPS_FILE = "wraps.json"
TAGS_FILE = "tags"
DATA_FOLDER = "data"
PARTIAL_MARK = ".partial-"
"""Stands in the name of every folder and file that is not finished; such a name is never opened."""

MANIFEST_LIMIT = 32 << 20
SIGNATURE_LIMIT = 4 << 10
WRAPS_LIMIT = 1 << 20

TAG_SIZE = 16
MIN_CHUNK_SIZE = 64 << 10
MAX_CHUNK_SIZE = 16 << 20
DEFAULT_CHUNK_SIZE = 4 << 20
MAX_FILES = 1 << 16
MAX_FILE_SIZE = 1 << 44
MAX_CHUNKS = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkPlace:
    """Where one chunk lies: the facts that its associated data binds (section 6)."""

    file_index: int
    chunk_index: int
    offset: int
    """In bytes, the same in plaintext and ciphertext."""
    length: int
    is_last: bool
    tag_offset: int
    """In bytes, in the tag table."""

    def describe(self, path: str) -> str:
        """The place for an error text: file, chunk, offset."""
        return f"{path}, chunk {self.chunk_index}, offset {self.offset:#x}"


def chunk_count(size: int, chunk_size: int) -> int:
    """How many chunks a file of ``size`` bytes has; an empty file has one, so that its emptiness is authenticated."""
    return max(1, -(-size // chunk_size))


def chunks_of(file_index: int, size: int, chunk_size: int, first_tag: int) -> Iterator[ChunkPlace]:
    """Every chunk of a file in order; ``first_tag`` is the number of tags before this file's."""
    count = chunk_count(size, chunk_size)
    for index in range(count):
        offset = index * chunk_size
        yield ChunkPlace(
            file_index=file_index,
            chunk_index=index,
            offset=offset,
            length=min(chunk_size, size - offset),
            is_last=index == count - 1,
            tag_offset=(first_tag + index) * TAG_SIZE,
        )


def data_name(file_index: int) -> str:
    """The name of a file's ciphertext under ``data/``."""
    return f"{file_index:05d}"


def digest_text(digest: bytes) -> str:
    """A SHA-256 digest as it stands in JSON and in messages."""
    return f"sha256:{digest.hex()}"


def parse_digest(text: object, *, code: str, where: str) -> bytes:
    """The digest written as `digest_text` writes it; anything else is a `MalformedError` with ``code``."""
    if not isinstance(text, str) or not text.startswith("sha256:"):
        raise MalformedError(code, "a digest is not written as one", where=where, expected="sha256:<64 hex digits>")
    return parse_hex(text.removeprefix("sha256:"), 32, code=code, where=where)


def parse_hex(text: object, size: int, *, code: str, where: str) -> bytes:
    """Exactly ``size`` bytes in lower-case hex; anything else is a `MalformedError` with ``code``."""
    expected = f"{2 * size} lower-case hex digits"
    if not isinstance(text, str) or len(text) != 2 * size or not set(text) <= set("0123456789abcdef"):
        got = type(text).__name__ if not isinstance(text, str) else f"{len(text)} characters"
        raise MalformedError(code, "a byte string is not written in hex", where=where, got=got, expected=expected)
    return bytes.fromhex(text)
