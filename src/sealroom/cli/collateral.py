"""``sealroom collateral``: what verification needs from the vendors, fetched ahead of time, as one file."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sealroom.cli.input_files import naming, parse_fingerprints_option, parse_time_option, read_input
from sealroom.cli.judging import recognised
from sealroom.collateral.archive import MAX_ARCHIVE, CollateralArchive, is_archive, read_archive
from sealroom.collateral.cache import CollateralCache
from sealroom.collateral.fetch.address import AN_ADDRESS, wrong_in_address
from sealroom.collateral.fetch.amd import AMD_SERVICE
from sealroom.collateral.fetch.intel import INTEL_SERVICE
from sealroom.collateral.fetch.nvidia import NVIDIA_OCSP, NVIDIA_RIMS
from sealroom.collateral.fetch.transport import Transport
from sealroom.collateral.fetch.vendors import Services, archive_of, fetch_needed, keep_leaf, kept_leaf, subject_of
from sealroom.errors import MalformedError, MisuseError, UnavailableError
from sealroom.policy import default_policy
from sealroom.tees.needs import Request, what_is_needed
from sealroom.tees.windows import item_lines
from sealroom.verifier import appraise_evidence
from sealroom.x509_reader import read_certificates

__all__ = ["check", "fetch", "register", "show"]

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_File = Annotated[Path, typer.Argument(metavar="FILE", help="A collateral bundle.")]
_LONGEST_WAIT = 600
"""Seconds."""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    group = typer.Typer(help="Fetch, show and check collateral.", no_args_is_help=True, rich_markup_mode=None)
    group.command("fetch")(fetch)
    group.command("show")(show)
    group.command("check")(check)
    app.add_typer(group, name="collateral")


def fetch(  # noqa: PLR0913 - one for each option
    evidence: Annotated[Path, typer.Argument(metavar="EVIDENCE", help="A quote or report that is to be verified.")],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="The collateral bundle to write; - is stdout.")],
    service: Annotated[
        str | None, typer.Option(help="Base address of a PCCS, or of another service; else the vendor's own.")
    ] = None,
    update: Annotated[str, typer.Option(help="Intel's data set: standard, or early.")] = "standard",
    product: Annotated[str | None, typer.Option(help="For SNP reports of version 2: Milan, Genoa.")] = None,
    leaf: Annotated[Path | None, typer.Option(help="The signing key's certificate, if it is at hand.")] = None,
    certificates: Annotated[
        Path | None, typer.Option(help="Of a GPU or switch: the chain that came with it.")
    ] = None,
    ocsp: Annotated[str, typer.Option(help="Address of the responder for NVIDIA's certificates.")] = NVIDIA_OCSP,
    cache: Annotated[Path | None, typer.Option(help="A folder to keep what was fetched in, until it ends.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds for each step of a request.")] = 20.0,
) -> None:
    """Fetch what EVIDENCE needs to be verified, as one file.

    The service learns family and model (Intel), the chip's id and version (AMD), or driver, VBIOS and boot ROM
    (NVIDIA), and nothing else.
    """
    raw, now = read_input(evidence), datetime.now(UTC)
    for option, address in (("--service", service), ("--ocsp", ocsp)):
        if address is not None and (wrong := wrong_in_address(address)):
            raise MisuseError("cli.address", f"{option} takes an address", got=wrong, expected=AN_ADDRESS)
    if not 0 < timeout <= _LONGEST_WAIT:
        raise MisuseError(
            "cli.timeout", "--timeout takes some seconds", got=timeout, expected=f"up to {_LONGEST_WAIT}"
        )
    chain = None if certificates is None else _chain(certificates)
    with naming(evidence):
        tee = recognised(raw)
        needed = what_is_needed(tee, raw, product=product, certificates=chain)
    services = Services(intel=service or INTEL_SERVICE, intel_update=update, amd=service or AMD_SERVICE,
                        google=service, nvidia_rims=service or NVIDIA_RIMS, nvidia_ocsp=ocsp)  # fmt: skip
    archive = _kept_or_fetched(needed, services, None if cache is None else CollateralCache(cache),
                               leaf=None if leaf is None else read_input(leaf), timeout=timeout, now=now)  # fmt: skip
    _write(output, archive.encode())
    until = "unknown" if archive.holds_until is None else archive.holds_until.isoformat()
    typer.echo(f"{archive.subject}: {len(archive.collateral.items)} items, holds until {until}", err=True)


def show(file: _File, *, as_json: _Json = False) -> None:
    """Show what a bundle holds, and until when each part says that it does. Nothing is verified."""
    archive = _read(file)
    facts = {"tee": archive.tee.value, "subject": archive.subject, "fetched_at": archive.fetched_at.isoformat(),
             "holds_until": None if archive.holds_until is None else archive.holds_until.isoformat()}  # fmt: skip
    lines = item_lines(archive.collateral)
    if as_json:
        typer.echo(json.dumps({**facts, "verified": False, "items": dict(lines)}))
        return
    typer.echo(f"collateral for {archive.tee.value} evidence, {archive.subject} (nothing here is verified)")
    typer.echo(f"  fetched {facts['fetched_at']}, holds until {facts['holds_until'] or 'unknown'}")
    for name, line in lines:
        typer.echo(f"  {name:<26} {line}")


def check(
    file: _File,
    *,
    evidence: Annotated[Path, typer.Option(help="A quote or report that it is for.")],
    at: Annotated[str | None, typer.Option(help="Check as of this time, such as 2026-11-23T12:00:00Z.")] = None,
    insecure_simulated_root: Annotated[
        list[str] | None,
        typer.Option(help="SHA-256 of a simulated root, 64 hex digits; may be repeated. Proves nothing."),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Check that a bundle suffices to verify EVIDENCE now. Exit status 0 only if it does."""
    archive, raw, when = _read(file), read_input(evidence), parse_time_option(at)
    roots = parse_fingerprints_option(insecure_simulated_root, option="--insecure-simulated-root")
    with naming(evidence):
        appraisal = appraise_evidence(tee=archive.tee, raw=raw, collateral=archive.collateral,
                                      policy=default_policy(insecure_simulated=roots), at=when)  # fmt: skip
    claims = appraisal.claims
    status = f", status {claims.tcb_status}" if claims.tcb_status else ""
    if as_json:
        typer.echo(json.dumps({"holds": True, "until": claims.validity.not_after.isoformat(),
                               "tcb_status": claims.tcb_status, "simulated": claims.simulated}))  # fmt: skip
        return
    typer.echo(f"holds for this evidence until {claims.validity.not_after.isoformat()}{status}"
               + (", SIMULATED" if claims.simulated else ""))  # fmt: skip


