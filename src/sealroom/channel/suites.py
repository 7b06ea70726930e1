"""The algorithms of the channel and their registered numbers (spec/channel.md section 3)."""

from dataclasses import dataclass
from enum import IntEnum

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

__all__ = ["NONCE_SIZE", "POST_QUANTUM_KEMS", "TAG_SIZE", "Aead", "AeadId", "KdfId", "KemId", "Suite", "new_aead"]

NONCE_SIZE = 12
"""Nn of every AEAD here."""
TAG_SIZE = 16
"""Nt of every AEAD here."""


class KemId(IntEnum):
    """HPKE KEM registry."""

    X25519_HKDF_SHA256 = 0x0020
    MLKEM768_X25519 = 0x647A

    @property
    def public_key_size(self) -> int:
        """Npk."""
        return 1216 if self is KemId.MLKEM768_X25519 else 32

    @property
    def enc_size(self) -> int:
        """Nenc."""
        return 1120 if self is KemId.MLKEM768_X25519 else 32


POST_QUANTUM_KEMS = frozenset({KemId.MLKEM768_X25519})


class KdfId(IntEnum):
    """HPKE KDF registry."""

    HKDF_SHA256 = 0x0001


class AeadId(IntEnum):
    """HPKE AEAD registry."""

    AES_128_GCM = 0x0001
    AES_256_GCM = 0x0002
    CHACHA20_POLY1305 = 0x0003

    @property
    def key_size(self) -> int:
        """Nk."""
        return 16 if self is AeadId.AES_128_GCM else 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """One KEM, KDF and AEAD that are used together."""

    kem: KemId
    kdf: KdfId
    aead: AeadId

    @property
    def identifier(self) -> bytes:
        """The three numbers as OHTTP headers and HPKE's suite_id carry them, 6 bytes."""
        return b"".join(number.to_bytes(2, "big") for number in (self.kem, self.kdf, self.aead))

    @property
    def response_entropy(self) -> int:
        """max(Nn, Nk): length of the response nonce and of the exported secret (RFC 9458 section 4.4)."""
        return max(NONCE_SIZE, self.aead.key_size)


Aead = AESGCM | ChaCha20Poly1305


def new_aead(aead: AeadId, key: bytes) -> Aead:
    """A cipher under ``key``; keep it, setting one up costs more than sealing a short chunk."""
    return ChaCha20Poly1305(key) if aead is AeadId.CHACHA20_POLY1305 else AESGCM(key)
