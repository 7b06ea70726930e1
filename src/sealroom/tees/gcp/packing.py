"""A structure of fixed fields from the message that lists them, and back: little-endian, each field of its size."""

from collections.abc import Collection
from dataclasses import dataclass

from sealroom.errors import MalformedError
from sealroom.tees.gcp.protobuf import Message, number_field, octets_field, read_message

__all__ = ["Nested", "Number", "Octets", "Parts", "Rest", "Row", "Zeros", "pack", "spread"]


@dataclass(frozen=True, slots=True)
class Number:
    """An unsigned number."""

    number: int
    size: int


@dataclass(frozen=True, slots=True)
class Octets:
    """As many bytes as ``size`` says."""

    number: int
    size: int


@dataclass(frozen=True, slots=True)
class Parts:
    """A field that stands ``count`` times."""

    number: int
    count: int
    size: int


@dataclass(frozen=True, slots=True)
class Nested:
    """A message of its own, with these rows."""

    number: int
    rows: "tuple[Row, ...]"


@dataclass(frozen=True, slots=True)
class Rest:
    """As many bytes as there are; a number before it says how many."""

    number: int


@dataclass(frozen=True, slots=True)
class Zeros:
    """Reserved bytes, which the message does not have."""

    size: int


Row = Number | Octets | Parts | Nested | Rest | Zeros


def pack(
    message: Message, rows: tuple[Row, ...], *, partial: bool = False, unread: Collection[int] = frozenset()
) -> bytes:
    """The structure.

    Args:
        message: untrusted.
        rows: of the structure, in its order.
        partial: the message may have fields that stand in no row.
        unread: fields that may be there, and are not a part of the structure.

    Raises:
        MalformedError: ``gcp.inner``: a field is of another size, or of no row; ``gcp.protobuf``.
    """
    known = {row.number for row in rows if not isinstance(row, Zeros)} | set(unread)
    if not partial and (foreign := message.numbers - known):
        raise _bad("a part of the report is not known here", min(foreign), None)
    return b"".join(_field(message, row) for row in rows)


def spread(raw: bytes, rows: tuple[Row, ...]) -> bytes:
    """The message that `pack` makes ``raw`` of: what a guest does with what its hardware gave it.

    Raises:
        MalformedError: ``gcp.inner``: ``raw`` is shorter than the rows, or longer, or uses what was reserved.
    """
    source = _Source(raw)
    message = source.message(rows)
    if source.left():
        raise _bad("bytes follow the report", 0, source.left())
    return message


class _Source:
    """Takes a structure apart, row by row."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0
        self._last = 0

    def left(self) -> int:
        """Bytes that no row took."""
        return len(self._raw) - self._at

    def message(self, rows: tuple[Row, ...]) -> bytes:
        """The message of these rows."""
        return b"".join(self._field(row) for row in rows)

    def _field(self, row: Row) -> bytes:
        match row:
            case Zeros(size):
                if any(self._take(size)):
                    raise _bad("reserved bytes that are not zero have no place in the message", 0, f"at {self._at}")
                return b""
            case Number(number, size):
                self._last = int.from_bytes(self._take(size), "little")
                return number_field(number, self._last)
            case Nested(number, rows):
                return octets_field(number, self.message(rows))
            case Rest(number):
                return octets_field(number, self._take(self._last))
            case Parts(number, count, size):
                return b"".join(octets_field(number, self._take(size)) for _ in range(count))
            case Octets(number, size):
                return octets_field(number, self._take(size))

    def _take(self, size: int) -> bytes:
        if size > self.left():
            raise _bad("the report ends early", 0, self.left())
        self._at += size
        return self._raw[self._at - size : self._at]


def _field(message: Message, row: Row) -> bytes:
    if isinstance(row, Zeros):
        return bytes(row.size)
    if isinstance(row, Number):
        value = message.integer(row.number)
        if value >> 8 * row.size:
            raise _bad("a number is larger than its field", row.number, value)
        return value.to_bytes(row.size, "little")
    if isinstance(row, Nested):
        return pack(read_message(message.octets(row.number)), row.rows)
    if isinstance(row, Rest):
        return message.octets(row.number)
    values = message.all_octets(row.number) if isinstance(row, Parts) else [message.octets(row.number)]
    count = row.count if isinstance(row, Parts) else 1
    if len(values) != count or any(len(value) != row.size for value in values):
        raise _bad("a part of the report is of another size", row.number, [len(value) for value in values])
    return b"".join(values)


def _bad(message: str, number: int, got: object) -> MalformedError:
    return MalformedError("gcp.inner", message, where=f"field {number}", got=got)
