"""``sealroom measure snp``: the launch digest of an SEV-SNP guest."""

from pathlib import Path
from typing import Annotated

import typer

from sealroom.cli.input_files import parse_hex_option
from sealroom.cli.measuring.measured import (
    MAX_INITRD,
    MAX_KERNEL,
    Measured,
    content_of,
    optional_source,
    read_source,
    sources,
    tell,
)
from sealroom.errors import MisuseError
from sealroom.measure.guid_table import MAX_FIRMWARE
from sealroom.measure.snp_launch import FEATURES, MODEL_MATTERS, VCPU_TYPES, VMMS, SnpLaunch, likely_launches

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
    firmware_digest: Annotated[
        str | None, typer.Option(help="Digest after the firmware's pages, where only its last pages are at hand.")
    ] = None,
    svsm: Annotated[Path | None, typer.Option(help="The SVSM image, with --vmm qemu-svsm.")] = None,
    vars_size: Annotated[int, typer.Option(help="Bytes of the variable store between SVSM and firmware.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """The launch digest of an SEV-SNP guest.

    Where processors, model or features are not given, it is printed for each likely combination.
    """
    image, started = read_source(firmware, limit=MAX_FIRMWARE), optional_source(kernel, limit=MAX_KERNEL)
    ramdisk, below = optional_source(initrd, limit=MAX_INITRD), optional_source(svsm, limit=MAX_FIRMWARE)
    launch = SnpLaunch(
        firmware=image.content, vcpus=1, vcpu_type=VCPU_TYPES[0], vmm=vmm, cmdline=cmdline, vars_size=vars_size,
        kernel=content_of(started), initrd=content_of(ramdisk), svsm=content_of(below),
        firmware_digest=parse_hex_option(firmware_digest, option="--firmware-digest", size=48),
    )  # fmt: skip
    values = _values(launch, vcpus, vcpu_type, None if features is None else _number(features))
    tell(
        Measured(
            values=values,
            inputs=sources(firmware=image, kernel=started, initrd=ramdisk, svsm=below) | _words(launch),
            not_covered=_not_covered(launch),
            changes_with=_changes_with(launch),
            policy=f'[snp]\nmeasurement = ["{next(iter(values.values())) if len(values) == 1 else _CHOOSE}"]',
            warnings=_warnings(launch, vcpus),
        ),
        as_json=as_json,
    )


_CHOOSE = "<the one above that is your guest's>"


def _values(launch: SnpLaunch, vcpus: int | None, model: str | None, features: int | None) -> dict[str, str]:
    """Each combination by its name; what makes no difference to this guest is not varied."""
    models = (model,) if model is not None else _LIKELY_TYPES if launch.vmm in MODEL_MATTERS else VCPU_TYPES[:1]
    bits = (features,) if features is not None else FEATURES[:1] if launch.svsm is not None else FEATURES
    found = likely_launches(launch, vcpus=_LIKELY_VCPUS if vcpus is None else (vcpus,), types=models, features=bits)
    return {_name(one): digest.hex() for one, digest in found}


def _words(launch: SnpLaunch) -> dict[str, str]:
    """Inputs that are no files."""
    seed = launch.firmware_digest
    line = {} if launch.cmdline is None else {"command line": launch.cmdline}
    return line | ({} if seed is None else {"digest after the firmware's pages": seed.hex()})


def _name(launch: SnpLaunch) -> str:
    model = launch.vcpu_type if launch.vmm in MODEL_MATTERS else "any model"
    return f"{launch.vcpus} x {model}, features 0x{launch.features:x}"


def _not_covered(launch: SnpLaunch) -> list[str]:
    disks = "disks, and what is read from them after the start"
    if launch.kernel is not None:
        return [disks]
    return ["kernel, initrd and command line: what the firmware boots from a disk or is handed", disks]


def _changes_with(launch: SnpLaunch) -> list[str]:
    models = ["QEMU's model of the processors (-cpu, not the silicon)"] if launch.vmm in MODEL_MATTERS else []
    boot = ["any byte of kernel, initrd or command line"] if launch.kernel is not None else []
    return ["the firmware", "the number of processors", *models,
            "SEV_FEATURES (0x21 on hosts with debug swap)", "who starts the guest", *boot]  # fmt: skip


def _warnings(launch: SnpLaunch, vcpus: int | None) -> list[str]:
    if launch.vmm == "gce" and vcpus != 1:
        return ["Google's newer firmware is measured with one processor, however many the guest has: --vcpus 1"]
    return []


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise MisuseError("cli.number", "not a number", where="--features", got=text, expected="0x1") from None
