"""HPKE in base mode with context and exporter (RFC 9180 section 5), over `cryptography`'s primitives.

`cryptography` has HPKE as single-shot only; a stream of chunks needs the context. Checked against RFC 9180 appendix
A, `cryptography`'s single-shot and `pyhpke` in ``tests/unit/channel/test_hpke.py``.
"""

from functools import cache

from cryptography.exceptions import InvalidTag

from sealroom.channel.kem import KemPrivateKey, encapsulate
from sealroom.channel.key_schedule import labeled_expand, labeled_extract
from sealroom.channel.suites import NONCE_SIZE, TAG_SIZE, Suite, new_aead
from sealroom.errors import MisuseError, UnverifiedError

__all__ = ["HpkeContext", "RecipientContext", "SenderContext", "setup_recipient", "setup_sender"]

_MODE_BASE = b"\x00"
_SEQUENCE_LIMIT = (1 << (8 * NONCE_SIZE)) - 1


class HpkeContext:
    """What both ends share: the exporter secret, and the AEAD with its sequence of nonces."""

    __slots__ = ("_aead", "_base_nonce", "_exporter_secret", "_sequence", "_suite_id")

    def __init__(self, suite: Suite, shared_secret: bytes, info: bytes) -> None:
        self._suite_id = suite_id = b"HPKE" + suite.identifier
        context = _MODE_BASE + _psk_id_hash(suite_id) + labeled_extract(suite_id, b"", b"info_hash", info)
        secret = labeled_extract(suite_id, shared_secret, b"secret", b"")
        key = labeled_expand(suite_id, secret, b"key", context, suite.aead.key_size)
        base_nonce = labeled_expand(suite_id, secret, b"base_nonce", context, NONCE_SIZE)
        self._aead = new_aead(suite.aead, key)
        self._base_nonce = int.from_bytes(base_nonce, "big")
        self._exporter_secret = labeled_expand(suite_id, secret, b"exp", context, 32)
        self._sequence = 0

    def export(self, context: bytes, length: int) -> bytes:
        """A secret of ``length`` bytes for ``context`` (RFC 9180 section 5.3)."""
        return labeled_expand(self._suite_id, self._exporter_secret, b"sec", context, length)

    def _nonce(self) -> bytes:
        if self._sequence >= _SEQUENCE_LIMIT:
            raise MisuseError("channel.too-many-chunks", "this key has sealed as many messages as it may")
        return (self._base_nonce ^ self._sequence).to_bytes(NONCE_SIZE, "big")


class SenderContext(HpkeContext):
    """Seals messages in order."""

    __slots__ = ()

    def seal(self, plaintext: bytes, aad: bytes = b"") -> bytes:
        """The next message, 16 bytes longer than ``plaintext``."""
        sealed = self._aead.encrypt(self._nonce(), plaintext, aad)
        self._sequence += 1
        return sealed


class RecipientContext(HpkeContext):
    """Opens messages in the order in which they were sealed."""

    __slots__ = ()

    def open(self, sealed: bytes, aad: bytes = b"") -> bytes:
        """The next message; `UnverifiedError` ``channel.not-authentic`` if it is another, or not whole."""
        if len(sealed) < TAG_SIZE:
            raise not_authentic()
        try:
            plaintext = self._aead.decrypt(self._nonce(), sealed, aad)
        except InvalidTag as error:
            raise not_authentic() from error
        self._sequence += 1
        return plaintext


@cache
def _psk_id_hash(suite_id: bytes) -> bytes:
    """Base mode has no PSK: the hash depends on the suite alone."""
    return labeled_extract(suite_id, b"", b"psk_id_hash", b"")


def setup_sender(suite: Suite, public_key: bytes, info: bytes) -> tuple[bytes, SenderContext]:
    """SetupBaseS: the encapsulated key to send first, and the context."""
    shared_secret, enc = encapsulate(suite.kem, public_key)
    return enc, SenderContext(suite, shared_secret, info)


def setup_recipient(suite: Suite, private_key: KemPrivateKey, enc: bytes, info: bytes) -> RecipientContext:
    """SetupBaseR."""
    if private_key.kem is not suite.kem:
        raise MisuseError("channel.wrong-kem", "the private key is for another KEM than the suite")
    return RecipientContext(suite, private_key.decapsulate(enc), info)


def not_authentic() -> UnverifiedError:
    """The one error for whatever does not open; it never says why."""
    return UnverifiedError("channel.not-authentic", "the message is not authentic under this key")
