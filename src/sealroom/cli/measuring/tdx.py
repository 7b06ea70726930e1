"""``sealroom measure tdx``: MRTD of a firmware image, and the RTMRs of a direct boot."""

import hashlib
import json
from pathlib import Path
from typing import Annotated

import typer

from sealroom.cli.measuring.measured import (
    MAX_INITRD,
    MAX_KERNEL,
    Measured,
    Source,
    optional_source,
    read_source,
    sources,
    tell,
)
from sealroom.errors import MisuseError
from sealroom.measure.direct_boot import (
    Rtmr0Inputs,
    cmdline_digest,
    is_linux,
    kernel_digest,
    patched_kernel,
    rtmr0,
    rtmr1,
    rtmr2,
)
from sealroom.measure.guid_table import MAX_FIRMWARE
from sealroom.measure.mrtd import Mrtd, measure_mrtd
from sealroom.measure.td_hob import hob_ranges, td_hob_digest
from sealroom.measure.tdvf import CFV

__all__ = ["measure_td"]

_MAX_ACPI = 16 * 1024 * 1024
_MUCH_MEMORY = 4 << 30
"""From 2.75 GiB on, and at 2 GiB, old QEMU puts an initrd to one place."""
_TWO_PASS, _OLD_QEMU = "mr_td (all pages of a section first)", "rtmr1 (QEMU before 10.2)"


