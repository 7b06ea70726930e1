"""The Authenticode digest of a PE image: what firmware measures of a kernel or boot loader that it loads (Microsoft,
Windows Authenticode Portable Executable Signature Format, "Calculating the PE Image Hash").
"""

import hashlib
import struct

from sealroom.errors import MalformedError

__all__ = ["authenticode"]

MAX_IMAGE = 512 * 1024 * 1024
_PE_OFFSET, _COFF, _CHECKSUM = 0x3C, 24, 64
_PE32, _PE32_PLUS = 0x10B, 0x20B
_DIRECTORIES = {_PE32: 96, _PE32_PLUS: 112}
_CERTIFICATES = 4
_SECTION_HEADER = 40


def authenticode(image: bytes, algorithm: str = "sha384") -> bytes:
    """The digest of ``image``.

    Raises:
        MalformedError: ``measure.not-pe``: no PE image, or one whose parts do not fit it.
    """
    if len(image) > MAX_IMAGE:
        raise _malformed("is larger than any", f"{len(image)} bytes")
    optional, sections, size_of_optional = _headers(image)
    magic = _number(image, optional, 2)
    if magic not in _DIRECTORIES:
        raise _malformed("has an optional header of another kind", hex(magic))
    checksum, directories = optional + _CHECKSUM, optional + _DIRECTORIES[magic]
    headers_end = _number(image, optional + 60, 4)
    certificates = directories + 8 * _CERTIFICATES
    has_directory = _number(image, directories - 4, 4) > _CERTIFICATES
    least = certificates + 8 if has_directory else checksum + 4
    running = hashlib.new(algorithm, image[:checksum])
    table_size = 0
    if has_directory:
        running.update(image[checksum + 4 : certificates])
        running.update(image[certificates + 8 : headers_end])
        table_size = _number(image, certificates + 4, 4)
    else:
        running.update(image[checksum + 4 : headers_end])
    parts = _section_data(image, optional + size_of_optional, sections)
    hashed = headers_end + sum(size for _, size in parts)
    # before any is hashed: 65535 sections that each claim the whole image are a day's work
    if not least <= headers_end <= hashed <= len(image) or hashed < len(image) < hashed + table_size:
        raise _malformed("has parts that do not fit it", f"{hashed} bytes of {len(image)}")
    for start, size in parts:
        running.update(image[start : start + size])
    running.update(image[hashed : len(image) - table_size])
    return running.digest()


def _headers(image: bytes) -> tuple[int, int, int]:
    """Where the optional header is, how many sections there are, how long the optional header is."""
    if image[:2] != b"MZ":
        raise _malformed("does not begin as one", image[:2].hex())
    pe = _number(image, _PE_OFFSET, 4)
    if image[pe : pe + 4] != b"PE\x00\x00":
        raise _malformed("has no PE header where it says", f"0x{pe:x}")
    return pe + _COFF, _number(image, pe + 6, 2), _number(image, pe + 20, 2)


def _section_data(image: bytes, table: int, count: int) -> list[tuple[int, int]]:
    """Place and size of each section that has data, in order of place."""
    found = []
    for index in range(count):
        at = table + index * _SECTION_HEADER
        size, start = _number(image, at + 16, 4), _number(image, at + 20, 4)
        if size:
            if start + size > len(image):
                raise _malformed("has a section past its end", f"{size} bytes at 0x{start:x}")
            found.append((start, size))
    return sorted(found)


def _number(image: bytes, at: int, size: int) -> int:
    if at + size > len(image):
        raise _malformed("ends inside its headers", f"0x{at:x}")
    return int(struct.unpack_from({2: "<H", 4: "<I"}[size], image, at)[0])


def _malformed(what: str, got: str) -> MalformedError:
    return MalformedError("measure.not-pe", f"the image is no PE image: it {what}", got=got,
                          hint="a kernel for UEFI is one (bzImage with its EFI stub); an ELF file or initrd is not",
                          )  # fmt: skip
