"""The launch digest of an SEV-SNP guest, from its firmware, kernel, initrd, command line and processors.

Pages, the table of a kernel's hashes and the processors' first states are those of the library sev-snp-measure (AMD
56860 section 8.17, SNP_LAUNCH_UPDATE). It is given what `sev_metadata` has read and checked: its own reader takes
files only, knows no limits, and passes over what it does not use, such as a kernel beside an SVSM.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from sevsnpmeasure.gctx import GCTX
from sevsnpmeasure.guest import snp_update_metadata_pages
from sevsnpmeasure.ovmf import OvmfSevMetadataSectionDesc, SectionType
from sevsnpmeasure.sev_hashes import SevHashes
from sevsnpmeasure.sev_mode import SevMode
from sevsnpmeasure.vcpu_types import CPU_SIGS
from sevsnpmeasure.vmm_types import VMMType
from sevsnpmeasure.vmsa import VMSA, VMSA_SVSM

from sealroom.errors import MalformedError, MisuseError
from sealroom.measure.guid_table import FOUR_GIB, PAGE, read_guid_table
from sealroom.measure.sev_metadata import SevImage, read_sev_image

__all__ = ["FEATURES", "MODEL_MATTERS", "VCPU_TYPES", "VMMS", "SnpLaunch", "likely_launches", "measure_snp"]

VCPU_TYPES = tuple(CPU_SIGS)
"""Processor models of QEMU's ``-cpu``, which is not the silicon."""
FEATURES = (0x1, 0x21)
"""SNP alone; and with debug swap, on hosts where KVM turned it on."""
_SVSM = "qemu-svsm"
_VMM_TYPES = {"qemu": VMMType.QEMU, "ec2": VMMType.ec2, "gce": VMMType.gce, _SVSM: VMMType.QEMU}
VMMS = tuple(_VMM_TYPES)
MODEL_MATTERS = frozenset({"qemu", _SVSM})
"""Who starts guests with the processor's model in a register; EC2 and GCE put the same number there for all."""
_MOST_VCPUS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class SnpLaunch:
    """Everything that the launch digest depends on."""

    firmware: bytes = field(repr=False)
    """The whole image; with ``firmware_digest``, its last pages with the tables are enough."""
    vcpus: int
    vcpu_type: str
    features: int = 0x1
    """SEV_FEATURES of the VMSA."""
    vmm: str = "qemu"
    kernel: bytes | None = field(default=None, repr=False)
    initrd: bytes | None = field(default=None, repr=False)
    cmdline: str | None = None
    firmware_digest: bytes | None = None
    """The launch digest after the firmware's pages alone (48 bytes), in place of the pages."""
    svsm: bytes | None = field(default=None, repr=False)
    vars_size: int = 0
    """Bytes of the variable store that lies between SVSM and firmware."""


def measure_snp(launch: SnpLaunch) -> bytes:
    """The launch digest, 48 bytes.

    Raises:
        MisuseError: ``measure.*``: arguments that do not go together.
        MalformedError: ``measure.*``: a firmware that can not be measured.
    """
    return _with_processors(launch, *_memory(launch))


def likely_launches(launch: SnpLaunch, *, vcpus: tuple[int, ...], types: tuple[str, ...],
                    features: tuple[int, ...]) -> Iterator[tuple[SnpLaunch, bytes]]:  # fmt: skip
    """The digest for each combination of what a person seldom knows; memory is hashed once for all."""
    image, base, digest = _memory(launch)
    for count in vcpus:
        for kind in types:
            for bits in features:
                one = replace(launch, vcpus=count, vcpu_type=kind, features=bits)
                yield one, _with_processors(one, image, base, digest)


def _memory(launch: SnpLaunch) -> tuple[SevImage, int, bytes]:
    """What starts first, where it stands, and the launch digest over everything but the processors."""
    _require_pieces(launch)
    base = FOUR_GIB - len(launch.firmware)
    pages = GCTX(seed=launch.firmware_digest) if launch.firmware_digest else GCTX()
    if launch.svsm is None:
        image = read_sev_image(launch.firmware)
        if launch.kernel is not None and not image.measures_kernel:
            raise MalformedError("measure.kernel-not-measured", "this firmware does not measure a kernel that QEMU "
                                 "hands over: kernel, initrd and command line would be anybody's",
                                 hint="use OVMF's AmdSev build, and QEMU's kernel-hashes=on")  # fmt: skip
    else:
        image = read_sev_image(launch.svsm, svsm=True)
        read_guid_table(launch.firmware)
    if not launch.firmware_digest:
        pages.update_normal_pages(base, launch.firmware)
    if launch.svsm is not None:
        base -= launch.vars_size + len(launch.svsm)
        if base <= 0:
            raise _misuse("vars-size", launch.vars_size, "firmware, variables and SVSM fit below 4 GiB")
        pages.update_normal_pages(base, launch.svsm)
    hashes = None if launch.kernel is None else _Hashes(launch.kernel, launch.initrd, launch.cmdline)
    snp_update_metadata_pages(pages, _Metadata(image), hashes, _VMM_TYPES[launch.vmm])
    return image, base, pages.ld()


