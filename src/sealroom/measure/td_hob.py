"""The TD HOB: the list in which the host tells firmware what memory there is (UEFI PI 1.8 volume 3; TDVF design guide
section 4.2). It is the first thing in RTMR0, so that RTMR0 depends on how much memory a TD has.

The end marker counts in the list's own length field, and is not hashed.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from sealroom.errors import MisuseError
from sealroom.measure.guid_table import FOUR_GIB, PAGE
from sealroom.measure.tcg2 import Event
from sealroom.measure.tdvf import TdvfImage

__all__ = ["OVMF_RANGES", "HobRange", "hob_ranges", "low_memory", "memory_of_hob", "td_hob", "td_hob_digest"]

_PHIT = struct.Struct("<HHIII4QQ")
_RESOURCE = struct.Struct("<HHI16sIIQQ")
_ACCEPTED, _UNACCEPTED = 0, 7
_ATTRIBUTES = 7
_END_MARKER = 8
_LOW_MOST, _LOW_ELSE = 0xB0000000, 0x80000000
"""QEMU's q35 machine: all memory is below 4 GiB if it is less than 0xB0000000, else 2 GiB of it are."""
_MAX_MEMORY = 1 << 48
_SET_UP_EARLY = frozenset({"TD_HOB", "TempMem"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HobRange:
    """Memory that the host has accepted for the firmware before it starts."""

    address: int
    size: int
    is_hob: bool = False


OVMF_RANGES = (
    HobRange(address=0x800000, size=0x6000),
    HobRange(address=0x809000, size=0x2000, is_hob=True),
    HobRange(address=0x80B000, size=0x2000),
    HobRange(address=0x810000, size=0x10000),
)
"""Of OVMF's TDX metadata: temporary memory, and the place of the list itself."""


def low_memory(memory: int) -> int:
    """How many of ``memory`` bytes QEMU's q35 machine puts below 4 GiB."""
    return memory if memory < _LOW_MOST else _LOW_ELSE


def hob_ranges(image: TdvfImage) -> tuple[HobRange, ...]:
    """What the host accepts for this firmware: the sections of its metadata that it needs before there is memory."""
    return tuple(
        HobRange(address=section.address, size=section.memory_size, is_hob=section.type == "TD_HOB")
        for section in sorted(image.sections, key=lambda section: section.address)
        if section.type in _SET_UP_EARLY
    )


def td_hob(memory: int, ranges: Sequence[HobRange] = OVMF_RANGES) -> bytes:
    """The list that QEMU writes for ``memory`` bytes, without its end marker.

    Raises:
        MisuseError: ``measure.memory-size``, ``measure.hob-ranges``.
    """
    if not 0 < memory <= _MAX_MEMORY or memory % PAGE:
        raise MisuseError("measure.memory-size", "memory is a number of pages", got=memory)
    base = next((one.address for one in ranges if one.is_hob), None)
    ends = [0, *(one.address + one.size for one in ranges)]
    if base is None or any(one.address < end for one, end in zip(ranges, ends, strict=False)):
        raise MisuseError("measure.hob-ranges", "the accepted ranges do not name the list's own, or overlap",
                          expected="a TD_HOB section among them, in order of address")  # fmt: skip
    resources = b"".join(
        _RESOURCE.pack(3, _RESOURCE.size, 0, bytes(16), kind, _ATTRIBUTES, start, size)
        for kind, start, size in _resources(memory, ranges)
    )
    end = base + _PHIT.size + len(resources) + _END_MARKER
    return _PHIT.pack(1, _PHIT.size, 0, 9, 0, 0, 0, 0, 0, end) + resources


def td_hob_digest(memory: int, ranges: Sequence[HobRange] = OVMF_RANGES) -> bytes:
    """What goes into RTMR0."""
    return hashlib.sha384(td_hob(memory, ranges)).digest()


def memory_of_hob(events: Sequence[Event]) -> int | None:
    """How much memory the machine behind a log had, if its list is that of QEMU and OVMF with a usual size.

    Nobody writes the list into the log; its digest is found again among those of whole GiB up to 4 TiB.
    """
    digest = next((event.digests.get("sha384") for event in events if b"TdxTable" in event.data), None)
    if digest is None:
        return None
    return next((size << 30 for size in _usual_sizes() if td_hob_digest(size << 30) == digest), None)


def _usual_sizes() -> Sequence[int]:
    return [*range(1, 129), *range(132, 1025, 4), *range(1040, 4097, 16)]


def _resources(memory: int, ranges: Sequence[HobRange]) -> list[tuple[int, int, int]]:
    """Kind, address and size of each piece of memory, accepted ranges cut out, in order of address."""
    low = low_memory(memory)
    pieces, at = [], 0
    for one in ranges:
        if one.address > at:
            pieces.append((_UNACCEPTED, at, one.address - at))
        pieces.append((_ACCEPTED, one.address, one.size))
        at = one.address + one.size
    if at > low:
        raise MisuseError("measure.memory-size", "the machine has less memory than its firmware needs", got=memory)
    if low > at:
        pieces.append((_UNACCEPTED, at, low - at))
    if memory > low:
        pieces.append((_UNACCEPTED, FOUR_GIB, memory - low))
    return pieces
