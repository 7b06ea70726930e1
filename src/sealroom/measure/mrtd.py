"""MRTD: what a TD's initial contents measure to (TDX module specification, TDH.MEM.PAGE.ADD and TDH.MR.EXTEND).

One running SHA-384. Each page that is added goes in with its address; each page whose contents are measured goes in
as 16 chunks of 256 bytes, each with its address. In which order the host does that is the host's, and changes the
value: page by page (upstream KVM, QEMU 9 and later, also 7 and 8.1), or all pages of a section added before all are
measured (QEMU 8.2.2 as Canonical has it). So there are two right values for one image.
"""

import hashlib
from dataclasses import dataclass

from sealroom.errors import MalformedError
from sealroom.measure.guid_table import PAGE
from sealroom.measure.tdvf import Section, TdvfImage, read_tdvf

__all__ = ["Mrtd", "measure_mrtd"]

_BLOCK, _CHUNK = 128, 256
_ADD, _EXTEND = b"MEM.PAGE.ADD", b"MR.EXTEND"
_MOST_PAGES = 64 * 1024
"""256 MiB: what is added and not augmented is small in every image that is met."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mrtd:
    """The values that one image can have."""

    image: TdvfImage
    per_page: bytes
    """Pages added and measured one by one."""
    two_pass: bytes
    """All pages of a section added, then all measured."""
    all_regions: bytes
    """Page by page, with every section measured: an early hypervisor of Google's."""


def measure_mrtd(firmware: bytes) -> Mrtd:
    """MRTD of a TDVF image.

    Raises:
        MalformedError: ``measure.*``.
    """
    image = read_tdvf(firmware)
    added = [section for section in image.sections if not section.augmented]
    if sum(section.memory_size for section in added) > _MOST_PAGES * PAGE:
        raise MalformedError("measure.tdvf", "the firmware image adds more memory than any that is met",
                             expected=f"at most {_MOST_PAGES * PAGE} bytes")  # fmt: skip
    return Mrtd(
        image=image,
        per_page=_measure(image, added, two_pass=False, everything=False),
        two_pass=_measure(image, added, two_pass=True, everything=False),
        all_regions=_measure(image, added, two_pass=False, everything=True),
    )


def _measure(image: TdvfImage, sections: list[Section], *, two_pass: bool, everything: bool) -> bytes:
    running = hashlib.sha384()
    for section in sections:
        extended = section.extended or everything
        content = image.content(section) if extended else b""
        pages = range(section.address, section.address + section.memory_size, PAGE)
        if two_pass:
            for page in pages:
                running.update(_block(_ADD, page))
        for number, page in enumerate(pages):
            if not two_pass:
                running.update(_block(_ADD, page))
            if extended:
                running.update(_extended(content[number * PAGE : (number + 1) * PAGE].ljust(PAGE, b"\x00"), page))
    return running.digest()


def _extended(page: bytes, address: int) -> bytes:
    return b"".join(_block(_EXTEND, address + at) + page[at : at + _CHUNK] for at in range(0, PAGE, _CHUNK))


def _block(name: bytes, address: int) -> bytes:
    return (name.ljust(16, b"\x00") + address.to_bytes(8, "little")).ljust(_BLOCK, b"\x00")
