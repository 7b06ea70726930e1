"""Binary HTTP, reading (RFC 9292): push bytes in, take events out. Known and indeterminate length, both kinds.

The decoder is a chain of steps; each looks at the buffer, takes what is whole, and names the step that follows.
Nothing is parsed twice: a section of known length waits until it is here, everything else goes line by line.
"""

from collections.abc import Callable
from enum import Enum

from sealroom.channel.fields import check_field, check_request_head
from sealroom.channel.messages import (
    Data,
    End,
    Event,
    Fields,
    Informational,
    Limits,
    RequestHead,
    ResponseHead,
    find_field,
)
from sealroom.channel.varint import decode_varint
from sealroom.errors import MalformedError, MisuseError

__all__ = ["BinaryHttpDecoder", "Kind"]


class Kind(Enum):
    """What a decoder is for; the value is its two framing indicators, known length first."""

    REQUEST = (0, 2)
    RESPONSE = (1, 3)


class BinaryHttpDecoder:
    """One message. After an error it is spent.

    Raises `MalformedError` ``channel.bad-message``, ``channel.head-too-large`` or ``channel.body-too-large``.
    """

    def __init__(self, kind: Kind, limits: Limits) -> None:
        self._kind = kind
        self._limits = limits
        self._buffer = bytearray()
        self._offset = 0
        self._events: list[Event] = []
        self._step: Callable[[], bool] = self._read_framing
        self._may_end = False  # whether RFC 9292 section 3.8 lets a message end where we are
        self._known = False
        self._head: RequestHead | ResponseHead | Informational | None = None
        self._lines: list[tuple[bytes, bytes]] = []
        self._section_size = 0
        self._in_trailers = False
        self._remaining = 0  # of the content or content chunk that is being read
        self._body_size = 0
        self._announced: int | None = None  # by a request's content-length
        self._padding = 0
        self._informational = 0
        self._ended = False

    def receive(self, data: bytes) -> list[Event]:
        """The events that ``data`` completes. `End` comes from `end_of_input` alone: only there is padding over."""
        if self._ended:
            raise MisuseError("channel.finished", "this message has ended already")
        self._buffer += data
        while self._step():
            pass
        del self._buffer[: self._offset]
        self._offset = 0
        return self._take_events()

    def end_of_input(self) -> list[Event]:
        """The last events, `End` among them; `MalformedError` if the message may not end here."""
        if self._ended:
            raise MisuseError("channel.finished", "this message has ended already")
        if self._buffer or not self._may_end:
            raise _bad("the message ends in its middle")
        self._ended = True
        if self._head is not None:
            self._finish_headers()
        self._check_content_length()
        self._events.append(End(tuple(self._lines)))
        return self._take_events()

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    # Each step returns whether there may be more to do.

    def _read_framing(self) -> bool:
        framing = self._varint()
        if framing is None:
            return False
        if framing not in self._kind.value:
            raise _bad("the framing indicator is none of this kind of message", "framing indicator")
        self._known = framing == self._kind.value[0]
        return self._next(self._read_request_control if self._kind is Kind.REQUEST else self._read_status)

    def _read_request_control(self) -> bool:
        spans = self._spans(4)
        if spans is None:
            return False
        try:
            method, scheme, authority, path = (self._buffer[span].decode("ascii") for span in spans)
        except UnicodeDecodeError:  # it holds the plaintext, so it is not kept as a cause
            raise _bad("the request target is not ASCII", "control data") from None
        head = RequestHead(method=method, scheme=scheme, authority=authority, path=path)
        check_request_head(head)
        self._head = head
        return self._begin_section(may_end=True)

    def _read_status(self) -> bool:
        status = self._varint()
        if status is None:
            return False
        if 200 <= status <= 599:
            self._head = ResponseHead(status=status)
            return self._begin_section(may_end=True)
        if not 100 <= status <= 199:
            raise _bad("the status is none", "status")
        self._informational += 1
        if self._informational > self._limits.informational:
            raise _bad("there are too many informational responses", "status")
        self._head = Informational(status=status)
        return self._begin_section(may_end=False)

    def _begin_section(self, *, may_end: bool) -> bool:
        self._lines = []
        self._section_size = 0
        return self._next(self._read_known_section if self._known else self._read_field_line, may_end=may_end)

    def _read_known_section(self) -> bool:
        start = self._offset
        size = self._varint()
        if size is None:
            return False
        self._bound_section(size)
        end = self._offset + size
        if end > len(self._buffer):
            self._offset = start
            return False
        section = bytes(self._buffer[self._offset : end])
        self._offset = end
        self._lines = _parse_lines(section, self._limits.fields)
        return self._end_section()

    def _read_field_line(self) -> bool:
        start = self._offset
        if self._varint() == 0:
            return self._end_section()
        self._offset = start
        spans = self._spans(2)
        if spans is None:
            return False
        self._section_size += self._offset - start
        self._bound_section(self._section_size)
        if len(self._lines) >= self._limits.fields:
            raise _head_too_large("field lines")
        name, value = (bytes(self._buffer[span]) for span in spans)
        self._lines.append(check_field(name, value))
        return self._next(self._read_field_line)

    def _end_section(self) -> bool:
        if self._in_trailers:
            return self._next(self._read_padding, may_end=True)
        final = not isinstance(self._head, Informational)
        self._finish_headers()
        if not final:
            return self._next(self._read_status)
        return self._next(self._read_content_length, may_end=True)

    def _finish_headers(self) -> None:
        headers: Fields = tuple(self._lines)
        self._lines = []
        match self._head:
            case RequestHead() as head:
                self._announced = _announced_length(headers)
                self._events.append(RequestHead(method=head.method, scheme=head.scheme, authority=head.authority,
                                                path=head.path, headers=headers))  # fmt: skip
            case ResponseHead(status=status):
                self._events.append(ResponseHead(status=status, headers=headers))
            case Informational(status=status):
                self._events.append(Informational(status=status, headers=headers))
        self._head = None

    def _read_content_length(self) -> bool:
        size = self._varint()
        if size is None:
            return False
        self._body_size += size
        if self._body_size > self._limits.body:
            raise MalformedError("channel.body-too-large", "the content is larger than we take",
                                 expected=f"at most {self._limits.body} bytes")  # fmt: skip
        self._remaining = size
        if size == 0:
            return self._begin_trailers()
        return self._next(self._read_content)

    def _read_content(self) -> bool:
        available = min(self._remaining, len(self._buffer) - self._offset)
        if not available:
            return False
        self._events.append(Data(bytes(self._buffer[self._offset : self._offset + available])))
        self._offset += available
        self._remaining -= available
        if self._remaining:
            return False
        return self._begin_trailers() if self._known else self._next(self._read_content_length)

    def _begin_trailers(self) -> bool:
        self._check_content_length()
        self._in_trailers = True
        return self._begin_section(may_end=True)

    def _read_padding(self) -> bool:
        rest = self._buffer[self._offset :]
        if rest.count(0) != len(rest):
            raise _bad("the padding is not zero", "padding")
        self._padding += len(rest)
        if self._padding > self._limits.padding:
            raise _bad("there is more padding than we take", "padding")
        self._offset = len(self._buffer)
        return False

    def _check_content_length(self) -> None:
        if self._announced is not None and self._announced != self._body_size:
            raise _bad("the content is not as long as content-length says", "content-length")

    def _next(self, step: Callable[[], bool], *, may_end: bool = False) -> bool:
        self._step = step
        self._may_end = may_end
        return True

    def _varint(self) -> int | None:
        decoded = decode_varint(self._buffer, self._offset)
        if decoded is None:
            return None
        value, self._offset = decoded
        return value

    def _spans(self, count: int) -> list[slice] | None:
        """Where the next ``count`` length-prefixed strings lie, or None while one is not whole; copies nothing."""
        start, spans = self._offset, []
        for _ in range(count):
            size = self._varint()
            end = self._offset + (size or 0)
            self._bound_section(end - start)
            if size is None or end > len(self._buffer):
                self._offset = start
                return None
            spans.append(slice(self._offset, end))
            self._offset = end
        return spans

    def _bound_section(self, size: int) -> None:
        if size > self._limits.head:
            raise _head_too_large("section")


def _parse_lines(section: bytes, most: int) -> list[tuple[bytes, bytes]]:
    lines: list[tuple[bytes, bytes]] = []
    offset = 0
    while offset < len(section):
        name, offset = _slice(section, offset)
        value, offset = _slice(section, offset)
        if len(lines) >= most:
            raise _head_too_large("field lines")
        lines.append(check_field(name, value))
    return lines


def _slice(section: bytes, offset: int) -> tuple[bytes, int]:
    decoded = decode_varint(section, offset)
    if decoded is None or decoded[0] + decoded[1] > len(section):
        raise _bad("a field line runs past its section", "field section")
    size, start = decoded
    return section[start : start + size], start + size


def _announced_length(headers: Fields) -> int | None:
    values = set(find_field(headers, b"content-length"))
    if not values:
        return None
    value = values.pop()
    if values or not value.isdigit() or len(value) > 19:
        raise _bad("content-length is no number, or several", "content-length")
    return int(value)


def _bad(message: str, where: str | None = None) -> MalformedError:
    return MalformedError("channel.bad-message", message, where=where)


def _head_too_large(where: str) -> MalformedError:
    return MalformedError("channel.head-too-large", "the head of the message is larger than we take", where=where)
