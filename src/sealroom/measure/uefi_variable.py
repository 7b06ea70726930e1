"""UEFI_VARIABLE_DATA, as events carry it (TCG PC Client Platform Firmware Profile, section 10.2.6)."""

import struct
from dataclasses import dataclass, field
from uuid import UUID

__all__ = ["GUID_SIZE", "UefiVariable", "encode_variable", "guid", "read_variable", "readable"]

GUID_SIZE = 16
_HEAD = struct.Struct("<16sQQ")
_MOST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class UefiVariable:
    """A variable as it was measured."""

    vendor: str
    name: str
    data: bytes = field(repr=False)


def read_variable(raw: bytes) -> UefiVariable | None:
    """The variable in ``raw``; None if it is none, which some firmware writes. Bytes after it are ignored."""
    if len(raw) < _HEAD.size:
        return None
    vendor, name_units, data_size = _HEAD.unpack_from(raw)
    name_end = _HEAD.size + 2 * name_units
    if name_end > len(raw) or name_end + data_size > len(raw):
        return None
    name = raw[_HEAD.size : name_end].decode("utf-16-le", "replace")
    return UefiVariable(vendor=guid(vendor), name=name, data=raw[name_end : name_end + data_size])


def encode_variable(vendor: str, name: str, data: bytes) -> bytes:
    """The bytes that firmware measures for a variable."""
    units = name.encode("utf-16-le")
    return _HEAD.pack(UUID(vendor).bytes_le, len(units) // 2, len(data)) + units + data


def guid(raw: bytes) -> str:
    """A GUID of 16 bytes as it is written."""
    return str(UUID(bytes_le=raw))


def readable(data: bytes) -> str:
    """``data`` as text that no terminal obeys: whoever booted the machine chose it."""
    wide = len(data) >= 4 and len(data) % 2 == 0 and data[1::2].count(0) * 2 > len(data) // 2
    text = data.decode("utf-16-le" if wide else "utf-8", "replace").rstrip("\x00")
    if not text or sum(char.isprintable() or char in "\t\n" for char in text) * 10 < len(text) * 8:
        return data[:32].hex() + ("…" if len(data) > 32 else "")
    shown = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text[:_MOST])
    return shown + ("…" if len(text) > _MOST else "")