def measure_td(  # noqa: PLR0913 - one for each input of the measurement
    firmware: Annotated[Path, typer.Argument(metavar="FIRMWARE", help="The TDVF image, such as OVMF.inteltdx.fd.")],
    *,
    kernel: Annotated[Path | None, typer.Option(help="The kernel that QEMU boots directly.")] = None,
    initrd: Annotated[Path | None, typer.Option(help="The initrd beside it.")] = None,
    cmdline: Annotated[str | None, typer.Option(help="The kernel's command line.")] = None,
    memory: Annotated[int | None, typer.Option(help="The TD's memory in MiB.")] = None,
    acpi_loader: Annotated[Path | None, typer.Option(help="QEMU's etc/table-loader, for RTMR0.")] = None,
    acpi_rsdp: Annotated[Path | None, typer.Option(help="QEMU's etc/acpi/rsdp.")] = None,
    acpi_tables: Annotated[Path | None, typer.Option(help="QEMU's etc/acpi/tables.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """MRTD of a TDX firmware image; RTMR1 and RTMR2 of a direct boot; RTMR0 with QEMU's ACPI files.

    Where hosts differ in what they do, each right value is printed.
    """
    image, started = read_source(firmware, limit=MAX_FIRMWARE), optional_source(kernel, limit=MAX_KERNEL)
    ramdisk = optional_source(initrd, limit=MAX_INITRD)
    acpi = [optional_source(path, limit=_MAX_ACPI) for path in (acpi_loader, acpi_rsdp, acpi_tables)]
    measured = measure_mrtd(image.content)
    values = {
        "mr_td": measured.per_page.hex(),
        _TWO_PASS: measured.two_pass.hex(),
        "mr_td (every region measured, early Google Cloud)": measured.all_regions.hex(),
    }
    values |= _rtmr0(measured, memory, acpi) | _direct_boot(started, ramdisk, cmdline, memory)
    given = {"command line": cmdline, "memory": None if memory is None else f"{memory} MiB"}
    tell(
        Measured(
            values=values,
            inputs=sources(firmware=image, kernel=started, initrd=ramdisk, acpi_loader=acpi[0], acpi_rsdp=acpi[1],
                           acpi_tables=acpi[2]) | {name: text for name, text in given.items() if text is not None},
            not_covered=_NOT_COVERED,
            changes_with=_CHANGES_WITH,
            policy=_policy(values),
            warnings=_warnings(values, started),
        ),
        as_json=as_json,
    )  # fmt: skip


_NOT_COVERED = (
    "by MRTD: everything after the firmware, which is what the RTMRs are for",
    "by RTMR1 and RTMR2: disks, and what is read from them after the start",
    "by anything here: RTMR3, which applications extend; boots through shim and GRUB (sealroom measure log)",
)
_CHANGES_WITH = (
    "MRTD: the firmware, and the order in which the host adds its pages; neither memory nor processors",
    "RTMR0: memory size, processors, devices, QEMU's version, Secure Boot keys, the variable store",
    "RTMR1: the kernel; with QEMU before 10.2 also the initrd's size, and memory below 2.75 GiB",
    "RTMR2: command line and initrd",
)


def _rtmr0(measured: Mrtd, memory: int | None, acpi: list[Source | None]) -> dict[str, str]:
    """What goes into RTMR0, as far as it is known; RTMR0 itself if all of it is."""
    values, volume = {}, measured.image.only(CFV)
    digest = None if volume is None else hashlib.sha384(measured.image.content(volume)).digest()
    if digest is not None:
        values["cfv_sha384 (in rtmr0)"] = digest.hex()
    ranges = hob_ranges(measured.image)
    if memory is not None and any(one.is_hob for one in ranges):
        values["td_hob_sha384 (in rtmr0)"] = td_hob_digest(memory << 20, ranges).hex()
    files = [source.content for source in acpi if source is not None]
    if not files:
        return values
    if memory is None or digest is None or len(files) != len(acpi):
        raise MisuseError("measure.rtmr0", "RTMR0 needs more than this", got=f"{len(files)} ACPI files",
                          expected="--memory, --acpi-loader, --acpi-rsdp, --acpi-tables; one CFV in the image",
                          )  # fmt: skip
    loader, rsdp, tables = (hashlib.sha384(file).digest() for file in files)
    values["rtmr0"] = rtmr0(
        Rtmr0Inputs(memory=memory << 20, cfv_digest=digest, acpi_digests=(loader, rsdp, tables), ranges=ranges)
    ).hex()
    return values


def _direct_boot(
    kernel: Source | None, initrd: Source | None, cmdline: str | None, memory: int | None
) -> dict[str, str]:
    if kernel is None:
        if initrd is not None or cmdline is not None:
            raise MisuseError("measure.kernel", "an initrd or command line goes with a kernel", expected="--kernel")
        return {}
    values = {"rtmr1": rtmr1(kernel_digest(kernel.content)).hex()}
    if is_linux(kernel.content):
        size = 0 if initrd is None else len(initrd.content)
        changed = patched_kernel(kernel.content, initrd_size=size, cmdline=cmdline or "",
                                 memory=_MUCH_MEMORY if memory is None else memory << 20)  # fmt: skip
        values[_OLD_QEMU] = rtmr1(kernel_digest(changed)).hex()
    line = cmdline_digest(cmdline or "", has_initrd=initrd is not None)
    values["rtmr2"] = rtmr2(line, None if initrd is None else hashlib.sha384(initrd.content).digest()).hex()
    return values


def _policy(values: dict[str, str]) -> str:
    """Both right values where there are two: each can come of these files alone."""
    pinned = {"mr_td": ("mr_td", _TWO_PASS), "rtmr0": ("rtmr0",), "rtmr1": ("rtmr1", _OLD_QEMU), "rtmr2": ("rtmr2",)}
    lines = []
    for name, keys in pinned.items():
        if found := dict.fromkeys(values[key] for key in keys if key in values):
            lines.append(f"{name} = {json.dumps(list(found))}")
    missing = [] if "rtmr1" in values else ["# rtmr1 and rtmr2 are to be pinned too: see sealroom measure log"]
    return "\n".join(("[tdx]", *lines, *missing))


def _warnings(values: dict[str, str], kernel: Source | None) -> list[str]:
    found = []
    if kernel is not None and _OLD_QEMU not in values:
        found.append("the kernel has no Linux setup header: what QEMU before 10.2 makes of it is not known here")
    if "rtmr0" in values:
        found.append("RTMR0 is that of OVMF before 202505 with Secure Boot not set up; newer OVMF measures more")
    if kernel is not None:
        found.append("guests older than Linux 6.9 leave RTMR2 zero")
    return found
