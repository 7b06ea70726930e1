"""The caller's end of one exchange: seal a request to an attested key, open the answer. No sockets, no clock."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from sealroom.channel.binary_http_decode import BinaryHttpDecoder, Kind
from sealroom.channel.binary_http_encode import encode_content_chunk, encode_end, encode_head
from sealroom.channel.chunked_ohttp import ResponseChunkOpener, seal_chunk
from sealroom.channel.encapsulation import Form, ResponseSecret, encapsulate_header
from sealroom.channel.key_config import choose_config, parse_key_configs
from sealroom.channel.messages import Event, Fields, Limits, RequestHead
from sealroom.channel.padding import CHUNK_SIZE, padded_size
from sealroom.channel.replay import format_date
from sealroom.errors import MisuseError, SealroomError
from sealroom.evidence import AttestedKey, KeyPurpose

__all__ = ["REQUEST_MEDIA_TYPE", "RESPONSE_MEDIA_TYPE", "ClientExchange", "ResponseOpener"]

REQUEST_MEDIA_TYPE = Form.CHUNKED.request_media_type
RESPONSE_MEDIA_TYPE = Form.CHUNKED.response_media_type


class ClientExchange:
    """One request and its response. Make a new one for each: nothing in it may be used twice.

    Args:
        key: the room's key list, attested for the channel and valid ``at``.
        at: now; also becomes the request's Date.
        limits: what the response may be.
        insecure_without_post_quantum: also seal to a room that attests no post-quantum key. A list that has one is
            used through it, whatever is set here.

    Raises `MisuseError`, `UnverifiedError` ``key.expired``, `MalformedError` ``channel.bad-key-list`` or
    ``channel.bad-public-key``, `RefusedError` ``channel.no-post-quantum-key``; nothing has been sent then.
    """

    def __init__(
        self,
        key: AttestedKey,
        *,
        at: datetime,
        limits: Limits | None = None,
        insecure_without_post_quantum: bool = False,
    ) -> None:
        if not isinstance(key, AttestedKey):
            raise MisuseError("channel.key-not-attested", "only an attested key may be sealed to",
                              got=type(key).__name__, expected="AttestedKey")  # fmt: skip
        if at.tzinfo is None:
            raise MisuseError(
                "channel.naive-time", "a time without its zone tells nothing", hint="pass datetime.now(UTC)"
            )
        configs = parse_key_configs(key.key_for(KeyPurpose.CHANNEL, at))
        config, self.suite = choose_config(configs, insecure_without_post_quantum=insecure_without_post_quantum)
        self._header, self._context, self._secret = encapsulate_header(config, self.suite, Form.CHUNKED)
        self._date = format_date(at)
        self._limits = limits or Limits()
        self._pending = bytearray()
        self._size = 0
        self._stage = 0  # 0 new, 1 started, 2 finished
        self._response_given = False

    def request(self, head: RequestHead, body: bytes | Iterable[bytes] = b"") -> Iterator[bytes]:
        """The encapsulated request, piece by piece; `start`, `feed` and `finish` in one."""
        yield self.start(head)
        for part in (body,) if isinstance(body, bytes) else body:
            if sealed := self.feed(part):
                yield sealed
        yield self.finish()

    def start(self, head: RequestHead) -> bytes:
        """Begin with ``head``. Its Date, if it has one, gives way to ours, and connection fields are left out."""
        self._advance(0, 1)
        headers: Fields = tuple(line for line in head.headers if line[0].lower() != b"date")
        dated = RequestHead(method=head.method, path=head.path, scheme=head.scheme, authority=head.authority,
                            headers=(*headers, (b"date", self._date)))  # fmt: skip
        return self._header + self._take(encode_head(dated))

    def feed(self, data: bytes) -> bytes:
        """Some of the body; what comes back may be empty, for chunks leave only when they are full."""
        self._advance(1, 1)
        return self._take(encode_content_chunk(data))

    def finish(self) -> bytes:
        """The end of the request, padded to its bucket."""
        self._advance(1, 2)
        sealed = self._take(encode_end())
        sealed += self._take(bytes(padded_size(self._size) - self._size))
        return sealed + seal_chunk(self._context, bytes(self._pending), final=True)

    def response(self) -> "ResponseOpener":
        """What opens the answer. It may come while the request is still being sent."""
        if self._stage == 0 or self._response_given:
            raise MisuseError("channel.out-of-order", "there is one response, to a request that was begun")
        self._response_given = True
        return ResponseOpener(self._secret, self._limits)

    def _advance(self, expected: int, following: int) -> None:
        if self._stage != expected:
            raise MisuseError("channel.out-of-order", "start comes once, then feed, then finish once")
        self._stage = following

    def _take(self, plaintext: bytes) -> bytes:
        """Seal full chunks and keep the rest. A full last one stays: the final chunk must be able to carry it."""
        self._pending += plaintext
        self._size += len(plaintext)
        sealed = []
        while len(self._pending) > CHUNK_SIZE:
            sealed.append(seal_chunk(self._context, bytes(self._pending[:CHUNK_SIZE])))
            del self._pending[:CHUNK_SIZE]
        return b"".join(sealed)


class ResponseOpener:
    """Opens the answer to one request, as it arrives.

    Content is authentic when it comes out, and complete only when `end_of_input` has returned: a reader who acts on
    it earlier acts on what may be a beginning. After an error every call raises that error again.
    """

    def __init__(self, secret: ResponseSecret, limits: Limits) -> None:
        self._chunks = ResponseChunkOpener(secret, limits.chunk)
        self._decoder = BinaryHttpDecoder(Kind.RESPONSE, limits)
        self._error: SealroomError | None = None
        self._ended = False

    def receive(self, data: bytes) -> list[Event]:
        """The events (`Informational`, `ResponseHead`, `Data`) that ``data`` completes.

        Raises `UnverifiedError` ``channel.not-authentic``, `MalformedError` ``channel.chunk-too-large``,
        ``channel.bad-message``, ``channel.head-too-large`` or ``channel.body-too-large``.
        """
        self._require_open()
        try:
            return [event for part in self._chunks.receive(data) for event in self._decoder.receive(part)]
        except SealroomError as error:
            self._error = error
            raise

    def end_of_input(self) -> list[Event]:
        """The HTTP content has ended: the last events, `End` among them.

        Raises what `receive` does, and `UnverifiedError` ``channel.truncated`` if the end is not authentic.
        """
        self._require_open()
        try:
            last = self._chunks.end_of_input()
            events = self._decoder.receive(last) + self._decoder.end_of_input()
        except SealroomError as error:
            self._error = error
            raise
        self._ended = True
        return events

    def _require_open(self) -> None:
        if self._error is not None:
            raise self._error
        if self._ended:
            raise MisuseError("channel.finished", "this message has ended already")
