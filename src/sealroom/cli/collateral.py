"""``sealroom collateral``: what verification needs from the vendors, fetched ahead of time, as one file."""

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sealroom.cli.collateral_windows import earliest_end, item_lines
from sealroom.cli.input_files import naming, parse_time_option, read_input
from sealroom.collateral.archive import MAX_ARCHIVE, CollateralArchive, read_archive
from sealroom.collateral.cache import CollateralCache
from sealroom.collateral.fetch import IntelOptions, Transport, fetch_amd, fetch_intel, fetch_nvidia
from sealroom.collateral.fetch.amd import AMD_SERVICE
from sealroom.collateral.fetch.intel import INTEL_SERVICE
from sealroom.collateral.fetch.nvidia import NVIDIA_OCSP, NVIDIA_RIMS
from sealroom.errors import MalformedError, MisuseError, UnavailableError
from sealroom.evidence import Collateral
from sealroom.policy import default_policy
from sealroom.tees.needs import AmdRequest, IntelRequest, NvidiaRequest, Request, what_is_needed
from sealroom.tees.recognise import recognise
from sealroom.verifier import appraise_evidence

__all__ = ["check", "fetch", "register", "show"]

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_File = Annotated[Path, typer.Argument(metavar="FILE", help="A collateral bundle.")]
_FINGERPRINT = 64
_LEAF = "-leaf"


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
    tee = recognise(raw)
    if tee is None:
        raise MalformedError("cli.not-evidence", "this is no evidence that this release knows", where=str(evidence))
    with naming(evidence):
        chain = None if certificates is None else read_input(certificates)
        needed = what_is_needed(tee, raw, product=product, certificates=chain)
    kept = None if cache is None else CollateralCache(cache)
    subject = f"{needed.name}-{update}" if isinstance(needed, IntelRequest) else needed.name
    archive = kept.get(subject, now) if kept is not None else None
    if archive is None:
        at_hand = read_input(leaf) if leaf is not None else _kept_leaf(kept, subject, now)
        items = _fetched(needed, service=service, ocsp=ocsp, update=update, timeout=timeout, leaf=at_hand)
        archive = _archive(needed, subject, now, items)
        if kept is not None:
            kept.put(archive)
            _keep_leaf(kept, archive)
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
        str | None, typer.Option(help="SHA-256 of a simulated root, 64 hex digits. Proves nothing.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Check that a bundle suffices to verify EVIDENCE now. Exit status 0 only if it does."""
    archive, raw, when = _read(file), read_input(evidence), parse_time_option(at)
    roots = frozenset() if insecure_simulated_root is None else frozenset({_root(insecure_simulated_root)})
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


def _archive(needed: Request, subject: str, now: datetime, items: dict[str, bytes]) -> CollateralArchive:
    collateral = Collateral(items=items)
    return CollateralArchive(tee=needed.tee, subject=subject, fetched_at=now, holds_until=earliest_end(collateral),
                             collateral=collateral)  # fmt: skip


def _kept_leaf(kept: CollateralCache | None, subject: str, now: datetime) -> bytes | None:
    """AMD's service limits its callers hard, and a chip's certificate for a version never changes in meaning."""
    found = None if kept is None else kept.get(subject + _LEAF, now)
    return None if found is None else found.collateral.items.get("leaf")


def _keep_leaf(kept: CollateralCache, archive: CollateralArchive) -> None:
    if (leaf := archive.collateral.items.get("leaf")) is not None:
        kept.put(replace(archive, subject=archive.subject + _LEAF, holds_until=None,
                         collateral=Collateral(items={"leaf": leaf})))  # fmt: skip


def _fetched(
    needed: Request, *, service: str | None, ocsp: str, update: str, timeout: float, leaf: bytes | None
) -> dict[str, bytes]:
    transport = Transport(timeout=timeout)
    try:
        if isinstance(needed, AmdRequest):
            return fetch_amd(needed, transport, service=service or AMD_SERVICE, leaf=leaf)
        if isinstance(needed, NvidiaRequest):
            return fetch_nvidia(needed, transport, rims=service or NVIDIA_RIMS, ocsp=ocsp)
        return fetch_intel(needed, transport, IntelOptions(service=service or INTEL_SERVICE, update=update))
    finally:
        transport.close()


def _read(file: Path) -> CollateralArchive:
    with naming(file):
        return read_archive(read_input(file, limit=MAX_ARCHIVE))


def _write(path: Path, raw: bytes) -> None:
    if str(path) == "-":
        sys.stdout.buffer.write(raw)
        return
    try:
        path.write_bytes(raw)
    except OSError as reason:
        raise UnavailableError("cli.output", "the bundle can not be written", where=str(path),
                               got=reason.strerror) from None  # fmt: skip


def _root(text: str) -> bytes:
    digits = text.removeprefix("sha256:")
    try:
        if len(digits) == _FINGERPRINT:
            return bytes.fromhex(digits)
    except ValueError:
        pass
    raise MisuseError("cli.hex", "a fingerprint is 64 hexadecimal digits", where="--insecure-simulated-root",
                      got=text[:80])  # fmt: skip
