"""The table of entries at the end of a firmware image (OVMF), read backwards from its footer.

Each entry is {data, size u16 with these 18 bytes, GUID 16}; the last one, 32 bytes before the end of the image, is
the footer, and its size is that of the whole table.
"""

from collections.abc import Mapping
from uuid import UUID

from sealroom.errors import MalformedError

__all__ = ["FOUR_GIB", "MAX_FIRMWARE", "PAGE", "read_guid_table"]

PAGE = 4096
FOUR_GIB = 1 << 32
"""Firmware ends there."""
MAX_FIRMWARE = 64 * 1024 * 1024
_FOOTER = UUID("96b582de-1fb2-45f7-baea-a366c55a082d").bytes_le
_FOOTER_FROM_END = 32
_ENTRY = 18


def read_guid_table(image: bytes) -> Mapping[str, bytes]:
    """Data of every entry by GUID.

    Raises:
        MalformedError: ``measure.firmware-…``.
    """
    if not image or len(image) % PAGE or len(image) > MAX_FIRMWARE:
        raise MalformedError("measure.firmware-size", "the firmware image is not a number of pages",
                             got=f"{len(image)} bytes", expected=f"a multiple of {PAGE}, at most {MAX_FIRMWARE}",
                             hint="give the whole image, such as OVMF.fd")  # fmt: skip
    end = len(image) - _FOOTER_FROM_END
    if image[end - 16 : end] != _FOOTER:
        raise MalformedError("measure.firmware-table", "the firmware image has no table of entries at its end",
                             where=f"0x{end - 16:x}", got=image[end - 16 : end].hex(), expected=_FOOTER.hex(),
                             hint="this is no OVMF image, or only a part of one")  # fmt: skip
    size = int.from_bytes(image[end - _ENTRY : end - 16], "little")
    start, cursor = end - size, end - _ENTRY
    if size < _ENTRY or start < 0:
        raise _malformed(end, f"{size} bytes")
    found: dict[str, bytes] = {}
    while cursor > start:
        if cursor - start < _ENTRY:
            raise _malformed(cursor, f"{cursor - start} bytes left")
        name = str(UUID(bytes_le=image[cursor - 16 : cursor]))
        length = int.from_bytes(image[cursor - _ENTRY : cursor - 16], "little")
        if not _ENTRY <= length <= cursor - start or name in found:
            raise _malformed(cursor, f"an entry of {length} bytes, {name}")
        found[name] = image[cursor - length : cursor - _ENTRY]
        cursor -= length
    return found


def _malformed(at: int, got: str) -> MalformedError:
    return MalformedError("measure.firmware-table", "the firmware's table of entries does not hold together",
                          where=f"0x{at:x}", got=got)  # fmt: skip
