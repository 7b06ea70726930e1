"""An AWS Nitro enclave image (EIF) and the PCRs that the hypervisor will report (aws-nitro-enclaves-image-format).

PCR0 covers kernel, command line and all ramdisks; PCR1 kernel, command line and the first ramdisk; PCR2 the other
ramdisks; PCR8 the certificate that signed PCR0. Headers, metadata, memory and processor counts are in none of them.
Each is SHA-384 over 48 zeros and the SHA-384 of the content. All numbers are big-endian.
"""

import hashlib
import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.measure.eif_signature import EifSignature, read_signatures

__all__ = ["EifImage", "measure_eif"]

_HEAD = struct.Struct(">4sHHQQHH32Q32QII")
_SECTION = struct.Struct(">HHQ")
_MAGIC, _VERSIONS = b".eif", (2, 3, 4)
_MAX_SECTIONS = 32
_KERNEL, _CMDLINE, _RAMDISK, _SIGNATURE, _METADATA = range(1, 6)
_ARM64 = 1
MAX_IMAGE = 4 * 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class EifImage:
    """What an image says and measures to."""

    version: int
    arch: str
    pcr0: bytes
    pcr1: bytes
    pcr2: bytes
    pcr8: bytes | None
    """None: the image is not signed."""
    image_name: str | None
    """From the metadata, which no PCR covers."""
    cmdline: bytes
    default_memory: int
    default_cpus: int


def measure_eif(raw: bytes) -> EifImage:
    """Read an image and compute its PCRs; a signature in it must be over its own PCR0.

    Raises:
        MalformedError: ``eif.*``.
        UnverifiedError: ``eif.signature``.
    """
    (magic, version, flags, memory, cpus, _reserved, count, *places, _unused, crc) = _header(raw)
    if magic != _MAGIC or version not in _VERSIONS:
        raise _malformed("begins otherwise", f"{magic!r}, version {version}", ".eif, version 2 to 4")
    if not 1 <= count <= _MAX_SECTIONS:
        raise _malformed("has a number of sections that can not be", f"{count}", f"1 to {_MAX_SECTIONS}")
    covered = zlib.crc32(raw[_HEAD.size :], zlib.crc32(raw[: _HEAD.size - 4]))
    if crc != covered:
        raise _malformed("was damaged: its checksum does not fit", f"0x{covered:08x}", f"0x{crc:08x}")
    sections = _sections(raw, places[:count], places[_MAX_SECTIONS : _MAX_SECTIONS + count])
    kernel, cmdline = _only(sections, _KERNEL, "kernel"), _only(sections, _CMDLINE, "command line")
    ramdisks = [content for kind, content in sections if kind == _RAMDISK]
    if not ramdisks:
        raise _malformed("has no ramdisk", "none", "one or more")
    pcr0 = _measured([kernel, cmdline, *ramdisks])
    signature = _signature(sections, pcr0)
    return EifImage(
        version=version, arch="aarch64" if flags & _ARM64 else "x86_64", pcr0=pcr0,
        pcr1=_measured([kernel, cmdline, ramdisks[0]]), pcr2=_measured(ramdisks[1:]),
        pcr8=None if signature is None else _measured([signature.certificate.public_bytes(Encoding.DER)]),
        image_name=_image_name(sections), cmdline=cmdline, default_memory=memory, default_cpus=cpus,
    )  # fmt: skip


def _header(raw: bytes) -> tuple[Any, ...]:
    if not _HEAD.size <= len(raw) <= MAX_IMAGE:
        raise _malformed("has no whole header", f"{len(raw)} bytes", f"{_HEAD.size} or more")
    return _HEAD.unpack_from(raw)


def _sections(raw: bytes, offsets: Sequence[int], sizes: Sequence[int]) -> list[tuple[int, bytes]]:
    """Type and content of each, in order; they follow each other and fill the image."""
    found, end = [], _HEAD.size
    for offset, size in zip(offsets, sizes, strict=True):
        if offset != end or offset + _SECTION.size > len(raw):
            raise _malformed("has a section that does not follow the one before", f"0x{offset:x}", f"0x{end:x}")
        kind, _flags, stated = _SECTION.unpack_from(raw, offset)
        end = offset + _SECTION.size + size
        if stated != size or end > len(raw):
            raise _malformed("has a section past its end, or of two sizes",
                             f"{stated} and {size} bytes at 0x{offset:x}",
                             f"{len(raw)} bytes in all")  # fmt: skip
        if kind not in range(_KERNEL, _METADATA + 1):
            raise _malformed("has a section of an unknown type", str(kind), "1 to 5")
        found.append((kind, raw[offset + _SECTION.size : end]))
    if end != len(raw):
        raise _malformed("goes on after its last section", f"{len(raw) - end} bytes", "none")
    return found


def _only(sections: list[tuple[int, bytes]], kind: int, name: str) -> bytes:
    contents = [content for found, content in sections if found == kind]
    if len(contents) != 1:
        raise _malformed(f"does not have one {name}", str(len(contents)), "1")
    return contents[0]


def _signature(sections: list[tuple[int, bytes]], pcr0: bytes) -> EifSignature | None:
    contents = [content for kind, content in sections if kind == _SIGNATURE]
    if not contents:
        return None
    signatures = read_signatures(_only(sections, _SIGNATURE, "signature section"))
    for signature in signatures:
        if signature.register != 0 or signature.value != pcr0:
            raise UnverifiedError("eif.signature", "the image's signature is of another image", where="PCR0",
                                  got=signature.value.hex(), expected=pcr0.hex())  # fmt: skip
    return signatures[0]


def _image_name(sections: list[tuple[int, bytes]]) -> str | None:
    for kind, content in sections:
        if kind == _METADATA:
            try:
                document = json.loads(content)
            except (ValueError, RecursionError):
                raise _malformed("has metadata that are no JSON", f"{len(content)} bytes", "JSON") from None
            name = document.get("ImageName") if isinstance(document, dict) else None
            return name if isinstance(name, str) else None
    return None


def _measured(contents: Sequence[bytes]) -> bytes:
    running = hashlib.sha384()
    for content in contents:
        running.update(content)
    return hashlib.sha384(bytes(48) + running.digest()).digest()


def _malformed(what: str, got: str, expected: str) -> MalformedError:
    return MalformedError("eif.malformed", f"the enclave image {what}", got=got, expected=expected)
