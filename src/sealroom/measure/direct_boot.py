"""RTMR0 to RTMR2 of a TD that QEMU boots straight into a kernel, through OVMF.

RTMR0: TD HOB, the variable store's volume, Secure Boot variables, a separator, three ACPI files, boot order and
entry. RTMR1: the kernel's Authenticode digest, and what firmware says around starting it. RTMR2: the kernel's own
stub: command line in UTF-16 with its NUL, initrd.

The three ACPI files come from QEMU and depend on its version, the processors and the devices: their digests are
inputs (in a guest: ``/sys/firmware/qemu_fw_cfg/by_name/etc/{table-loader,acpi/rsdp,acpi/tables}/raw``). QEMU before
10.2 also writes into the kernel's setup header before firmware measures it. OVMF from 202505 on measures more than
this.
"""

import hashlib
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sealroom.errors import MalformedError, MisuseError
from sealroom.measure.authenticode import authenticode
from sealroom.measure.replay import extend
from sealroom.measure.td_hob import OVMF_RANGES, HobRange, low_memory, td_hob_digest
from sealroom.measure.uefi_variable import encode_variable

__all__ = [
    "UI_APP",
    "Rtmr0Inputs",
    "cmdline_digest",
    "is_linux",
    "kernel_digest",
    "patched_kernel",
    "rtmr0",
    "rtmr1",
    "rtmr2",
]

_GLOBAL, _SECURITY = "8be4df61-93ca-11d2-aa0d-00e098032b8c", "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
_SECURE_BOOT = ((_GLOBAL, "SecureBoot"), (_GLOBAL, "PK"), (_GLOBAL, "KEK"), (_SECURITY, "db"), (_SECURITY, "dbx"))
_SEPARATOR = bytes(4)
_AROUND_KERNEL = (
    b"Calling EFI Application from Boot Option",
    _SEPARATOR,
    b"Exit Boot Services Invocation",
    b"Exit Boot Services Returned with Success",
)
_INITRD_WORD = " initrd=initrd"
_SETUP_END = 0x238
_OLDEST_BOOT_PROTOCOL, _ANY_ADDRESS_PROTOCOL = 0x203, 0x20C
_LOADED_HIGH, _ABOVE_4G = 0x01, 0x02
_HEAP_END, _CMDLINE_AT = 0x20000 - 0x10000 - 0x200, 0x20000
_NUMBER = re.compile(r"(?:(0x[0-9a-fA-F]+)|(0[0-7]*)|[1-9][0-9]*)(?= |$)", re.ASCII)
"""As C's strtoul reads one, in base 0."""
_VIDEO_MODES = {"normal": 0xFFFF, "ext": 0xFFFE, "ask": 0xFFFD}


def _boot_entry() -> bytes:
    """A load option (UEFI 2.10 section 3.1.3) for the file UiApp in OVMF's firmware volume."""
    volume, file = UUID("7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1"), UUID("462caa21-7614-4503-836e-8ab6f4662331")
    path = b"\x04\x07\x14\x00" + volume.bytes_le + b"\x04\x06\x14\x00" + file.bytes_le + b"\x7f\xff\x04\x00"
    return struct.pack("<IH", 0x109, len(path)) + "UiApp\x00".encode("utf-16-le") + path


UI_APP = _boot_entry()
"""Boot0000 of OVMF with an empty variable store; then BootOrder is this entry alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rtmr0Inputs:
    """What RTMR0 is made of."""

    memory: int
    """Bytes."""
    cfv_digest: bytes
    """SHA-384 of the configuration volume (the variable store) in the firmware image."""
    acpi_digests: tuple[bytes, bytes, bytes]
    """SHA-384 of QEMU's table-loader, rsdp and tables."""
    boot_order: bytes = b"\x00\x00"
    boot_entry: bytes = UI_APP
    """Data of the variables BootOrder and Boot0000."""
    ranges: Sequence[HobRange] = OVMF_RANGES


def rtmr0(inputs: Rtmr0Inputs) -> bytes:
    """RTMR0 with OVMF before 202505, Secure Boot not set up."""
    digests = [
        td_hob_digest(inputs.memory, inputs.ranges),
        inputs.cfv_digest,
        *(_hash(encode_variable(vendor, name, b"")) for vendor, name in _SECURE_BOOT),
        _hash(_SEPARATOR),
        *inputs.acpi_digests,
        _hash(inputs.boot_order),
        _hash(inputs.boot_entry),
    ]
    return _replayed(digests)


def rtmr1(kernel: bytes) -> bytes:
    """RTMR1 of a kernel whose Authenticode digest is ``kernel`` (48 bytes)."""
    return _replayed([kernel, *map(_hash, _AROUND_KERNEL)])


