"""The key-encryption key, and the two keys that come from it. ``spec/key-release.md`` section 12."""

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sealroom.errors import MisuseError, UnverifiedError

__all__ = ["KEK_SIZE", "KeyEncryptionKey", "frame"]

KEK_SIZE = 32


def frame(part: bytes) -> bytes:
    """``part`` behind its length, so that two lists of parts never read alike."""
    return len(part).to_bytes(8, "big") + part


class KeyEncryptionKey:
    """Wraps what the database must not hold in the clear, and seals what only the broker may change."""

    __slots__ = ("_seal_key", "_wrap")

    def __init__(self, kek: bytes) -> None:
        if len(kek) != KEK_SIZE:
            raise MisuseError("broker.kek-size", "the key-encryption key has the wrong length",
                              got=f"{len(kek)} bytes", expected=f"{KEK_SIZE} bytes, as {2 * KEK_SIZE} hex digits",
                              )  # fmt: skip
        self._wrap = AESGCM(_derive(kek, b"sealroom-broker-wrap-v1"))
        self._seal_key = _derive(kek, b"sealroom-broker-seal-v1")

    def __repr__(self) -> str:
        return "KeyEncryptionKey(redacted)"

    def wrap(self, secret: bytes, *, binding: bytes) -> bytes:
        """``secret`` encrypted, to be opened with the same ``binding`` alone."""
        nonce = os.urandom(12)
        return nonce + self._wrap.encrypt(nonce, secret, binding)

    def unwrap(self, wrapped: bytes, *, binding: bytes) -> bytes:
        """The secret.

        Raises:
            UnverifiedError: ``broker.wrapped-key``: changed, moved, or bound to something else.
        """
        try:
            return self._wrap.decrypt(wrapped[:12], wrapped[12:], binding)
        except (InvalidTag, ValueError) as error:
            raise UnverifiedError(
                "broker.wrapped-key", "a stored key does not open for its resource, model, version and policy",
                hint="the database was changed by something else than the broker: restore it, or register anew",
            ) from error  # fmt: skip

    def seal(self, message: bytes) -> bytes:
        """A tag over ``message`` that only a holder of the KEK can make."""
        return hmac.new(self._seal_key, message, hashlib.sha256).digest()

    def check_seal(self, message: bytes, seal: bytes, *, what: str) -> None:
        """Raise ``broker.store-tampered`` unless ``seal`` is that of ``message``."""
        if not hmac.compare_digest(self.seal(message), seal):
            raise UnverifiedError("broker.store-tampered", f"{what} in the database is not as the broker wrote it",
                                  hint="the database was changed by something else than the broker")  # fmt: skip


def _derive(kek: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose).derive(kek)
