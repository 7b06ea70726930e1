"""``sealroom verify``: evidence and a policy in, accepted or refused with every reason out; offline."""

import json
from pathlib import Path
from typing import Annotated

import typer

from sealroom.cli.event_log import LARGEST_LOG, LogVerdict, judge_log
from sealroom.cli.input_files import naming, parse_hex_option, parse_time_option, read_input, read_policy_bytes
from sealroom.cli.judging import REPORT_DATA_SIZE, Exhibit, refuse_options
from sealroom.cli.result_file import ResultFor, ResultForm, order_of
from sealroom.client.policy_store import with_files_beside
from sealroom.evidence import Appraisal, Tee
from sealroom.policy import Policy, appraisal_as_dict, default_policy, load_policy, render_appraisal

__all__ = ["register", "verify"]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("verify")(verify)


def verify(  # noqa: PLR0913 - one for each option
    evidence: Annotated[
        Path, typer.Argument(metavar="EVIDENCE", help="An evidence bundle, or a bare report; - reads stdin.")
    ],
    *,
    policy: Annotated[
        Path | None, typer.Option(help="What to accept. Without one: genuine silicon with safe settings, no more.")
    ] = None,
    at: Annotated[str | None, typer.Option(help="Judge as of this time, such as 2026-11-23T12:00:00Z.")] = None,
    nonce: Annotated[str | None, typer.Option(help="The nonce that a bundle must answer, 64 hex digits.")] = None,
    report_data: Annotated[
        str | None, typer.Option(help="The report data, or the nonce, that a bare report must carry, in hex.")
    ] = None,
    collateral: Annotated[
        list[Path] | None,
        typer.Option(help="For a bare report: what came with it, files or a folder, in any order."),
    ] = None,
    tee: Annotated[
        Tee | None, typer.Option(help="For a bare report: what kind it is. Else its first bytes tell.")
    ] = None,
    event_log: Annotated[
        Path | None, typer.Option(help="A TD's event log, to be replayed against the registers of its quote.")
    ] = None,
    ear: Annotated[
        Path | None, typer.Option(help="Write the verdict, also a refusal, as a signed attestation result (EAR).")
    ] = None,
    ear_key: Annotated[
        Path | None, typer.Option(help="The key that signs it: a private key on P-256 or P-384, PEM.")
    ] = None,
    ear_form: Annotated[ResultForm, typer.Option(help="How it is encoded.")] = ResultForm.JWT,
    ear_for: Annotated[ResultFor, typer.Option(help="Who reads it: whose names its claims have.")] = ResultFor.IETF,
    ear_issuer: Annotated[str | None, typer.Option(help="Its claim iss.")] = None,
    ear_nonce: Annotated[str | None, typer.Option(help="The nonce of whoever asked for it, in hex.")] = None,
    ear_minutes: Annotated[int, typer.Option(help="How long it may last; never longer than the evidence.")] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as one JSON object.")] = False,
) -> None:
    """Judge EVIDENCE under a policy, offline. Exit status 0 only if it is accepted."""
    order = order_of(ear, ear_key, form=ear_form, consumer=ear_for, issuer=ear_issuer, nonce=ear_nonce,
                     minutes=ear_minutes)  # fmt: skip
    if order is not None:
        refuse_options("an attestation result says nothing of the log", event_log=event_log)
    rules, time = _policy(policy), parse_time_option(at)
    with naming(evidence):
        exhibit = Exhibit(read_input(evidence), at=time, tee=tee, collateral=collateral or ())
    if exhibit.is_bundle:
        refuse_options("a bundle brings its own", collateral=collateral, report_data=report_data, tee=tee)
    else:
        refuse_options("a bare report answers no nonce; use --report-data", nonce=nonce)
    expected = parse_hex_option(nonce, option="--nonce", size=32)
    bound = parse_hex_option(report_data, option="--report-data", size=REPORT_DATA_SIZE, least=1)
    with naming(evidence):
        appraisal = exhibit.under(rules, nonce=expected, report_data=bound)
    log = None if event_log is None else judge_log(read_input(event_log, limit=LARGEST_LOG), appraisal.claims)
    if order is not None:
        order.write(appraisal, at=time)
    _tell(appraisal, log, as_json=as_json)
    if not appraisal.accepted or (log is not None and log.refusal is not None):
        raise typer.Exit(1)


def _policy(path: Path | None) -> Policy:
    if path is None:
        return default_policy()
    return with_files_beside(load_policy(read_policy_bytes(path), source=str(path)), path)


def _tell(appraisal: Appraisal, log: LogVerdict | None, *, as_json: bool) -> None:
    if as_json:
        extra = {} if log is None else {"event_log": log.as_dict()}
        typer.echo(json.dumps({**appraisal_as_dict(appraisal), **extra}))
        return
    typer.echo(render_appraisal(appraisal), nl=False)
    if log is not None:
        verdict = "leads to the quote's registers" if log.refusal is None else "REFUSED"
        typer.echo("\n".join((f"event log: {verdict}", *(f"  {line}" for line in log.lines))))
        if log.refusal is not None:
            typer.echo(log.refusal.diagnostics())
