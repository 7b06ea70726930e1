"""Firmware event logs: the TCG's forms with one digest for each algorithm, and the older one with SHA-1 alone.

TCG PC Client Platform Firmware Profile, sections 10.2 and 10.4. The first event (Spec ID) says which algorithms the
log has, and how long their digests are; everything after it depends on that table, and the table must agree with what
the algorithms are. No length of the log is stored anywhere: it ends where padding begins, and all the rest must be
padding. Reading a log proves nothing: only a replay that equals a quote does.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from sealroom.errors import MalformedError

__all__ = ["ALGORITHMS", "EV_NO_ACTION", "Event", "EventLog", "read_event_log"]

ALGORITHMS: Mapping[int, tuple[str, int]] = {
    0x4: ("sha1", 20),
    0xB: ("sha256", 32),
    0xC: ("sha384", 48),
    0xD: ("sha512", 64),
    0x12: ("sm3_256", 32),
}
"""TPM algorithm identifiers: name, bytes of a digest (TCG Algorithm Registry)."""

EV_NO_ACTION = 3
MAX_LOG = 4 * 1024 * 1024
MAX_EVENTS = 16 * 1024
_SHA1 = 0x4
_SPEC_ID = b"Spec ID Event03\x00"
_OLD_SPEC_ID = b"Spec ID Event"
_HEAD = struct.Struct("<II")
_U16, _U32 = struct.Struct("<H"), struct.Struct("<I")
_SPEC = struct.Struct("<16sIBBBBI")
_PADDING = b"\x00\xff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event, as it stands in the log."""

    number: int
    offset: int
    index: int
    """PCR, or CC measurement register."""
    type: int
    digests: Mapping[str, bytes]
    """By algorithm."""
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLog:
    """A log that could be read. Untrusted."""

    crypto_agile: bool
    algorithms: tuple[str, ...]
    """In the order of the table; ``sha1`` alone in the older form."""
    vendor_info: bytes
    events: tuple[Event, ...]
    """The header, where there is one, is the first; it is not extended into anything."""
    used: int
    """Bytes up to the padding."""


def read_event_log(raw: bytes) -> EventLog:
    """Read a whole log area.

    Raises:
        MalformedError: ``eventlog.*``.
    """
    if len(raw) > MAX_LOG:
        raise MalformedError("eventlog.too-long", "the event log is longer than any", got=len(raw), expected=MAX_LOG)
    reader = _Reader(raw)
    if _is_padding(raw):
        raise _malformed("is empty", 0, f"{len(raw)} bytes of padding", "events")
    first = reader.old_event(0)
    if first.type == EV_NO_ACTION and first.data.startswith(_SPEC_ID):
        sizes, vendor_info = _read_table(first)
        return _rest(reader, first, sizes, vendor_info)
    return _sha1_log(reader, first)


def _rest(reader: "_Reader", first: Event, sizes: Mapping[int, int], vendor_info: bytes) -> EventLog:
    events = [first]
    while not reader.at_end():
        events.append(reader.event(len(events), sizes))
        _limit(events)
    return EventLog(crypto_agile=True, algorithms=tuple(ALGORITHMS[one][0] for one in sizes), vendor_info=vendor_info,
                    events=tuple(events), used=reader.offset)  # fmt: skip


def _sha1_log(reader: "_Reader", first: Event) -> EventLog:
    """The older form, in which some firmware states a Spec ID too."""
    header = first.type == EV_NO_ACTION and first.data.startswith(_OLD_SPEC_ID)
    events = [first]
    while not reader.at_end():
        events.append(reader.old_event(len(events)))
        _limit(events)
    return EventLog(crypto_agile=False, algorithms=("sha1",), vendor_info=first.data[:16] if header else b"",
                    events=tuple(events), used=reader.offset)  # fmt: skip


