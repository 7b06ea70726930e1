"""``sealroom collect``: evidence of this machine into a folder, ready for ``sealroom verify``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from sealroom.cli.input_files import parse_hex_option
from sealroom.collect import this_machine
from sealroom.errors import MisuseError, UnavailableError
from sealroom.evidence import Attester, CollectedEvidence

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
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write evidence of this machine into FOLDER.

    The silicon is asked, and what came along goes beside it.
    """
    bound = parse_hex_option(report_data, option="--report-data", size=64)
    if bound is None:
        raise MisuseError("cli.report-data", "evidence binds something", expected="--report-data")
    collected = _attester(insecure_simulated).collect(bound)
    names = _write(folder, collected)
    if as_json:
        typer.echo(json.dumps({"tee": collected.tee.value, "folder": str(folder), "files": names}))
        return
    typer.echo(f"{collected.tee.value}: {', '.join(names)}")
    typer.echo(f"next: sealroom verify {folder / _EVIDENCE} --collateral {folder}", err=True)


def _attester(simulated: Path | None) -> Attester:
    if simulated is None:
        return this_machine()
    from sealroom.testing.machines import guest_at  # noqa: PLC0415 - not for a real machine

    return guest_at(simulated).cpu


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
