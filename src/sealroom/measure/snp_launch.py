"""The launch digest of an SEV-SNP guest, from its firmware, kernel, initrd, command line and processors.

The steps are those of the library sev-snp-measure (AMD 56860 section 8.17, SNP_LAUNCH_UPDATE). What is checked here
first is what it would stumble over, or pass over: sizes, tables, and a kernel that nothing would measure.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from sevsnpmeasure import guest, vcpu_types
from sevsnpmeasure.sev_mode import SevMode
from sevsnpmeasure.vmm_types import VMMType

from sealroom.errors import MalformedError, MisuseError, UnavailableError
from sealroom.measure.guid_table import MAX_FIRMWARE, read_guid_table

__all__ = ["FEATURES", "VCPU_TYPES", "VMMS", "SnpLaunch", "likely_launches", "measure_snp"]

VCPU_TYPES = tuple(vcpu_types.CPU_SIGS)
"""Processor models of QEMU's ``-cpu``, which is not the silicon."""
VMMS = ("qemu", "ec2", "gce", "qemu-svsm")
FEATURES = (0x1, 0x21)
"""SNP alone; and with debug swap, on hosts where KVM turned it on."""

_METADATA = "dc886566-984a-4798-a75e-5585a7bf67cc"
_HASHES = "7255371f-3a3b-4b04-927b-1da6efa8d454"
_RESET = "00f771de-1a7e-4fcb-890e-68c77e2fb44e"
_SVSM_INFO = "a789a612-0597-4c4b-a49f-cbb1fe9d1ddd"
_SECTIONS = frozenset({1, 2, 3, 4, 0x10})
_KERNEL_HASHES = 0x10
_MOST_VCPUS = 4096
_MOST_MEMORY = 256 * 1024 * 1024
"""Bytes of all metadata sections together; in images that are met it is some hundred KiB."""
_MAX_FILE = 4 * 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SnpLaunch:
    """Everything that the launch digest depends on."""

    firmware: Path
    vcpus: int
    vcpu_type: str
    features: int = 0x1
    """SEV_FEATURES of the VMSA."""
    vmm: str = "qemu"
    kernel: Path | None = None
    initrd: Path | None = None
    cmdline: str | None = None
    firmware_digest: bytes | None = None
    """The launch digest after the firmware's pages alone (48 bytes), in place of the whole file."""
    svsm: Path | None = None
    vars_size: int = 0
    """Bytes of the variable store that lies between SVSM and firmware."""


def measure_snp(launch: SnpLaunch) -> bytes:
    """The launch digest, 48 bytes.

    Raises:
        MisuseError: ``measure.*``: arguments that do not go together.
        MalformedError: ``measure.*``: a firmware that can not be measured.
        UnavailableError: ``measure.file``: a file can not be read.
    """
    _require_sane(launch)
    try:
        return _digest(launch)
    except OSError as reason:
        raise UnavailableError("measure.file", "a file can not be read", where=str(reason.filename),
                               got=reason.strerror) from None  # fmt: skip
    except (RuntimeError, ValueError, LookupError, AssertionError, TypeError) as reason:
        # what the library raises on images that its own checks refuse
        raise MalformedError("measure.firmware", "the firmware can not be measured", where=str(launch.firmware),
                             got=f"{type(reason).__name__}: {reason}"[:200]) from None  # fmt: skip


def _digest(launch: SnpLaunch) -> bytes:
    signature = vcpu_types.CPU_SIGS[launch.vcpu_type]
    if launch.vmm == "qemu-svsm":
        digest: bytes = guest.svsm_calc_launch_digest(
            launch.vcpus, signature, str(launch.firmware), launch.vars_size, str(launch.svsm), False
        )
    else:
        digest = guest.calc_launch_digest(
            SevMode.SEV_SNP, launch.vcpus, signature, str(launch.firmware), str(launch.kernel or ""),
            str(launch.initrd or ""), launch.cmdline or "", launch.features, (launch.firmware_digest or b"").hex(),
            vmm_type=_VMM_TYPES[launch.vmm],
        )  # fmt: skip
    return digest


def likely_launches(launch: SnpLaunch, *, vcpus: tuple[int, ...], types: tuple[str, ...],
                    features: tuple[int, ...]) -> Iterator[tuple[SnpLaunch, bytes]]:  # fmt: skip
    """The digest for each combination of what a person seldom knows."""
    for count in vcpus:
        for kind in types:
            for bits in features:
                one = replace(launch, vcpus=count, vcpu_type=kind, features=bits)
                yield one, measure_snp(one)


