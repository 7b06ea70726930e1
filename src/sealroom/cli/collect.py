"""``sealroom collect``: evidence of this machine into a folder, ready for ``sealroom verify``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from sealroom.binding import carried
from sealroom.cli.input_files import parse_hex_option
from sealroom.collect import devices_of_this_machine, this_machine
from sealroom.errors import MisuseError, UnavailableError
from sealroom.evidence import Attester, CollectedEvidence, DeviceAttester, Tee

__all__ = ["collect", "register"]

_EVIDENCE = "evidence.bin"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("collect")(collect)


def collect(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to put it; made if it is not there.")],
    *,
    report_data: Annotated[
        str, typer.Option(help="What the evidence must bind, 128 hex digits, such as a verifier's nonce.")
    ],
    insecure_simulated: Annotated[
        Path | None,
        typer.Option(help="A simulated guest (sealroom simulate) in place of this machine. Proves nothing."),
    ] = None,
    tee: Annotated[
        Tee | None,
        typer.Option(
            help="Which evidence, where a machine has several: a cloud's wrapper around the silicon's, say."
        ),
    ] = None,
    devices: Annotated[
        bool, typer.Option("--devices", help="Ask its GPUs and switches too; each into a folder in FOLDER.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write evidence of this machine into FOLDER.

    The silicon is asked, and what came along goes beside it. Evidence with a shorter field than the 64 bytes, such as
    that of GPUs, carries their SHA-256.
    """
    bound = parse_hex_option(report_data, option="--report-data", size=64)
    if bound is None:
        raise MisuseError("cli.report-data", "evidence binds something", expected="--report-data")
    attester, of_devices = _hardware(insecure_simulated, tee, devices=devices)
    asked: Mapping[Path, Attester | DeviceAttester] = {folder: attester} | {
        folder / name: device for name, device in of_devices.items()
    }
    collected = {place: one.collect(carried(one.tee, bound)) for place, one in asked.items()}  # all, or no file
    found = [_written(place, one) for place, one in collected.items()]
    if as_json:
        typer.echo(json.dumps(found[0] | ({"devices": found[1:]} if devices else {})))
        return
    for one in found:
        typer.echo(f"{one['tee']}: {', '.join(one['files'])}")
        typer.echo(f"next: sealroom verify {one['folder']}/{_EVIDENCE} --collateral {one['folder']}", err=True)


def _hardware(
    simulated: Path | None, tee: Tee | None, *, devices: bool
) -> tuple[Attester, Mapping[str, DeviceAttester]]:
    if simulated is None:
        return this_machine(tee=tee), devices_of_this_machine() if devices else {}
    from sealroom.testing.machines import guest_at  # noqa: PLC0415 - not for a real machine

    guest = guest_at(simulated)
    if tee not in {None, guest.cpu.tee}:
        raise UnavailableError("collect.other-tee", "this guest offers other evidence than was asked for",
                               got=guest.cpu.tee.value, expected=str(tee))  # fmt: skip
    return guest.cpu, guest.devices if devices else {}


def _written(folder: Path, collected: CollectedEvidence) -> dict[str, Any]:
    return {"tee": collected.tee.value, "folder": str(folder), "files": _write(folder, collected)}


def _write(folder: Path, collected: CollectedEvidence) -> list[str]:
    files = {_EVIDENCE: collected.raw, **collected.collateral.items}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as reason:
        raise UnavailableError("cli.output", "the evidence can not be written", where=str(folder),
                               got=reason.strerror) from None  # fmt: skip
    return list(files)
