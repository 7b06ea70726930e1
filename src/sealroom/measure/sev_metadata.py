"""A firmware image (or an SVSM's) as SEV-SNP starts it: which pages it asks for, where processors begin.

From OVMF's table of entries: the metadata (``ASEV``), the address at which further processors start, and where the
hashes of a kernel belong (OvmfPkg/ResetVector, OvmfSevMetadata.asm).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from sealroom.errors import MalformedError
from sealroom.measure.guid_table import FOUR_GIB, PAGE, read_guid_table

__all__ = ["SevImage", "SevSection", "read_sev_image"]

_METADATA = "dc886566-984a-4798-a75e-5585a7bf67cc"
_HASHES = "7255371f-3a3b-4b04-927b-1da6efa8d454"
_RESET = "00f771de-1a7e-4fcb-890e-68c77e2fb44e"
_SVSM_INFO = "a789a612-0597-4c4b-a49f-cbb1fe9d1ddd"
_HEAD, _ROW = struct.Struct("<4sIII"), struct.Struct("<III")
_SECRETS, _CPUID, _KERNEL_HASHES = 2, 3, 0x10
_KINDS = (1, _SECRETS, _CPUID, 4, _KERNEL_HASHES)
_ONE_PAGE = frozenset({_SECRETS, _CPUID, _KERNEL_HASHES})
_HASH_TABLE = 176
"""Bytes of the table of hashes that QEMU writes, with its padding."""
_MOST_MEMORY = 256 * 1024 * 1024
"""Bytes of all sections together; in images that are met it is some hundred KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SevSection:
    """Memory that the host sets up before the guest starts."""

    address: int
    size: int
    kind: int
    """1 zeros, 2 secrets, 3 CPUID, 4 an SVSM's calling area, 0x10 hashes of a kernel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SevImage:
    """An image, and what its metadata ask for, in their order."""

    image: bytes = field(repr=False)
    sections: tuple[SevSection, ...]
    entry: int
    """Where processors beside the first one start; of an SVSM: where all do, counted from the image's place."""
    hashes_at: int
    """Address of the table with the hashes of a kernel; 0: this firmware asks for none."""

    @property
    def measures_kernel(self) -> bool:
        """Whether the page with the hashes is measured, and is the one that the firmware will read."""
        pages = [section.address for section in self.sections if section.kind == _KERNEL_HASHES]
        return self.hashes_at != 0 and pages == [self.hashes_at - self.hashes_at % PAGE]


def read_sev_image(image: bytes, *, svsm: bool = False) -> SevImage:
    """Read an image; ``svsm``: one that stands below the firmware, and starts first.

    Raises:
        MalformedError: ``measure.firmware-…``.
    """
    table = read_guid_table(image)
    start = len(image) - _number(table, _METADATA)
    head = image[start : start + _HEAD.size] if 0 <= start <= len(image) - _HEAD.size else b""
    signature, size, version, count = _HEAD.unpack(head) if head else (b"", 0, 0, 0)
    if signature != b"ASEV" or version != 1 or size < _HEAD.size + _ROW.size * count or start + size > len(image):
        raise _malformed("do not hold together", head.hex() or f"an offset past the image: 0x{start:x}",
                         "ASEV, version 1, and as many sections as fit their size")  # fmt: skip
    rows = _ROW.iter_unpack(image[start + _HEAD.size : start + _HEAD.size + _ROW.size * count])
    sections = tuple(_section(number, *row) for number, row in enumerate(rows))
    if sum(section.size for section in sections) > _MOST_MEMORY:
        raise _malformed("claim more memory than any that is met, and each page of it would be hashed",
                         f"{count} sections", f"at most {_MOST_MEMORY} bytes")  # fmt: skip
    hashes_at = _number(table, _HASHES) if _HASHES in table else 0
    if hashes_at % PAGE + _HASH_TABLE > PAGE:
        raise _malformed("put the hashes of a kernel over the end of a page", f"0x{hashes_at:x}",
                         f"{_HASH_TABLE} bytes in one page")  # fmt: skip
    return SevImage(image=image, sections=sections, hashes_at=hashes_at,
                    entry=_number(table, _SVSM_INFO if svsm else _RESET))  # fmt: skip


def _section(number: int, address: int, size: int, kind: int) -> SevSection:
    if kind not in _KINDS:
        raise _malformed(f"have a section {number} of an unknown type", hex(kind),
                         ", ".join(hex(one) for one in _KINDS), hint="a newer release may know it")  # fmt: skip
    if address % PAGE or size % PAGE or not 0 < size <= FOUR_GIB - address or (kind in _ONE_PAGE and size != PAGE):
        raise _malformed(f"have a section {number} that is no number of pages",
                         f"type 0x{kind:x}, 0x{size:x} bytes at 0x{address:x}",
                         "whole pages below 4 GiB; one page of secrets, CPUID or hashes")  # fmt: skip
    return SevSection(address=address, size=size, kind=kind)


def _number(table: Mapping[str, bytes], name: str) -> int:
    if len(table.get(name, b"")) < 4:
        raise MalformedError("measure.firmware-table", "the firmware's table lacks an entry that SEV-SNP needs",
                             expected=name, hint="use an OVMF built for SEV (AmdSev, or OvmfX64)")  # fmt: skip
    return int.from_bytes(table[name][:4], "little")


def _malformed(what: str, got: str, expected: str, hint: str = "") -> MalformedError:
    return MalformedError("measure.firmware-metadata", f"the firmware's SEV metadata {what}",
                          got=got, expected=expected, hint=hint or None)  # fmt: skip
