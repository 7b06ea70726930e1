"""From plaintext to ciphertext, one chunk at a time (section 6). Knows buffers, not files."""

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sealroom.errors import MisuseError
from sealroom.sealed.format import ChunkPlace
from sealroom.sealed.keys import PackageKeys

__all__ = ["ChunkSealer", "associated_data", "nonce"]


class ChunkSealer:
    """Seals the chunks of one file. Each chunk at most once: its number is its nonce."""

    def __init__(self, keys: PackageKeys, file_index: int) -> None:
        self._cipher = AESGCM(keys.file_key(file_index))
        self._identity = keys.identity.digest
        self._next = 0

    def seal_into(self, place: ChunkPlace, plaintext: memoryview, sealed: memoryview) -> None:
        """Write ciphertext and tag of the next chunk into ``sealed``, which is 16 bytes longer than ``plaintext``."""
        # a second chunk under one nonce would give the file's key stream away: the order leaves no room for it
        if place.chunk_index != self._next or len(plaintext) != place.length:
            raise MisuseError("sealed.out-of-order", "chunks are sealed once each, in order, and whole",
                              got=f"chunk {place.chunk_index}, {len(plaintext)} bytes",
                              expected=f"chunk {self._next}, {place.length} bytes")  # fmt: skip
        self._next += 1
        self._cipher.encrypt_into(nonce(place), plaintext, associated_data(self._identity, place), sealed)


def nonce(place: ChunkPlace) -> bytes:
    """The 12-byte nonce of a chunk: its number. The key is used for one file of one package only."""
    return place.chunk_index.to_bytes(12, "big")


def associated_data(identity_digest: bytes, place: ChunkPlace) -> bytes:
    """The 49 bytes that tie a chunk to package, file, place, end and length."""
    return b"".join((
        identity_digest,
        place.file_index.to_bytes(4, "big"),
        place.chunk_index.to_bytes(8, "big"),
        place.is_last.to_bytes(1, "big"),
        place.length.to_bytes(4, "big"),
    ))  # fmt: skip
