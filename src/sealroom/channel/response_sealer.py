"""The room's answer on its way out: pieces of Binary HTTP, sealed as they come."""

from typing import Protocol

from sealroom.channel.binary_http_encode import (
    encode_content_chunk,
    encode_end,
    encode_head,
    encode_informational,
    encode_known_response,
)
from sealroom.channel.chunked_ohttp import ResponseChunkSealer
from sealroom.channel.encapsulation import Form, ResponseSecret
from sealroom.channel.messages import Fields, Informational, ResponseHead
from sealroom.channel.ohttp import seal_response
from sealroom.channel.padding import CHUNK_SIZE, padded_size
from sealroom.errors import MisuseError

__all__ = ["ChunkedResponseSealer", "ResponseSealer", "WholeResponseSealer"]

_LARGEST_CONTENT = CHUNK_SIZE - 4
"""Content that fits one sealed chunk with its own length before it."""


class ResponseSealer(Protocol):
    """Seals one response. What each call returns goes out as it is, and at once; it may be empty."""

    media_type: str

    def informational(self, part: Informational) -> bytes:
        """A response before the response; any number, before `start`."""
        ...

    def start(self, head: ResponseHead) -> bytes:
        """Status and fields."""
        ...

    def data(self, data: bytes) -> bytes:
        """Some content: one sealed chunk a call (more only above 16380 bytes), none for no data."""
        ...

    def finish(self, trailers: Fields = ()) -> bytes:
        """The authenticated end. Without it the caller reports the answer as cut."""
        ...

    def whole(self, head: ResponseHead, content: bytes) -> bytes:
        """All in one, padded to a bucket, so that its size tells little."""
        ...


class ChunkedResponseSealer:
    """message/ohttp-chunked-res."""

    __slots__ = ("_begun", "_chunks", "_stage")
    media_type = Form.CHUNKED.response_media_type

    def __init__(self, secret: ResponseSecret) -> None:
        self._chunks = ResponseChunkSealer(secret)
        self._begun = False
        self._stage = 0  # 0 before the head, 1 content, 2 finished

    def informational(self, part: Informational) -> bytes:
        """Sealed at once."""
        if self._stage != 0:
            raise _out_of_order()
        encoded = encode_informational(part)
        return self._first(b"" if self._begun else b"\x03", encoded)

    def start(self, head: ResponseHead) -> bytes:
        """Sealed at once, behind the response nonce."""
        if self._stage != 0:
            raise _out_of_order()
        encoded = encode_head(head)
        self._stage = 1
        return self._first(b"", encoded[1:] if self._begun else encoded)

    def data(self, data: bytes) -> bytes:
        """One sealed chunk; the path of every streamed token."""
        if self._stage != 1:
            raise _out_of_order()
        size = len(data)
        if size <= _LARGEST_CONTENT:
            # encode_content_chunk, in place: this line runs for every token of every answer
            if size >= 0x40:
                return self._chunks.seal((size | 0x4000).to_bytes(2, "big") + data)
            return self._chunks.seal(size.to_bytes(1, "big") + data) if size else b""
        parts = (data[i : i + _LARGEST_CONTENT] for i in range(0, size, _LARGEST_CONTENT))
        return b"".join(self._chunks.seal(encode_content_chunk(part)) for part in parts)

    def finish(self, trailers: Fields = ()) -> bytes:
        """The final chunk, which only this end can make."""
        if self._stage != 1:
            raise _out_of_order()
        self._stage = 2
        return self._run(encode_end(trailers))

    def whole(self, head: ResponseHead, content: bytes) -> bytes:
        """Full chunks and the final one; sizes say only the bucket."""
        if self._stage != 0 or self._begun:
            raise _out_of_order()
        message = encode_head(head) + encode_content_chunk(content) + encode_end()
        self._stage, self._begun = 2, True
        return self._chunks.nonce + self._run(message + bytes(padded_size(len(message)) - len(message)))

    def _first(self, framing: bytes, encoded: bytes) -> bytes:
        """The response nonce goes before whatever is sealed first; a large head takes several chunks."""
        plaintext = framing + encoded
        nonce = b"" if self._begun else self._chunks.nonce
        self._begun = True
        parts = (plaintext[i : i + CHUNK_SIZE] for i in range(0, len(plaintext), CHUNK_SIZE))
        return nonce + b"".join(map(self._chunks.seal, parts))

    def _run(self, plaintext: bytes) -> bytes:
        """Full chunks, and the final one with the rest."""
        last = max(0, len(plaintext) - 1) // CHUNK_SIZE * CHUNK_SIZE
        parts = (plaintext[i : i + CHUNK_SIZE] for i in range(0, last, CHUNK_SIZE))
        return b"".join(map(self._chunks.seal, parts)) + self._chunks.seal_final(plaintext[last:])


class WholeResponseSealer:
    """message/ohttp-res: everything leaves with `finish`."""

    media_type = Form.WHOLE.response_media_type

    def __init__(self, secret: ResponseSecret) -> None:
        self._secret = secret
        self._informational: list[Informational] = []
        self._head: ResponseHead | None = None
        self._content = bytearray()
        self._finished = False

    def informational(self, part: Informational) -> bytes:
        """Kept for `finish`."""
        if self._head is not None:
            raise _out_of_order()
        encode_informational(part)  # refuses what can not be sent now, not at the end
        self._informational.append(part)
        return b""

    def start(self, head: ResponseHead) -> bytes:
        """Kept for `finish`."""
        if self._head is not None:
            raise _out_of_order()
        encode_head(head)
        self._head = head
        return b""

    def data(self, data: bytes) -> bytes:
        """Kept for `finish`."""
        if self._head is None or self._finished:
            raise _out_of_order()
        self._content += data
        return b""

    def finish(self, trailers: Fields = ()) -> bytes:
        """The response, sealed as one and padded."""
        if self._head is None or self._finished:
            raise _out_of_order()
        message = encode_known_response(self._head, bytes(self._content), trailers, tuple(self._informational))
        self._finished = True
        return seal_response(self._secret, message + bytes(padded_size(len(message)) - len(message)))

    def whole(self, head: ResponseHead, content: bytes) -> bytes:
        """The same as `start`, `data` and `finish`."""
        return self.start(head) + self.data(content) + self.finish()


def _out_of_order() -> MisuseError:
    return MisuseError(
        "channel.out-of-order", "informational responses, then start once, then data, then finish once"
    )