_VMM_TYPES = {"qemu": VMMType.QEMU, "ec2": VMMType.ec2, "gce": VMMType.gce}


def _require_sane(launch: SnpLaunch) -> None:
    if not 1 <= launch.vcpus <= _MOST_VCPUS:
        raise _misuse("vcpus", launch.vcpus, f"1 to {_MOST_VCPUS}")
    if launch.vcpu_type not in VCPU_TYPES:
        raise _misuse("vcpu-type", launch.vcpu_type, ", ".join(VCPU_TYPES))
    if launch.vmm not in VMMS or (launch.svsm is not None) != (launch.vmm == "qemu-svsm"):
        raise _misuse("vmm", launch.vmm, f"one of {', '.join(VMMS)}, with an SVSM for the last alone")
    if launch.kernel is None and (launch.initrd is not None or launch.cmdline):
        raise _misuse("kernel", "initrd or command line alone", "a kernel, which QEMU measures them with")
    if launch.firmware_digest is not None and len(launch.firmware_digest) != 48:
        raise _misuse("firmware-digest", f"{len(launch.firmware_digest)} bytes", "48 bytes")
    image = _read(launch.firmware)
    if launch.svsm is not None:
        table = _table(_read(launch.svsm), _METADATA, _SVSM_INFO)
        _require_metadata(_read(launch.svsm), table, launch)
        read_guid_table(image)
    else:
        _require_metadata(image, _table(image, _METADATA, _RESET), launch)


def _table(image: bytes, *wanted: str) -> dict[str, bytes]:
    table = dict(read_guid_table(image))
    for name in wanted:
        if name not in table or len(table[name]) < 4:
            raise MalformedError("measure.firmware-table", "the firmware's table lacks an entry that SEV-SNP needs",
                                 expected=name, hint="use an OVMF built for SEV (AmdSev, or OvmfX64)")  # fmt: skip
    return table


def _require_metadata(image: bytes, table: dict[str, bytes], launch: SnpLaunch) -> None:
    start = len(image) - int.from_bytes(table[_METADATA][:4], "little")
    head = image[start : start + 16] if start >= 0 else b""
    size, version, count = (int.from_bytes(head[at : at + 4], "little") for at in (4, 8, 12))
    if head[:4] != b"ASEV" or version != 1 or size < 16 + 12 * count or start + size > len(image):
        raise MalformedError("measure.firmware-metadata", "the firmware's SEV metadata do not hold together",
                             where=f"0x{max(start, 0):x}", got=head.hex(), expected="ASEV, version 1")  # fmt: skip
    sections = list(struct.iter_unpack("<III", image[start + 16 : start + 16 + 12 * count]))
    kinds = [kind for _, _, kind in sections]
    if sum(length for _, length, _ in sections) > _MOST_MEMORY:
        raise MalformedError("measure.firmware-metadata", "the firmware's metadata claim more memory than any that "
                             "is met, and each page of it would be hashed",
                             expected=f"at most {_MOST_MEMORY} bytes")  # fmt: skip
    if unknown := [kind for kind in kinds if kind not in _SECTIONS]:
        raise MalformedError("measure.firmware-metadata", "the firmware has a metadata section of an unknown type",
                             got=hex(unknown[0]), expected=", ".join(hex(kind) for kind in sorted(_SECTIONS)),
                             hint="a newer release may know it")  # fmt: skip
    _require_kernel_hashes(table, kinds, launch)


def _require_kernel_hashes(table: dict[str, bytes], kinds: list[int], launch: SnpLaunch) -> None:
    if launch.kernel is None:
        return
    base = int.from_bytes(table.get(_HASHES, b"")[:4], "little")
    if base == 0 or _KERNEL_HASHES not in kinds:
        raise MalformedError("measure.kernel-not-measured", "this firmware does not measure a kernel that QEMU hands "
                             "over: kernel, initrd and command line would be anybody's", where=str(launch.firmware),
                             hint="use OVMF's AmdSev build, and QEMU's kernel-hashes=on")  # fmt: skip


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FIRMWARE:
            raise MalformedError("measure.firmware-size", "the firmware image is larger than any", where=str(path),
                                 expected=f"at most {MAX_FIRMWARE} bytes")  # fmt: skip
        return path.read_bytes()
    except OSError as reason:
        raise UnavailableError("measure.file", "a file can not be read", where=str(path),
                               got=reason.strerror) from None  # fmt: skip


def _misuse(what: str, got: object, expected: str) -> MisuseError:
    return MisuseError(f"measure.{what}", "a launch can not be so", got=got, expected=expected)
