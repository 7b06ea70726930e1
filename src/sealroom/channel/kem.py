"""Key encapsulation: DHKEM(X25519, HKDF-SHA256) of RFC 9180 and MLKEM768-X25519 of draft-ietf-hpke-pq.

The hybrid holds as long as either half does: an attacker must break ML-KEM-768 and X25519 both.
"""

import hashlib
import secrets
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from sealroom.channel.key_schedule import labeled_expand, labeled_extract
from sealroom.channel.suites import KemId
from sealroom.errors import MalformedError, MisuseError, UnverifiedError

__all__ = ["KemPrivateKey", "encapsulate", "generate_private_key", "load_private_key"]

_DHKEM_SUITE = b"KEM" + KemId.X25519_HKDF_SHA256.to_bytes(2, "big")
_HYBRID_LABEL = rb"\.//^" + b"\\"
_MLKEM_CIPHERTEXT_SIZE = 1088
_MLKEM_PUBLIC_SIZE = 1184
_SEED_SIZE = 32


class KemPrivateKey(Protocol):
    """A recipient's private key. Its repr never shows it."""

    @property
    def kem(self) -> KemId:
        """Which KEM it is for."""
        ...

    @property
    def public_key(self) -> bytes:
        """The serialised public key, Npk bytes."""
        ...

    def decapsulate(self, enc: bytes) -> bytes:
        """The shared secret, 32 bytes; `UnverifiedError` if ``enc`` is none of this KEM's."""
        ...


class _X25519Key:
    __slots__ = ("_private", "public_key")
    kem = KemId.X25519_HKDF_SHA256

    def __init__(self, private: X25519PrivateKey) -> None:
        self._private = private
        self.public_key = private.public_key().public_bytes_raw()

    def decapsulate(self, enc: bytes) -> bytes:
        try:
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(enc))
        except ValueError as error:  # wrong length, or a point of low order, which would give a known secret
            raise _bad_encapsulation() from error
        return _dhkem_secret(shared, enc, self.public_key)

    def __repr__(self) -> str:
        return "<X25519 private key, redacted>"


class _HybridKey:
    __slots__ = ("_mlkem", "_x25519", "public_key")
    kem = KemId.MLKEM768_X25519

    def __init__(self, seed: bytes) -> None:
        expanded = hashlib.shake_256(seed).digest(96)
        self._mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        self._x25519 = X25519PrivateKey.from_private_bytes(expanded[64:])
        self.public_key = self._mlkem.public_key().public_bytes_raw() + self._x25519.public_key().public_bytes_raw()

    def decapsulate(self, enc: bytes) -> bytes:
        if len(enc) != self.kem.enc_size:
            raise _bad_encapsulation()
        ephemeral = enc[_MLKEM_CIPHERTEXT_SIZE:]
        try:
            post_quantum = self._mlkem.decapsulate(enc[:_MLKEM_CIPHERTEXT_SIZE])
            classical = self._x25519.exchange(X25519PublicKey.from_public_bytes(ephemeral))
        except ValueError as error:
            raise _bad_encapsulation() from error
        return _combine(post_quantum, classical, ephemeral, self.public_key[_MLKEM_PUBLIC_SIZE:])

    def __repr__(self) -> str:
        return "<MLKEM768-X25519 private key, redacted>"


def generate_private_key(kem: KemId) -> KemPrivateKey:
    """A fresh private key from the operating system's generator."""
    return load_private_key(kem, secrets.token_bytes(_SEED_SIZE))


def load_private_key(kem: KemId, raw: bytes) -> KemPrivateKey:
    """The private key that ``raw`` (32 bytes for either KEM) stands for: test vectors and stored keys."""
    if len(raw) != _SEED_SIZE:
        raise MisuseError("channel.bad-private-key", "a private key has 32 bytes", got=f"{len(raw)} bytes")
    if kem is KemId.MLKEM768_X25519:
        return _HybridKey(raw)
    return _X25519Key(X25519PrivateKey.from_private_bytes(raw))


def encapsulate(kem: KemId, public_key: bytes) -> tuple[bytes, bytes]:
    """A fresh shared secret and the ``enc`` that carries it to the holder of ``public_key``."""
    if len(public_key) != kem.public_key_size:
        raise _bad_public_key()
    ephemeral = X25519PrivateKey.generate()
    try:
        if kem is KemId.MLKEM768_X25519:
            return _hybrid_encapsulate(public_key, ephemeral)
        return _dhkem_encapsulate(public_key, ephemeral)
    except ValueError as error:
        raise _bad_public_key() from error


def _dhkem_encapsulate(public_key: bytes, ephemeral: X25519PrivateKey) -> tuple[bytes, bytes]:
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public_key))
    enc = ephemeral.public_key().public_bytes_raw()
    return _dhkem_secret(shared, enc, public_key), enc


def _hybrid_encapsulate(public_key: bytes, ephemeral: X25519PrivateKey) -> tuple[bytes, bytes]:
    static = public_key[_MLKEM_PUBLIC_SIZE:]
    post_quantum, ciphertext = MLKEM768PublicKey.from_public_bytes(public_key[:_MLKEM_PUBLIC_SIZE]).encapsulate()
    classical = ephemeral.exchange(X25519PublicKey.from_public_bytes(static))
    epk = ephemeral.public_key().public_bytes_raw()
    return _combine(post_quantum, classical, epk, static), ciphertext + epk


def _dhkem_secret(shared: bytes, enc: bytes, public_key: bytes) -> bytes:
    """ExtractAndExpand (RFC 9180 section 4.1)."""
    prk = labeled_extract(_DHKEM_SUITE, b"", b"eae_prk", shared)
    return labeled_expand(_DHKEM_SUITE, prk, b"shared_secret", enc + public_key, 32)


def _combine(post_quantum: bytes, classical: bytes, ephemeral: bytes, static: bytes) -> bytes:
    """The ML-KEM ciphertext need not be hashed: ML-KEM's own secret already depends on it."""
    return hashlib.sha3_256(post_quantum + classical + ephemeral + static + _HYBRID_LABEL).digest()


def _bad_encapsulation() -> UnverifiedError:
    # The words of a failed tag: who sends bad keys learns no more than who sends bad tags.
    return UnverifiedError("channel.not-authentic", "the message is not authentic under this key")


def _bad_public_key() -> MalformedError:
    return MalformedError("channel.bad-public-key", "the KEM rejects this public key", hint="verify the room anew")
