"""``sealroom measure log``: an event log, event by event, and the registers that it leads to."""

import json
from pathlib import Path
from typing import Annotated

import typer

from sealroom.cli.event_log import event_lines
from sealroom.cli.input_files import read_input
from sealroom.errors import MalformedError, MisuseError
from sealroom.measure.boot_facts import boot_facts, remarks
from sealroom.measure.ima import MAX_LIST, read_ima
from sealroom.measure.replay import RTMRS, NamedEvent, replay_rtmrs, require_equal
from sealroom.measure.tcg2 import MAX_LOG
from sealroom.measure.tpm_replay import replay_pcrs, require_pcrs
from sealroom.tees import tdx

__all__ = ["measure_log"]

_KINDS = ("ccel", "tpm", "ima")


def measure_log(
    log: Annotated[Path, typer.Argument(metavar="LOG", help="The log area, as firmware or kernel left it.")],
    *,
    kind: Annotated[str, typer.Option(help=f"Whose it is: {', '.join(_KINDS)}.")] = "ccel",
    quote: Annotated[
        Path | None, typer.Option(help="A TDX quote to compare with; its signature is not looked at here.")
    ] = None,
    pcrs: Annotated[Path | None, typer.Option(help='PCRs to compare with: {"sha256": {"0": "hex"}}.')] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Replay an event log, and say of each event whether its digest proves its text."""
    if kind not in _KINDS:
        raise MisuseError("cli.log-kind", "no such log", where="--kind", got=kind, expected=", ".join(_KINDS))
    raw = read_input(log, limit=MAX_LIST if kind == "ima" else MAX_LOG)
    if kind == "ima":
        measured = read_ima(raw)
        lines = [f"{entry.number:>5} {entry.template:<10} {entry.name}" for entry in measured.entries]
        _tell(lines, {f"pcr10, {bank}": value.hex() for bank, value in measured.pcr10.items()}, as_json=as_json)
    elif kind == "tpm":
        _tpm(raw, pcrs, as_json=as_json)
    else:
        _ccel(raw, quote, as_json=as_json)


def _ccel(raw: bytes, quote: Path | None, *, as_json: bool) -> None:
    replay = replay_rtmrs(raw)
    lines = _lines(replay.events)
    if quote is not None:
        report = tdx.parse(read_input(quote)).report
        require_equal(replay.registers, replay.extended, {name: getattr(report, name) for name in RTMRS})
        lines.append("the registers equal the quote's (whose signature was not looked at: sealroom verify does)")
    _tell(lines, {name: value.hex() for name, value in replay.registers.items()}, as_json=as_json)


def _tpm(raw: bytes, pcrs: Path | None, *, as_json: bool) -> None:
    replay = replay_pcrs(raw)
    lines = _lines(replay.events)
    if pcrs is not None:
        missing = require_pcrs(replay, _pcrs(pcrs))
        lines.append("the registers equal the stated PCRs")
        lines += [f"bank {bank} is not in the log: unverified" for bank in missing]
    registers = {f"pcr{index}, {bank}": value.hex()
                 for bank, values in replay.pcrs.items() for index, value in sorted(values.items())}  # fmt: skip
    _tell(lines, registers, as_json=as_json)


def _pcrs(path: Path) -> dict[str, dict[int, bytes]]:
    try:
        stated = json.loads(read_input(path))
        return {bank: {int(index): bytes.fromhex(value) for index, value in values.items()}
                for bank, values in stated.items()}  # fmt: skip
    except (ValueError, AttributeError, TypeError):
        raise MalformedError("cli.pcrs", "these are no PCRs", where=str(path),
                             expected='{"sha256": {"0": "hex"}}') from None  # fmt: skip


def _lines(events: tuple[NamedEvent, ...]) -> list[str]:
    return [*event_lines(events), *remarks(events, boot_facts(events))]


def _tell(lines: list[str], registers: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"events": lines, "registers": registers}))
        return
    typer.echo("\n".join(lines))
    typer.echo("\n".join(("", *(f"{name}: {value}" for name, value in registers.items()))))
