"""``sealroom policy derive``: a starting policy from evidence, verified first."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from sealroom.cli.event_log import LARGEST_LOG, LogVerdict, judge_log
from sealroom.cli.input_files import naming, parse_fingerprints_option, parse_time_option, read_input
from sealroom.cli.judging import Exhibit, refuse_options
from sealroom.evidence import Appraisal, Claims
from sealroom.policy import default_policy, load_policy
from sealroom.policy.derive import DerivedPolicy, derive_policy

__all__ = ["derive"]

_MOST_NOTES = 40


def derive(
    evidence: Annotated[
        Path, typer.Argument(metavar="EVIDENCE", help="A bare report or quote, or a room's bundle; - reads stdin.")
    ],
    *,
    collateral: Annotated[
        list[Path] | None,
        typer.Option(help="For a bare report: what it takes to verify it, files or a folder, in any order."),
    ] = None,
    event_log: Annotated[
        Path | None, typer.Option(help="A TD's event log: what it proves of each register stands beside it.")
    ] = None,
    at: Annotated[str | None, typer.Option(help="Verify as of this time, such as 2026-11-23T12:00:00Z.")] = None,
    name: Annotated[str, typer.Option(help="The policy's name.")] = "derived",
    enrolled_key: Annotated[
        list[str] | None,
        typer.Option(
            help="Where no vendor's root stands above it: the key of the device, or of the token service, "
            "sha256: and 64 hex digits; may be repeated."
        ),
    ] = None,
    insecure_simulated_root: Annotated[
        list[str] | None,
        typer.Option(help="Accept this simulated root, sha256: and 64 hex digits; may be repeated. Proves nothing."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a starting policy that accepts the software in EVIDENCE.

    The evidence is verified first. Each line says what it pins; what is dangerous is left for you to decide, and told
    on stderr. Exit status 0 says that a policy was written, not that anything is acceptable.
    """
    when = parse_time_option(at)
    roots = parse_fingerprints_option(insecure_simulated_root, option="--insecure-simulated-root")
    keys = parse_fingerprints_option(enrolled_key, option="--enrolled-key")
    with naming(evidence):
        exhibit = Exhibit(read_input(evidence), at=when, tee=None, collateral=collateral or ())
        if exhibit.is_bundle:
            refuse_options("a bundle brings its own", collateral=collateral)
        verdict = exhibit.under(default_policy(insecure_simulated=roots, keys=keys, keys_of=exhibit.tee))
    claims = verdict.claims
    notes = {} if event_log is None else _notes(read_input(event_log, limit=LARGEST_LOG), claims)
    statement = exhibit.statement()
    derived = derive_policy(claims, name=name, at=when, statement=statement, devices=verdict.devices,
                            simulated_roots=roots, notes=notes)  # fmt: skip
    again = exhibit.under(
        load_policy(derived.text, source="the derived policy"), nonce=None if statement is None else statement.nonce
    )
    _tell(derived, again, as_json=as_json)


def _tell(derived: DerivedPolicy, again: Appraisal, *, as_json: bool) -> None:
    refused = [check.name for check in again.failures]
    document = {"policy": derived.text, "to_decide": list(derived.undecided), "still_refused": refused}
    typer.echo(json.dumps(document) if as_json else derived.text, nl=as_json)
    for question in derived.undecided:
        typer.echo(f"to decide: {question}", err=True)
    if refused:
        typer.echo(
            f"until then this policy refuses the evidence that it is derived from: {', '.join(refused)}", err=True
        )


def _notes(raw: bytes, claims: Claims) -> Mapping[str, Sequence[str]]:
    """The log's lines by register; a log that leads elsewhere is refused as a whole."""
    verdict: LogVerdict = judge_log(raw, claims)
    if verdict.refusal is not None:
        raise verdict.refusal
    notes: dict[str, list[str]] = {}
    for line in verdict.lines:
        register, _, text = line.partition(" ")
        notes.setdefault(register, []).append(text.strip())
    return {register: _cut(lines) for register, lines in notes.items()}


def _cut(lines: list[str]) -> list[str]:
    left_out = len(lines) - _MOST_NOTES
    return [*lines[:_MOST_NOTES], f"and {left_out} more"] if left_out > 0 else lines
