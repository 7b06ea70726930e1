"""Oblivious HTTP, whole messages (RFC 9458 section 4), both sides. The chunked form is what our own client speaks."""

from cryptography.exceptions import InvalidTag

from sealroom.channel.channel_keys import ChannelKeys
from sealroom.channel.encapsulation import Form, RequestHeaderReader, ResponseSecret, encapsulate_header
from sealroom.channel.hpke import not_authentic
from sealroom.channel.key_config import KeyConfig
from sealroom.channel.suites import NONCE_SIZE, TAG_SIZE, Suite
from sealroom.errors import UnverifiedError

__all__ = ["open_request", "open_response", "seal_request", "seal_response"]


def seal_request(config: KeyConfig, suite: Suite, message: bytes) -> tuple[bytes, ResponseSecret]:
    """Client: the encapsulated request, and what opens its response."""
    header, context, response = encapsulate_header(config, suite, Form.WHOLE)
    return header + context.seal(message), response


def open_request(keys: ChannelKeys, encapsulated: bytes) -> tuple[bytes, bytes, ResponseSecret]:
    """Server: the message, its ``enc`` (for the replay window), and what seals the response.

    Raises `UnverifiedError` ``channel.unknown-key``, ``channel.unsupported-suite``, ``channel.truncated`` or
    ``channel.not-authentic``.
    """
    reader = RequestHeaderReader(keys, Form.WHOLE)
    sealed = reader.receive(encapsulated)
    if sealed is None or len(sealed) < TAG_SIZE:
        raise truncated()
    context, response = reader.open()
    return context.open(sealed), reader.enc, response


def seal_response(secret: ResponseSecret, message: bytes) -> bytes:
    """Server: the encapsulated response."""
    nonce, aead, base = secret.fresh()
    return nonce + aead.encrypt(base.to_bytes(NONCE_SIZE, "big"), message, None)


def open_response(secret: ResponseSecret, encapsulated: bytes) -> bytes:
    """Client: the message; `UnverifiedError` if it is no answer to this request, or not whole."""
    nonce, sealed = encapsulated[: secret.nonce_size], encapsulated[secret.nonce_size :]
    if len(sealed) < TAG_SIZE:
        raise truncated()
    aead, base = secret.derive(nonce)
    try:
        return aead.decrypt(base.to_bytes(NONCE_SIZE, "big"), sealed, None)
    except InvalidTag as error:
        raise not_authentic() from error


def truncated() -> UnverifiedError:
    """The one error for a stream that stops before its authenticated end."""
    return UnverifiedError(
        "channel.truncated",
        "the stream stopped before its authenticated end",
        hint="treat what arrived as incomplete: somebody in between, or a failure, has cut it",
    )