def _with_processors(launch: SnpLaunch, image: SevImage, base: int, digest: bytes) -> bytes:
    _require_processors(launch)
    if launch.svsm is None and image.entry == 0 and launch.vcpus > 1:
        raise MalformedError("measure.firmware-table", "the firmware does not say where further processors start",
                             got="address 0", hint="it can be measured with one processor")  # fmt: skip
    signature, pages = CPU_SIGS[launch.vcpu_type], GCTX(seed=digest)
    first = (VMSA(SevMode.SEV_SNP, image.entry, signature, launch.features, _VMM_TYPES[launch.vmm])
             if launch.svsm is None else VMSA_SVSM(base + image.entry, signature))  # fmt: skip
    for state in first.pages(launch.vcpus):
        pages.update_vmsa_page(state)
    measured: bytes = pages.ld()
    return measured


class _Metadata:
    """What the library asks an image, answered from what was checked."""

    def __init__(self, image: SevImage) -> None:
        self._items = [OvmfSevMetadataSectionDesc(one.address, one.size, one.kind) for one in image.sections]
        self._hashes_at = image.hashes_at

    def metadata_items(self) -> list[OvmfSevMetadataSectionDesc]:
        return self._items

    def has_metadata_section(self, kind: SectionType) -> bool:
        return any(item.section_type() == kind for item in self._items)

    def sev_hashes_table_gpa(self) -> int:
        return self._hashes_at


class _Hashes(SevHashes):  # type: ignore[misc]
    """The library's table of hashes, of bytes in place of files. The command line counts with its NUL."""

    def __init__(self, kernel: bytes, initrd: bytes | None, cmdline: str | None) -> None:
        self.kernel_hash = hashlib.sha256(kernel).digest()
        self.initrd_hash = hashlib.sha256(initrd or b"").digest()
        self.cmdline_hash = hashlib.sha256((cmdline or "").encode() + b"\x00").digest()


def _require_pieces(launch: SnpLaunch) -> None:
    if launch.vmm not in VMMS or (launch.svsm is not None) != (launch.vmm == _SVSM):
        raise _misuse("vmm", launch.vmm, f"one of {', '.join(VMMS)}, with an SVSM for the last alone")
    if launch.kernel is None and (launch.initrd is not None or launch.cmdline):
        raise _misuse("kernel", "initrd or command line alone", "a kernel, which QEMU measures them with")
    if launch.svsm is not None and (launch.kernel is not None or launch.firmware_digest is not None):
        raise _misuse("svsm", "a kernel or firmware digest", "firmware, variables' size and SVSM alone")
    if launch.vars_size % PAGE or not 0 <= launch.vars_size < FOUR_GIB or (launch.vars_size and launch.svsm is None):
        raise _misuse("vars-size", launch.vars_size, "whole pages, with an SVSM")
    if launch.firmware_digest is not None and len(launch.firmware_digest) != 48:
        raise _misuse("firmware-digest", f"{len(launch.firmware_digest)} bytes", "48 bytes")
    line = launch.cmdline or ""
    if any(letter == "\x00" or "\ud800" <= letter <= "\udfff" for letter in line):
        raise _misuse("cmdline", repr(line)[:60], "text that UTF-8 can say, without NUL")


def _require_processors(launch: SnpLaunch) -> None:
    if not 1 <= launch.vcpus <= _MOST_VCPUS:
        raise _misuse("vcpus", launch.vcpus, f"1 to {_MOST_VCPUS}")
    if launch.vcpu_type not in VCPU_TYPES:
        raise _misuse("vcpu-type", launch.vcpu_type, ", ".join(VCPU_TYPES))
    if not 0 <= launch.features < 1 << 64 or (launch.svsm is not None and launch.features != 1):
        raise _misuse("features", hex(launch.features), "64 bits; 0x1 with an SVSM, which starts so")


def _misuse(what: str, got: object, expected: str) -> MisuseError:
    return MisuseError(f"measure.{what}", "a launch can not be so", got=got, expected=expected)