def rtmr2(cmdline: bytes, initrd: bytes | None) -> bytes:
    """RTMR2 of the digests (48 bytes each) of command line and initrd; None: there is no initrd."""
    return _replayed([cmdline] if initrd is None else [cmdline, initrd])


def kernel_digest(kernel: bytes, algorithm: str = "sha384") -> bytes:
    """The Authenticode digest of a kernel image, as QEMU 10.2 and later hands it over.

    Raises:
        MalformedError: ``measure.not-pe``.
    """
    return authenticode(kernel, algorithm)


def cmdline_digest(cmdline: str, *, has_initrd: bool) -> bytes:
    """The digest of a command line: OVMF adds where the initrd is, and the NUL counts.

    Raises:
        MisuseError: ``measure.cmdline``: a NUL in it, or more than ASCII, which OVMF does not read as UTF-8.
    """
    if not cmdline.isascii() or "\x00" in cmdline:
        raise MisuseError("measure.cmdline", "what OVMF makes of this line is not known here",
                          got=ascii(cmdline)[:60], expected="ASCII without NUL")  # fmt: skip
    return _hash((cmdline + (_INITRD_WORD if has_initrd else "") + "\x00").encode("utf-16-le"))


def is_linux(kernel: bytes) -> bool:
    """Whether the image has a Linux setup header, which QEMU before 10.2 writes into."""
    return kernel[0x202:0x206] == b"HdrS"


def patched_kernel(
    kernel: bytes, *, memory: int, initrd_size: int, cmdline: str = "", acpi_data_size: int = 0x28000
) -> bytes:
    """The kernel image as QEMU before 10.2 changes it (hw/i386/x86.c, x86_load_linux).

    Args:
        kernel: the file.
        memory: bytes; below 0xB0000000 the initrd's address depends on it.
        initrd_size: bytes; 0: there is none.
        cmdline: its ``vga=`` is written into the kernel too.
        acpi_data_size: bytes that QEMU keeps free below the end of low memory for ACPI tables.

    Raises:
        MalformedError: ``measure.not-linux``: no setup header of Linux, or one older than any that runs in a TD.
        MisuseError: ``measure.memory-size``: the initrd does not fit; ``measure.cmdline``: QEMU would not start.
    """
    changed = bytearray(kernel)
    protocol = _boot_protocol(kernel)
    changed[0x210] = 0xB0
    changed[0x211] |= 0x80
    changed[0x224:0x226] = _HEAP_END.to_bytes(2, "little")
    changed[0x228:0x22C] = _CMDLINE_AT.to_bytes(4, "little")
    if (mode := _video_mode(cmdline)) is not None:
        changed[0x1FA:0x1FC] = mode.to_bytes(2, "little")
    if initrd_size:
        anywhere = protocol >= _ANY_ADDRESS_PROTOCOL and kernel[0x236] & _ABOVE_4G
        highest = 0xFFFFFFFF if anywhere else int.from_bytes(kernel[0x22C:0x230], "little")
        highest = min(highest, low_memory(memory) - acpi_data_size - 1)
        if initrd_size >= highest:
            raise MisuseError("measure.memory-size", "the initrd does not fit into this memory", got=memory)
        changed[0x218:0x21C] = ((highest - initrd_size) & ~0xFFF).to_bytes(4, "little")
        changed[0x21C:0x220] = initrd_size.to_bytes(4, "little")
    return bytes(changed)


def _boot_protocol(kernel: bytes) -> int:
    protocol = int.from_bytes(kernel[0x206:0x208], "little")
    if len(kernel) < _SETUP_END or not is_linux(kernel) or protocol < _OLDEST_BOOT_PROTOCOL \
            or not kernel[0x211] & _LOADED_HIGH:  # fmt: skip
        raise MalformedError("measure.not-linux", "the kernel has no Linux setup header, or a very old one",
                             where="0x202", got=kernel[0x202:0x212].hex(),
                             expected=f"{b'HdrS'.hex()}, protocol 2.3 or later, loaded high")  # fmt: skip
    return protocol


def _video_mode(cmdline: str) -> int | None:
    """What QEMU makes of the first ``vga=``, wherever it stands in the line."""
    _, found, rest = cmdline.partition("vga=")
    if not found:
        return None
    for word, mode in _VIDEO_MODES.items():
        if rest.startswith(word):
            return mode
    number = _NUMBER.match(rest)
    value = -1 if number is None else int(number[0][:12], 16 if number[1] else 8 if number[2] else 10)
    if not 0 <= value < 1 << 32:
        raise MisuseError("measure.cmdline", "QEMU starts no kernel with this vga=", got=rest[:20])
    return value & 0xFFFF


def _replayed(digests: Sequence[bytes]) -> bytes:
    register = bytes(48)
    for digest in digests:
        register = extend(register, digest)
    return register


def _hash(data: bytes) -> bytes:
    return hashlib.sha384(data).digest()
