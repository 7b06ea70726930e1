"""``sealroom doctor``: what this machine is, which evidence it can make, what is missing, and how to mend it."""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from sealroom.cli.judging import refuse_options
from sealroom.cli.spoken import printable
from sealroom.doctor.collect import look
from sealroom.doctor.collect_answers import Answer, ask, ask_this_machine
from sealroom.doctor.diagnosis import diagnose
from sealroom.doctor.finding import Area, Diagnosis, Finding, State, ok
from sealroom.doctor.room import room_findings
from sealroom.errors import MisuseError, UnavailableError
from sealroom.evidence import DeviceAttester, Tee
from sealroom.testing.machines import guest_at, kind_at

__all__ = ["doctor", "register", "report_lines"]

_TITLES = {Area.EVIDENCE: "evidence of the machine", Area.DEVICES: "devices", Area.ROOM: "to run a room here",
           Area.ANSWERS: "asked"}  # fmt: skip
_UP = "sealroom up: the whole system on this machine, on simulated hardware"
_WIDEST, _STATE, _NAME = 110, 10, 19


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("doctor")(doctor)


def doctor(
    *,
    asking: Annotated[
        bool, typer.Option("--ask", help="Ask the silicon for one piece of evidence, and verify it.")
    ] = False,
    tee: Annotated[Tee | None, typer.Option(help="With --ask: which evidence, where a machine has several.")] = None,
    collateral: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="With --ask: what goes along with evidence.")
    ] = None,
    insecure_simulated: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A simulated guest in place of this machine. Proves nothing.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what this machine can prove, and what is missing.

    Each with how to mend it. Nothing is changed. Exit status 0 if this machine can make evidence, 5 if it can not.
    """
    if not asking:
        refuse_options("it goes with --ask", tee=tee, collateral=collateral)
    if insecure_simulated is None:
        diagnosis = diagnose(look())
        answers = ask_this_machine(diagnosis, collateral, tee=tee) if asking else ()
    else:
        refuse_options("a simulated machine has one CPU, and brings its own", tee=tee, collateral=collateral)
        if kind_at(insecure_simulated) is None:
            raise MisuseError("cli.no-guest", "no simulated machine is kept in this folder",
                              where=str(insecure_simulated), hint="sealroom simulate makes one")  # fmt: skip
        guest = guest_at(insecure_simulated)
        diagnosis = _simulated(insecure_simulated, guest.cpu.tee, guest.devices)
        answers = ask({"CPU": guest.cpu, **guest.devices}) if asking else ()
    if as_json:
        typer.echo(json.dumps(_as_json(diagnosis, answers, simulated=insecure_simulated is not None)))
    else:
        columns = min(shutil.get_terminal_size().columns, _WIDEST) if sys.stdout.isatty() else _WIDEST
        typer.echo("\n".join(report_lines(diagnosis, answers, columns=columns, simulated=insecure_simulated)))
    if not diagnosis.proves or not all(answer.made for answer in answers):
        raise typer.Exit(UnavailableError.exit_status)


def report_lines(
    diagnosis: Diagnosis, answers: tuple[Answer, ...], *, columns: int, simulated: Path | None = None
) -> Iterator[str]:
    """The findings for a person, in lines of at most ``columns``."""
    yield from _folded("this machine   ", diagnosis.machine, columns)
    yield from _folded("it can prove   ", _proved(diagnosis), columns)
    for area, title in _TITLES.items():
        findings = [answer.finding for answer in answers] if area is Area.ANSWERS else diagnosis.of(area)
        if findings:
            yield from ("", title)
        for finding in findings:
            yield from _folded(f"  {finding.state:<{_STATE}}{finding.name:<{_NAME}}", finding.found, columns)
            if finding.mend is not None:
                yield from _folded(" " * (2 + _STATE + _NAME), f"mend: {finding.mend}", columns)
    yield ""
    yield from _folded("next           ", _next(diagnosis, asked=bool(answers), simulated=simulated), columns)


def _folded(head: str, text: str, columns: int) -> list[str]:
    return textwrap.wrap(printable(text), max(columns, len(head) + 20), initial_indent=head,
                         subsequent_indent=" " * len(head), break_long_words=False,
                         break_on_hyphens=False) or [head]  # fmt: skip


def _proved(diagnosis: Diagnosis) -> str:
    proving = [f"{one.name} ({one.tee})" for one in diagnosis.of(Area.EVIDENCE) if one.state is State.OK]
    if not proving:
        mendable = any(one.state is State.MISSING for one in diagnosis.of(Area.EVIDENCE))
        return "NOTHING yet: something is missing" if mendable else "NOTHING: it has no hardware for it that we know"
    if not diagnosis.confidential:
        return f"how it was booted ({', '.join(proving)}), and not that nobody looks into its memory"
    beside = f"; {', '.join(proving[1:])} where it is named (--tee, [hardware] tee)" if proving[1:] else ""
    return f"{proving[0]}{beside}"


def _next(diagnosis: Diagnosis, *, asked: bool, simulated: Path | None) -> str:
    if diagnosis.proves:
        guest = "" if simulated is None else f" --insecure-simulated {simulated}"
        return (f"sealroom collect FOLDER --report-data HEX{guest}: evidence into files; "
                f"sealroom serve --config FILE{guest}: a room" if asked else
                f"sealroom doctor --ask{guest}: asks for one piece of evidence, and verifies it")  # fmt: skip
    if any(one.state is State.MISSING for one in diagnosis.of(Area.EVIDENCE)):
        return f"mend what is missing, then: sealroom doctor --ask. Meanwhile {_UP}"
    return (
        f"{_UP}. Evidence is made by confidential VMs of Azure, Google and AWS, and by machines of your own with "
        "SEV-SNP, TDX or CCA"
    )


def _as_json(diagnosis: Diagnosis, answers: tuple[Answer, ...], *, simulated: bool) -> dict[str, Any]:
    return {
        "machine": diagnosis.machine,
        "simulated": simulated,
        "proves": [tee.value for tee in diagnosis.proves],
        "confidential": diagnosis.confidential,
        "findings": [_facts(one) for area in Area for one in diagnosis.of(area)],
        "answers": [_facts(answer.finding) | {"made": answer.made} for answer in answers],
    }


def _facts(finding: Finding) -> dict[str, Any]:
    return {"area": finding.area.value, "name": finding.name, "state": finding.state.value,
            "tee": None if finding.tee is None else finding.tee.value, "found": finding.found,
            "mend": finding.mend}  # fmt: skip


def _simulated(folder: Path, tee: Tee, devices: Mapping[str, DeviceAttester]) -> Diagnosis:
    words = f"simulated hardware kept in {folder}, which proves nothing to anybody who does not accept its keys"
    own = [ok("SIMULATED", words, tee=tee)]
    if devices:
        own.append(ok("SIMULATED", ", ".join(devices), area=Area.DEVICES))
    facts = look()
    return Diagnosis(machine=f"a SIMULATED machine of the kind {kind_at(folder)}, on {diagnose(facts).machine}",
                     findings=(*own, *room_findings(facts)))  # fmt: skip
