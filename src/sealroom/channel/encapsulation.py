"""What the whole and the chunked form of Oblivious HTTP have in common (RFC 9458 section 4).

Header, info string, and the derivation of the response key from the request's context.
"""

import secrets
from enum import Enum

from sealroom.channel.channel_keys import ChannelKeys
from sealroom.channel.hpke import HpkeContext, RecipientContext, SenderContext, setup_recipient, setup_sender
from sealroom.channel.key_config import KeyConfig
from sealroom.channel.key_schedule import expand, extract
from sealroom.channel.suites import NONCE_SIZE, Aead, Suite, new_aead

__all__ = ["HEADER_SIZE", "Form", "RequestHeaderReader", "ResponseSecret", "encapsulate_header"]

HEADER_SIZE = 7
"""key_id(8) kem_id(16) kdf_id(16) aead_id(16)."""


class Form(Enum):
    """The two forms: labels for HPKE's info and exporter, and the media types."""

    WHOLE = (b"message/bhttp request", b"message/bhttp response", "message/ohttp-req", "message/ohttp-res")
    CHUNKED = (
        b"message/bhttp chunked request",
        b"message/bhttp chunked response",
        "message/ohttp-chunked-req",
        "message/ohttp-chunked-res",
    )

    @property
    def request_media_type(self) -> str:
        """Content-Type of the encapsulated request."""
        return self.value[2]

    @property
    def response_media_type(self) -> str:
        """Content-Type of the encapsulated response."""
        return self.value[3]


class ResponseSecret:
    """What the response's key is made of; the same at both ends. One use: one response."""

    __slots__ = ("_enc", "_secret", "_suite")

    def __init__(self, context: HpkeContext, suite: Suite, enc: bytes, form: Form) -> None:
        self._secret = context.export(form.value[1], suite.response_entropy)
        self._suite = suite
        self._enc = enc

    @property
    def nonce_size(self) -> int:
        """Length of the response nonce, the first bytes of an encapsulated response."""
        return self._suite.response_entropy

    def fresh(self) -> tuple[bytes, Aead, int]:
        """A new response nonce, the cipher and the base nonce under it."""
        nonce = secrets.token_bytes(self.nonce_size)
        return nonce, *self.derive(nonce)

    def derive(self, nonce: bytes) -> tuple[Aead, int]:
        """The cipher and the base nonce (as an integer) that belong to a received response nonce."""
        prk = extract(self._enc + nonce, self._secret)
        aead = new_aead(self._suite.aead, expand(prk, b"key", self._suite.aead.key_size))
        return aead, int.from_bytes(expand(prk, b"nonce", NONCE_SIZE), "big")


def encapsulate_header(config: KeyConfig, suite: Suite, form: Form) -> tuple[bytes, SenderContext, ResponseSecret]:
    """Client: ``hdr ‖ enc``, the context that seals the request, and the secret that opens the response."""
    header = config.key_id.to_bytes(1, "big") + suite.identifier
    enc, context = setup_sender(suite, config.public_key, _info(form, header))
    return header + enc, context, ResponseSecret(context, suite, enc, form)


class RequestHeaderReader:
    """Server: takes ``hdr ‖ enc`` off the front of a request, however it is cut."""

    def __init__(self, keys: ChannelKeys, form: Form) -> None:
        self._keys = keys
        self._form = form
        self._buffer = b""

    def receive(self, data: bytes) -> bytes | None:
        """What follows the header once that is whole, else None; then `enc` may be read and `open` called.

        Raises `UnverifiedError` ``channel.unknown-key`` or ``channel.unsupported-suite``.
        """
        self._buffer += data
        if len(self._buffer) < HEADER_SIZE:
            return None
        self._private, self._suite = self._keys.find(self._buffer[0], self._buffer[1:HEADER_SIZE])
        end = HEADER_SIZE + self._suite.kem.enc_size
        if len(self._buffer) < end:
            return None
        self._header, self.enc = self._buffer[:HEADER_SIZE], self._buffer[HEADER_SIZE:end]
        rest, self._buffer = self._buffer[end:], b""
        return rest

    def open(self) -> tuple[RecipientContext, ResponseSecret]:
        """The context that opens the request, and the secret that seals the response."""
        context = setup_recipient(self._suite, self._private, self.enc, _info(self._form, self._header))
        return context, ResponseSecret(context, self._suite, self.enc, self._form)


def _info(form: Form, header: bytes) -> bytes:
    label: bytes = form.value[0]
    return label + b"\x00" + header