def _read_table(first: Event) -> tuple[dict[int, int], bytes]:
    """Digest sizes by algorithm, and what the vendor says."""
    data, where = first.data, first.offset
    if len(data) < _SPEC.size:
        raise _malformed("has a Spec ID that is cut off", where, f"{len(data)} bytes", f"{_SPEC.size}")
    if any(first.digests["sha1"]):
        raise _malformed("has a header with a digest", where, first.digests["sha1"].hex(), "zeros")
    uintn, count = data[23], _SPEC.unpack_from(data)[6]
    if uintn not in {1, 2} or not 1 <= count <= len(ALGORITHMS):
        raise _malformed("has a Spec ID that can not be", where, f"uintn {uintn}, {count} algorithms",
                         f"1 or 2, 1 to {len(ALGORITHMS)}")  # fmt: skip
    sizes: dict[int, int] = {}
    end = _SPEC.size + 4 * count
    if len(data) < end + 1:
        raise _malformed("has a table of algorithms that is cut off", where, f"{len(data)} bytes", f"{end + 1}")
    for at in range(_SPEC.size, end, 4):
        algorithm, size = _U16.unpack_from(data, at)[0], _U16.unpack_from(data, at + 2)[0]
        if algorithm not in ALGORITHMS or ALGORITHMS[algorithm][1] != size or algorithm in sizes:
            raise _malformed("has a table of algorithms that does not fit them", where,
                             f"0x{algorithm:x}: {size} bytes",
                             "each known algorithm once, with its own size")  # fmt: skip
        sizes[algorithm] = size
    if len(data) != end + 1 + data[end]:
        raise _malformed("has a Spec ID of another length", where, f"{len(data)} bytes", f"{end + 1 + data[end]}")
    return sizes, data[end + 1 :]


class _Reader:
    """Takes one event after the other."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.offset = 0

    def at_end(self) -> bool:
        """Whether only padding is left."""
        raw, offset = self._raw, self.offset
        rest = len(raw) - offset
        if rest == 0:
            return True
        head = raw[offset : offset + 12]
        # index and type of all ones, or index, type and digest count of zero: no event looks so
        if head[:8] in (b"\xff" * 8, b"\xff" * rest) or not any(head):
            if not _is_padding(raw[offset:]):
                raise _malformed("goes on after its end", offset, "other bytes among the padding", "padding alone")
            return True
        return False

    def old_event(self, number: int) -> Event:
        """An event of the older form: one SHA-1 digest."""
        start = self.offset
        index, kind = _HEAD.unpack(self._take(8, "an event"))
        digest = self._take(20, "a digest")
        return self._finish(number, start, index, kind, {"sha1": digest})

    def event(self, number: int, sizes: Mapping[int, int]) -> Event:
        """An event with a digest for each algorithm of the table."""
        start = self.offset
        index, kind = _HEAD.unpack(self._take(8, "an event"))
        (count,) = _U32.unpack(self._take(4, "a digest count"))
        if count != len(sizes):
            raise _malformed("has an event without a digest for each algorithm", start, f"{count} digests",
                             f"{len(sizes)}")  # fmt: skip
        digests: dict[str, bytes] = {}
        for _ in range(count):
            (algorithm,) = _U16.unpack(self._take(2, "an algorithm"))
            if algorithm not in sizes or ALGORITHMS[algorithm][0] in digests:
                raise _malformed("has an event with a digest that the table does not know, or one twice", start,
                                 f"algorithm 0x{algorithm:x}",
                                 ", ".join(f"0x{one:x}" for one in sizes))  # fmt: skip
            digests[ALGORITHMS[algorithm][0]] = self._take(sizes[algorithm], "a digest")
        return self._finish(number, start, index, kind, digests)

    def _finish(self, number: int, start: int, index: int, kind: int, digests: dict[str, bytes]) -> Event:
        (size,) = _U32.unpack(self._take(4, "an event size"))
        data = self._take(size, "an event's data")
        return Event(number=number, offset=start, index=index, type=kind, digests=digests, data=data)

    def _take(self, size: int, what: str) -> bytes:
        end = self.offset + size
        if end > len(self._raw):
            raise _malformed(f"ends inside {what}", self.offset, f"{len(self._raw) - self.offset} bytes",
                             f"{size} bytes")  # fmt: skip
        part = self._raw[self.offset : end]
        self.offset = end
        return part


def _is_padding(raw: bytes) -> bool:
    return not raw.strip(b"\x00") or not raw.strip(b"\xff") or not raw.strip(_PADDING)


def _limit(events: list[Event]) -> None:
    if len(events) > MAX_EVENTS:
        raise MalformedError("eventlog.too-long", "the event log has more events than any", expected=MAX_EVENTS)


def _malformed(what: str, offset: int, got: str, expected: str) -> MalformedError:
    return MalformedError("eventlog.malformed", f"the event log {what}", where=f"byte 0x{offset:x}", got=got,
                          expected=expected, hint="give the whole log area, as the firmware left it")  # fmt: skip
