"""``sealroom measure tdx``: MRTD of a firmware image, and the RTMRs of a direct boot."""

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from sealroom.cli.input_files import read_input
from sealroom.cli.measuring.measured import Measured, digest_of_file, tell
from sealroom.errors import MisuseError
from sealroom.measure.authenticode import MAX_IMAGE
from sealroom.measure.direct_boot import cmdline_digest, kernel_digest, patched_kernel, rtmr1, rtmr2
from sealroom.measure.guid_table import MAX_FIRMWARE
from sealroom.measure.mrtd import measure_mrtd
from sealroom.measure.td_hob import td_hob_digest
from sealroom.measure.tdvf import CFV

__all__ = ["measure_td"]

_MAX_INITRD = 2 * 1024 * 1024 * 1024


def measure_td(
    firmware: Annotated[Path, typer.Argument(metavar="FIRMWARE", help="The TDVF image, such as OVMF.inteltdx.fd.")],
    *,
    kernel: Annotated[Path | None, typer.Option(help="The kernel that QEMU boots directly.")] = None,
    initrd: Annotated[Path | None, typer.Option(help="The initrd beside it.")] = None,
    cmdline: Annotated[str | None, typer.Option(help="The kernel's command line.")] = None,
    memory: Annotated[int | None, typer.Option(help="The TD's memory in MiB.")] = None,
    old_qemu: Annotated[
        bool, typer.Option("--qemu-before-10-2", help="QEMU writes into the kernel before it is measured.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """MRTD of a TDX firmware image, and RTMR1 and RTMR2 of a direct boot.

    MRTD has two right values: hosts add pages in two orders.
    """
    measured = measure_mrtd(read_input(firmware, limit=MAX_FIRMWARE))
    values = {
        "mr_td": measured.per_page.hex(),
        "mr_td (QEMU 8.2 of Canonical: all pages first)": measured.two_pass.hex(),
    }
    if (volume := measured.image.only(CFV)) is not None:
        values["cfv_sha384 (in rtmr0)"] = hashlib.sha384(measured.image.content(volume)).hexdigest()
    if memory is not None:
        values["td_hob_sha384 (in rtmr0)"] = td_hob_digest(memory << 20).hex()
    values |= _direct_boot(kernel, initrd, cmdline, memory, old_qemu=old_qemu)
    tell(
        Measured(
            values=values,
            inputs={name: digest_of_file(path)
                    for name, path in (("firmware", firmware), ("kernel", kernel), ("initrd", initrd))
                    if path is not None},
            not_covered=["MRTD: everything after the firmware, which is what the RTMRs are for",
                         "RTMR0: it depends on memory size, devices and QEMU's ACPI tables; read it off a first boot",
                         "RTMR3: what applications measure"],
            changes_with=["MRTD: the firmware, and the host's order of pages",
                          "RTMR1: the kernel; with QEMU before 10.2 also memory size and initrd size",
                          "RTMR2: command line and initrd"],
            policy="[tdx]\n" + "\n".join(
                f'{name} = ["{value}"]' for name, value in values.items() if name in {"mr_td", "rtmr1", "rtmr2"}),
        ),
        as_json=as_json,
    )  # fmt: skip


def _direct_boot(
    kernel: Path | None, initrd: Path | None, cmdline: str | None, memory: int | None, *, old_qemu: bool
) -> dict[str, str]:
    if kernel is None:
        if initrd is not None or cmdline is not None:
            raise MisuseError("measure.kernel", "an initrd or command line goes with a kernel", expected="--kernel")
        return {}
    image = read_input(kernel, limit=MAX_IMAGE)
    content = None if initrd is None else read_input(initrd, limit=_MAX_INITRD)
    if old_qemu:
        if memory is None:
            raise MisuseError("measure.memory-size", "what old QEMU writes depends on the memory",
                              expected="--memory")  # fmt: skip
        image = patched_kernel(image, memory=memory << 20, initrd_size=len(content or b""))
    line = cmdline_digest(cmdline or "", has_initrd=content is not None)
    return {
        "rtmr1": rtmr1(kernel_digest(image)).hex(),
        "rtmr2": rtmr2(line, None if content is None else hashlib.sha384(content).digest()).hex(),
    }
