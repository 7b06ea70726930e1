"""The room's end of one exchange: open a request, seal the answer. No sockets, no clock.

Nothing comes out of a request before its first chunk has proved authentic and new (`ReplayWindow`), no head before
its Date is accepted, and no `End` before the authenticated end: a server acts on a request only then.
"""

from datetime import datetime

from sealroom.channel.binary_http_decode import BinaryHttpDecoder, Kind
from sealroom.channel.channel_keys import ChannelKeys
from sealroom.channel.chunked_ohttp import RequestChunkOpener
from sealroom.channel.encapsulation import Form, RequestHeaderReader, ResponseSecret
from sealroom.channel.hpke import RecipientContext
from sealroom.channel.messages import Event, Limits, RequestHead
from sealroom.channel.ohttp import truncated
from sealroom.channel.replay import ReplayWindow
from sealroom.channel.response_sealer import ChunkedResponseSealer, ResponseSealer, WholeResponseSealer
from sealroom.channel.suites import TAG_SIZE
from sealroom.errors import MalformedError, MisuseError, SealroomError

__all__ = ["ServerExchange"]


class ServerExchange:
    """One request and its response.

    Args:
        keys: the room's keys of this generation.
        replay: the memory that belongs to those keys.
        at: when the request arrived; its Date is judged by it.
        limits: what the request may be.
        form: which of the two media types the request has.
    """

    def __init__(
        self,
        keys: ChannelKeys,
        replay: ReplayWindow,
        *,
        at: datetime,
        limits: Limits | None = None,
        form: Form = Form.CHUNKED,
    ) -> None:
        self._replay = replay
        self._at = at
        self._limits = limits or Limits()
        self._form = form
        self._header = RequestHeaderReader(keys, form)
        self._opener: RequestChunkOpener | _WholeOpener | None = None
        self._secret: ResponseSecret | None = None
        self._decoder = BinaryHttpDecoder(Kind.REQUEST, self._limits)
        self._admitted = False
        self._intact = True
        self._response_given = False
        self._error: SealroomError | None = None
        self._ended = False

    @property
    def answerable(self) -> bool:
        """Whether `response` may be used: the sender has proved to hold the exchange's key, and no chunk failed.

        After an error this says where the refusal goes: inside the encryption if true, else in clear.
        """
        return self._admitted and self._intact

    def receive(self, data: bytes) -> list[Event]:
        """The events (`RequestHead`, `Data`) that ``data`` completes.

        Raises `UnverifiedError` ``channel.unknown-key``, ``channel.unsupported-suite``, ``channel.replayed``,
        ``channel.not-authentic``, ``channel.date-missing``, ``channel.date-outside-window``; `UnavailableError`
        ``channel.replay-window-full``; `MalformedError` ``channel.chunk-too-large``, ``channel.bad-message``,
        ``channel.head-too-large``, ``channel.body-too-large``. Then nothing more may be received.
        """
        self._require_open()
        try:
            return self._decode(self._open(data))
        except SealroomError as error:
            self._error = error
            raise

    def end_of_input(self) -> list[Event]:
        """The HTTP content has ended: the last events, `End` among them.

        Raises what `receive` does, and `UnverifiedError` ``channel.truncated`` if the end is not authentic.
        """
        self._require_open()
        try:
            events = self._decode([self._open_last()])
            events += self._dated(self._decoder.end_of_input())
        except SealroomError as error:
            self._error = error
            raise
        self._ended = True
        return events

    def response(self) -> ResponseSealer:
        """What seals the answer; once. Before the request's end it is for refusals only."""
        if not self.answerable or self._secret is None or self._response_given:
            raise MisuseError("channel.out-of-order", "there is one response, to a request that has proved authentic")
        self._response_given = True
        return WholeResponseSealer(self._secret) if self._form is Form.WHOLE else ChunkedResponseSealer(self._secret)

    def _open(self, data: bytes) -> list[bytes]:
        if self._opener is None:
            rest = self._header.receive(data)
            if rest is None:
                return []
            self._replay.refuse_if_seen(self._header.enc, self._at)
            context, self._secret = self._header.open()
            self._opener = (
                RequestChunkOpener(context, self._limits.chunk)
                if self._form is Form.CHUNKED
                else _WholeOpener(context, 2 * self._limits.head + self._limits.body + self._limits.padding)
            )
            data = rest
        try:
            parts = self._opener.receive(data)
        except SealroomError:
            self._intact = False
            raise
        if parts:
            self._admit()
        return parts

    def _open_last(self) -> bytes:
        if self._opener is None:
            raise truncated()
        try:
            last = self._opener.end_of_input()
        except SealroomError:
            self._intact = False
            raise
        self._admit()
        return last

    def _admit(self) -> None:
        if not self._admitted:
            self._replay.admit(self._header.enc, self._at)
            self._admitted = True

    def _decode(self, parts: list[bytes]) -> list[Event]:
        return self._dated([event for part in parts for event in self._decoder.receive(part)])

    def _dated(self, events: list[Event]) -> list[Event]:
        """``events`` again, once their head's date is accepted; a short message's head comes as late as its end."""
        for event in events:
            if isinstance(event, RequestHead):
                self._replay.check_date(event.headers, self._at)
        return events

    def _require_open(self) -> None:
        if self._error is not None:
            raise self._error
        if self._ended:
            raise MisuseError("channel.finished", "this message has ended already")


class _WholeOpener:
    """The unchunked form with the face of the chunked: all of the plaintext comes at the end."""

    def __init__(self, context: RecipientContext, largest: int) -> None:
        self._context = context
        self._largest = largest
        self._sealed = bytearray()

    def receive(self, data: bytes) -> list[bytes]:
        self._sealed += data
        if len(self._sealed) > self._largest:
            raise MalformedError("channel.chunk-too-large", "the sealed request is larger than we take",
                                 expected=f"at most {self._largest} bytes")  # fmt: skip
        return []

    def end_of_input(self) -> bytes:
        if len(self._sealed) < TAG_SIZE:
            raise truncated()
        return self._context.open(bytes(self._sealed))
