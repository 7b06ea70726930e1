"""``sealroom measure snp``: the launch digest of an SEV-SNP guest."""

from pathlib import Path
from typing import Annotated

import typer

from sealroom.cli.measuring.measured import Measured, digest_of_file, tell
from sealroom.errors import MisuseError
from sealroom.measure.snp_launch import FEATURES, VCPU_TYPES, VMMS, SnpLaunch, likely_launches

__all__ = ["measure_snp_guest"]

_LIKELY_VCPUS = (1, 2, 4, 8, 16)
_LIKELY_TYPES = ("EPYC-v4", "EPYC-Milan", "EPYC-Genoa")


def measure_snp_guest(  # noqa: PLR0913 - one for each input of the measurement
    firmware: Annotated[Path, typer.Argument(metavar="FIRMWARE", help="The OVMF image, such as OVMF.amdsev.fd.")],
    *,
    kernel: Annotated[Path | None, typer.Option(help="The kernel that QEMU hands over.")] = None,
    initrd: Annotated[Path | None, typer.Option(help="The initrd beside it.")] = None,
    cmdline: Annotated[str | None, typer.Option(help="The kernel's command line.")] = None,
    vcpus: Annotated[int | None, typer.Option(help="Processors; else the likely numbers.")] = None,
    vcpu_type: Annotated[str | None, typer.Option(help="QEMU's -cpu; else the likely models.")] = None,
    features: Annotated[str | None, typer.Option(help="SEV_FEATURES, 0x1 or 0x21; else both.")] = None,
    vmm: Annotated[str, typer.Option(help=f"Who starts it: {', '.join(VMMS)}.")] = "qemu",
    svsm: Annotated[Path | None, typer.Option(help="The SVSM image, with --vmm qemu-svsm.")] = None,
    vars_size: Annotated[int, typer.Option(help="Bytes of the variable store between SVSM and firmware.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """The launch digest of an SEV-SNP guest.

    Where processors, model or features are not given, it is printed for each likely combination.
    """
    launch = SnpLaunch(firmware=firmware, vcpus=1, vcpu_type=VCPU_TYPES[0], vmm=vmm, kernel=kernel, initrd=initrd,
                       cmdline=cmdline, svsm=svsm, vars_size=vars_size)  # fmt: skip
    combinations = likely_launches(
        launch,
        vcpus=_LIKELY_VCPUS if vcpus is None else (vcpus,),
        types=_LIKELY_TYPES if vcpu_type is None else (vcpu_type,),
        features=FEATURES if features is None else (_number(features),),
    )
    values = {f"{one.vcpus} x {one.vcpu_type}, features 0x{one.features:x}": digest.hex()
              for one, digest in combinations}  # fmt: skip
    files = {"firmware": firmware, "kernel": kernel, "initrd": initrd, "svsm": svsm}
    only = next(iter(values.values())) if len(values) == 1 else "<one of the above>"
    tell(
        Measured(
            values=values,
            inputs={name: digest_of_file(path) for name, path in files.items() if path is not None}
            | ({} if cmdline is None else {"command line": cmdline}),
            not_covered=[] if kernel else ["kernel, initrd and command line: what the firmware boots from disk"],
            changes_with=["the firmware", "the number and QEMU model of processors (not the silicon)",
                          "SEV_FEATURES (0x21 on hosts with debug swap)", "who starts the guest"]
            + (["kernel, initrd, command line"] if kernel else []),
            policy=f'[snp]\nmeasurement = ["{only}"]',
        ),
        as_json=as_json,
    )  # fmt: skip


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise MisuseError("cli.number", "not a number", where="--features", got=text, expected="0x1") from None
