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
from collections.abc import Sequence
from dataclasses import dataclass

from sealroom.errors import MalformedError, MisuseError
from sealroom.measure.authenticode import authenticode
from sealroom.measure.replay import extend
from sealroom.measure.td_hob import OVMF_RANGES, HobRange, td_hob_digest
from sealroom.measure.uefi_variable import encode_variable

__all__ = ["Rtmr0Inputs", "cmdline_digest", "kernel_digest", "patched_kernel", "rtmr0", "rtmr1", "rtmr2"]

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
_SETUP_END = 0x230


@dataclass(frozen=True, slots=True, kw_only=True)
class Rtmr0Inputs:
    """What RTMR0 is made of."""

    memory: int
    """Bytes."""
    cfv_digest: bytes
    """SHA-384 of the configuration volume (the variable store) in the firmware image."""
    acpi_digests: tuple[bytes, bytes, bytes]
    """SHA-384 of QEMU's table-loader, rsdp and tables."""
    boot_order: bytes
    boot_entry: bytes
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
    """The digest of a command line: OVMF adds where the initrd is, and the NUL counts."""
    return _hash((cmdline + (_INITRD_WORD if has_initrd else "") + "\x00").encode("utf-16-le"))


def patched_kernel(kernel: bytes, *, memory: int, initrd_size: int, acpi_data_size: int = 0x28000) -> bytes:
    """The kernel image as QEMU before 10.2 changes it: loader type, heap, command line and initrd addresses.

    Args:
        kernel: the file.
        memory: bytes; below 0xB0000000 the initrd's address depends on it.
        initrd_size: bytes; 0: there is none.
        acpi_data_size: bytes that QEMU keeps free below the end of low memory for ACPI tables.

    Raises:
        MalformedError: ``measure.not-linux``: no setup header of Linux.
        MisuseError: ``measure.memory-size``: the initrd does not fit.
    """
    if len(kernel) < _SETUP_END or kernel[0x202:0x206] != b"HdrS":
        raise MalformedError("measure.not-linux", "the kernel has no Linux setup header",
                             where="0x202", got=kernel[0x202:0x206].hex(), expected=b"HdrS".hex())  # fmt: skip
    changed = bytearray(kernel)
    changed[0x210] = 0xB0
    changed[0x211] |= 0x80
    changed[0x224:0x228] = (0x20000 - 0x10000 - 0x200).to_bytes(4, "little")
    changed[0x228:0x22C] = (0x20000).to_bytes(4, "little")
    if initrd_size:
        highest = int.from_bytes(kernel[0x22C:0x230], "little")
        low = memory if memory < 0xB0000000 else 0x80000000
        address = (min(highest, low - acpi_data_size - 1) - initrd_size) & ~0xFFF
        if address <= 0:
            raise MisuseError("measure.memory-size", "the initrd does not fit into this memory", got=memory)
        changed[0x218:0x21C] = address.to_bytes(4, "little")
        changed[0x21C:0x220] = initrd_size.to_bytes(4, "little")
    return bytes(changed)


def _replayed(digests: Sequence[bytes]) -> bytes:
    register = bytes(48)
    for digest in digests:
        register = extend(register, digest)
    return register


def _hash(data: bytes) -> bytes:
    return hashlib.sha384(data).digest()
