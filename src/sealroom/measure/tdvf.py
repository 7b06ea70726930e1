"""A TDX firmware image and its sections (Intel TDX Virtual Firmware Design Guide, section 11)."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sealroom.errors import MalformedError
from sealroom.measure.guid_table import PAGE, read_guid_table

__all__ = ["CFV", "Section", "TdvfImage", "read_tdvf"]

_OFFSET_ENTRY = "e47a6535-984a-4798-865e-4685a7bf8ec2"
_DESCRIPTOR_GUID = UUID("e9eaf9f3-168e-44d5-a8eb-7f4d8738f6ae").bytes_le
_HEAD = struct.Struct("<4sIII")
_SECTION = struct.Struct("<IIQQII")
_VERSION = 1
_MAX_SECTIONS = 64
_TYPES: Mapping[int, str] = {
    0: "BFV", 1: "CFV", 2: "TD_HOB", 3: "TempMem", 4: "PermMem", 5: "Payload", 6: "PayloadParam", 7: "TD_INFO",
    8: "TD_PARAMS",
}  # fmt: skip
CFV = "CFV"
_MR_EXTEND, _PAGE_AUG = 1, 2
_NOT_LOADED = frozenset({"TD_INFO", "TD_PARAMS"})
"""td-shim's own words about the image: they have no place in memory, and lie inside a section that has."""
_MAX_MEMORY, _MAX_ADDRESS = 1 << 36, 1 << 52
"""Bytes of one section; what is measured is bounded by the image, and this by no machine that is met."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the image, and where the host puts it."""

    type: str
    offset: int
    raw_size: int
    address: int
    memory_size: int
    extended: bool
    """Its contents are measured, page by page."""
    augmented: bool
    """Its pages are added later, and not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TdvfImage:
    """A firmware image with its sections, in the order of its table."""

    image: bytes
    sections: tuple[Section, ...]

    def content(self, section: Section) -> bytes:
        """The section's bytes in the image; the rest of its memory is zeros, and may be much more than the image."""
        return self.image[section.offset : section.offset + section.raw_size]

    def only(self, kind: str) -> Section | None:
        """The one section of this type; None if there is none, or more."""
        found = [section for section in self.sections if section.type == kind]
        return found[0] if len(found) == 1 else None


def read_tdvf(image: bytes) -> TdvfImage:
    """Read an image.

    Raises:
        MalformedError: ``measure.firmware-…``, ``measure.tdvf``.
    """
    entry = read_guid_table(image).get(_OFFSET_ENTRY)
    if entry is None or len(entry) != 4:
        raise _malformed("has no TDX metadata", "nothing", f"an entry {_OFFSET_ENTRY}")
    start = len(image) - int.from_bytes(entry, "little")
    if start < 16 or start + _HEAD.size > len(image) or image[start - 16 : start] != _DESCRIPTOR_GUID:
        raise _malformed("points to TDX metadata that are not there", f"0x{max(start, 0):x}", "a TDVF descriptor")
    signature, length, version, count = _HEAD.unpack_from(image, start)
    if signature != b"TDVF" or version != _VERSION:
        raise _malformed("has TDX metadata of another form", f"{signature!r}, version {version}", "TDVF, version 1")
    if not 1 <= count <= _MAX_SECTIONS or length != _HEAD.size + count * _SECTION.size or start + length > len(image):
        raise _malformed("has TDX metadata that do not fit their length", f"{count} sections, {length} bytes",
                         f"{_HEAD.size} bytes and {_SECTION.size} for each section")  # fmt: skip
    return TdvfImage(image=image, sections=tuple(
        _section(image, index, start + _HEAD.size + index * _SECTION.size) for index in range(count)
    ))  # fmt: skip


def _section(image: bytes, index: int, at: int) -> Section:
    offset, raw_size, address, memory_size, kind, attributes = _SECTION.unpack_from(image, at)
    if kind not in _TYPES or attributes & ~(_MR_EXTEND | _PAGE_AUG):
        raise _malformed(f"has a section {index} that is not known", f"type {kind}, attributes 0x{attributes:x}",
                         "types 0 to 8, attributes 0 to 3")  # fmt: skip
    if not (_fits(raw_size, address, memory_size) or (_TYPES[kind] in _NOT_LOADED and address == memory_size == 0)):
        raise _malformed(f"has a section {index} that does not fit its memory",
                         f"{raw_size} bytes into {memory_size} at 0x{address:x}", "whole pages")  # fmt: skip
    if offset + raw_size > len(image):
        raise _malformed(f"has a section {index} past its end", f"{raw_size} bytes at 0x{offset:x}",
                         f"{len(image)} bytes")  # fmt: skip
    return Section(type=_TYPES[kind], offset=offset, raw_size=raw_size, address=address, memory_size=memory_size,
                   extended=bool(attributes & _MR_EXTEND), augmented=bool(attributes & _PAGE_AUG))  # fmt: skip


def _fits(raw_size: int, address: int, memory_size: int) -> bool:
    whole_pages = not (address % PAGE or memory_size % PAGE)
    in_memory = 0 < memory_size <= _MAX_MEMORY and address + memory_size <= _MAX_ADDRESS
    return whole_pages and in_memory and raw_size <= memory_size


def _malformed(what: str, got: str, expected: str) -> MalformedError:
    return MalformedError("measure.tdvf", f"the firmware image {what}", got=got, expected=expected,
                          hint="give the whole image for TDX, code and variables in one (OVMF.fd, OVMF.inteltdx.fd)",
                          )  # fmt: skip
