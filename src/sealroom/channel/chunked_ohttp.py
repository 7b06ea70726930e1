"""Oblivious HTTP in chunks (draft-ietf-ohai-chunked-ohttp-08), both sides.

    varint(n) ‖ sealed chunk of n bytes   …   varint(0) ‖ final sealed chunk, to the end of the stream

The final chunk is sealed with the additional data ``final``: only its sender can end a stream. Since nothing but the
end of the stream tells where that chunk ends, its plaintext comes out of `end_of_input`.
"""

from cryptography.exceptions import InvalidTag

from sealroom.channel.encapsulation import ResponseSecret
from sealroom.channel.hpke import RecipientContext, SenderContext, not_authentic
from sealroom.channel.ohttp import truncated
from sealroom.channel.padding import CHUNK_SIZE
from sealroom.channel.suites import NONCE_SIZE, TAG_SIZE
from sealroom.channel.varint import decode_varint, encode_varint
from sealroom.errors import MalformedError, MisuseError

__all__ = ["FINAL", "ChunkFrames", "RequestChunkOpener", "ResponseChunkOpener", "ResponseChunkSealer", "seal_chunk"]

FINAL = b"final"
"""Additional data of the final chunk."""


def seal_chunk(context: SenderContext, plaintext: bytes, *, final: bool = False) -> bytes:
    """Client: one framed chunk of a request. Only a final one may be empty."""
    if len(plaintext) > CHUNK_SIZE or not (plaintext or final):
        raise MisuseError("channel.bad-chunk-size", "a chunk has no size that may be sent", got=len(plaintext))
    if final:
        return b"\x00" + context.seal(plaintext, FINAL)
    sealed = context.seal(plaintext)
    return encode_varint(len(sealed)) + sealed


class ResponseChunkSealer:
    """Server: seals the chunks of one response. `seal` runs once per streamed token: it does the least there is."""

    __slots__ = ("_base", "_counter", "_encrypt", "nonce")

    def __init__(self, secret: ResponseSecret) -> None:
        self.nonce, aead, self._base = secret.fresh()
        self._encrypt = aead.encrypt
        self._counter = 0

    def seal(self, plaintext: bytes) -> bytes:
        """One framed chunk of 1 to 16384 bytes."""
        size = len(plaintext) + TAG_SIZE
        if not TAG_SIZE < size <= CHUNK_SIZE + TAG_SIZE:
            raise MisuseError("channel.bad-chunk-size", "a chunk has no size that may be sent", got=len(plaintext))
        nonce = (self._base ^ self._counter).to_bytes(NONCE_SIZE, "big")
        self._counter += 1
        sealed = self._encrypt(nonce, plaintext, None)
        if size < 0x40:
            return size.to_bytes(1, "big") + sealed
        if size < 0x4000:
            return (size | 0x4000).to_bytes(2, "big") + sealed
        return encode_varint(size) + sealed

    def seal_final(self, plaintext: bytes) -> bytes:
        """The authenticated end; up to 16384 bytes may ride on it."""
        if len(plaintext) > CHUNK_SIZE:
            raise MisuseError("channel.bad-chunk-size", "a chunk has no size that may be sent", got=len(plaintext))
        nonce = (self._base ^ self._counter).to_bytes(NONCE_SIZE, "big")
        self._counter += 1
        return b"\x00" + self._encrypt(nonce, plaintext, FINAL)


class ChunkFrames:
    """Cuts a stream into sealed chunks; knows no key. Never holds more than one chunk."""

    def __init__(self, largest_chunk: int) -> None:
        self._largest = largest_chunk + TAG_SIZE
        self._buffer = bytearray()
        self._final = False

    def receive(self, data: bytes) -> list[bytes]:
        """The non-final chunks that ``data`` completes."""
        self._buffer += data
        chunks: list[bytes] = []
        offset = 0
        while not self._final and (decoded := decode_varint(self._buffer, offset)) is not None:
            size, start = decoded
            self._final = size == 0
            if size > self._largest:
                raise self._too_large()
            if not self._final and start + size > len(self._buffer):
                break
            chunks += [bytes(self._buffer[start : start + size])] if size else []
            offset = start + size
        del self._buffer[:offset]
        if self._final and len(self._buffer) > self._largest:
            raise self._too_large()
        return chunks

    def final(self) -> bytes:
        """The final chunk, once the stream has ended; `UnverifiedError` ``channel.truncated`` if there is none."""
        if not self._final or len(self._buffer) < TAG_SIZE:
            raise truncated()
        return bytes(self._buffer)

    def _too_large(self) -> MalformedError:
        return MalformedError("channel.chunk-too-large", "a sealed chunk is larger than we take",
                              expected=f"at most {self._largest} bytes")  # fmt: skip


class RequestChunkOpener:
    """Server: opens the chunks of one request."""

    def __init__(self, context: RecipientContext, largest_chunk: int) -> None:
        self._context = context
        self._frames = ChunkFrames(largest_chunk)

    def receive(self, data: bytes) -> list[bytes]:
        """The plaintexts that ``data`` completes."""
        return [_not_empty(self._context.open(sealed)) for sealed in self._frames.receive(data)]

    def end_of_input(self) -> bytes:
        """The plaintext of the final chunk, maybe empty."""
        return self._context.open(self._frames.final(), FINAL)


class ResponseChunkOpener:
    """Client: opens the chunks of one response, its nonce first."""

    def __init__(self, secret: ResponseSecret, largest_chunk: int) -> None:
        self._secret = secret
        self._frames = ChunkFrames(largest_chunk)
        self._nonce = b""
        self._counter = 0

    def receive(self, data: bytes) -> list[bytes]:
        """The plaintexts that ``data`` completes."""
        missing = self._secret.nonce_size - len(self._nonce)
        if missing:
            self._nonce += data[:missing]
            data = data[missing:]
            if len(self._nonce) < self._secret.nonce_size:
                return []
            self._aead, self._base = self._secret.derive(self._nonce)
        return [_not_empty(self._open(sealed, None)) for sealed in self._frames.receive(data)]

    def end_of_input(self) -> bytes:
        """The plaintext of the final chunk, maybe empty."""
        return self._open(self._frames.final(), FINAL)

    def _open(self, sealed: bytes, aad: bytes | None) -> bytes:
        nonce = (self._base ^ self._counter).to_bytes(NONCE_SIZE, "big")
        try:
            plaintext = self._aead.decrypt(nonce, sealed, aad)
        except InvalidTag as error:
            raise not_authentic() from error
        self._counter += 1
        return plaintext


def _not_empty(plaintext: bytes) -> bytes:
    """An empty chunk that is not the last is to be treated like one that does not open (draft 08 section 6)."""
    if not plaintext:
        raise not_authentic()
    return plaintext