def _kept_or_fetched(
    needed: Request, services: Services, kept: CollateralCache | None, *, leaf: bytes | None, timeout: float,
    now: datetime,
) -> CollateralArchive:  # fmt: skip
    subject = subject_of(needed, services)
    if kept is not None and (found := kept.get(subject, now)) is not None:
        return found
    if leaf is None and kept is not None:
        leaf = kept_leaf(kept, subject, now)
    transport = Transport(timeout=timeout)
    try:
        items = fetch_needed(needed, transport, services, leaf=leaf)
    finally:
        transport.close()
    archive = archive_of(needed, services, items, at=now)
    if kept is not None:
        kept.put(archive)
        keep_leaf(kept, archive)
    return archive


def _chain(path: Path) -> bytes:
    raw = read_input(path)
    try:
        read_certificates(raw)
    except MalformedError:
        raise MalformedError("cli.certificates", "--certificates names a file that holds none", where=str(path),
                             expected="PEM or DER, the device's own first") from None  # fmt: skip
    return raw


def _read(file: Path) -> CollateralArchive:
    raw = read_input(file, limit=MAX_ARCHIVE)
    if not is_archive(raw):
        raise MalformedError("cli.not-collateral", "this is no collateral bundle that this release knows",
                             where=str(file), got=f"{len(raw)} bytes",
                             expected="what sealroom collateral fetch writes",
                             hint="sealroom inspect shows what a file is")  # fmt: skip
    with naming(file):
        return read_archive(raw)


def _write(path: Path, raw: bytes) -> None:
    if str(path) == "-":
        sys.stdout.buffer.write(raw)
        return
    try:
        path.write_bytes(raw)
    except OSError as reason:
        raise UnavailableError("cli.output", "the bundle can not be written", where=str(path),
                               got=reason.strerror) from None  # fmt: skip
