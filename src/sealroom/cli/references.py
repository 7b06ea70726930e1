"""``sealroom policy references``: a publisher makes reference files, signs them, and shows what one holds."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from sealroom.cli.input_files import naming, parse_time_option, read_input
from sealroom.cli.signing_keys import read_signing_key
from sealroom.cli.spoken import printable
from sealroom.errors import MalformedError, MisuseError, UnavailableError
from sealroom.policy.references.accepting import signature_holds, written
from sealroom.policy.references.model import ReferenceFile
from sealroom.policy.references.read import MAX_FILE, read_reference_file
from sealroom.policy.references.signing import add_signature, sign_reference_values
from sealroom.policy.references.source import payload_from

__all__ = ["cosign_references", "register", "show_references", "sign_references"]

_Key = Annotated[Path, typer.Option(help="The signer's private key on P-256 or P-384, PEM.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_File = Annotated[Path, typer.Argument(metavar="FILE", help="A reference file; - reads stdin.")]


def register(group: typer.Typer) -> None:
    """Add the verbs to ``sealroom policy``."""
    verbs = typer.Typer(help="Make, sign and show reference files.", no_args_is_help=True, rich_markup_mode=None)
    verbs.command("sign")(sign_references)
    verbs.command("cosign")(cosign_references)
    verbs.command("show")(show_references)
    group.add_typer(verbs, name="references")


def sign_references(
    values: Annotated[Path, typer.Argument(metavar="VALUES", help="What is released, in TOML or JSON.")],
    *,
    key: _Key,
    output: Annotated[Path, typer.Option(help="The reference file; replaces one of the same name and lower serial.")],
    at: Annotated[str | None, typer.Option(help="When it is made, such as 2026-11-23T12:00:00Z; else now.")] = None,
    as_json: _Json = False,
) -> None:
    """Make a reference file of VALUES, signed by the first signer."""
    signer = read_signing_key(key, option="--key")
    with naming(values):
        raw = sign_reference_values(payload_from(read_input(values), issued_at=parse_time_option(at)), [signer])
    _require_newer(output, read_reference_file(raw))
    _write(output, raw)
    _tell(raw, as_json=as_json)


def cosign_references(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A reference file.")],
    *,
    key: _Key,
    as_json: _Json = False,
) -> None:
    """Add a signature to FILE in its place, and show what was signed."""
    if str(file) == "-":
        raise MisuseError("cli.not-a-file", "a signature is added to a file in its place", where="FILE", got="-")
    signer = read_signing_key(key, option="--key")
    with naming(file):
        raw = add_signature(_read(file), signer)
    _write(file, raw)
    _tell(raw, as_json=as_json)


def show_references(file: _File, *, as_json: _Json = False) -> None:
    """Show what FILE holds and who signed it. Exit status 4 if a signature in it does not hold.

    Whether it counts says a policy: sealroom policy explain.
    """
    with naming(file):
        raw = _read(file)
        read_reference_file(raw)
    _tell(raw, as_json=as_json)
    if not all(map(signature_holds, read_reference_file(raw).signatures)):
        raise typer.Exit(4)


def _read(file: Path) -> bytes:
    return read_input(file, limit=MAX_FILE)


def _require_newer(output: Path, new: ReferenceFile) -> None:
    """A serial that does not grow could be played back: whoever has the older file would have one as good."""
    if not output.exists():
        return
    try:
        old = read_reference_file(_read(output))
    except MalformedError:
        raise MisuseError("cli.output-exists", "the file is there already and is no reference file",
                          where=str(output)) from None  # fmt: skip
    if (old.name, old.table) != (new.name, new.table) or old.serial >= new.serial:
        raise MisuseError("reference.serial-not-newer", "the file that is there is not an older one of this name",
                          where=str(output), got=f"{new.name}, serial {new.serial}",
                          expected=f"{old.name}, for {old.table}, serial above {old.serial}")  # fmt: skip


def _write(path: Path, raw: bytes) -> None:
    try:
        path.write_bytes(raw)
    except OSError as reason:
        raise UnavailableError("cli.output", "the reference file can not be written", where=str(path),
                               got=reason.strerror) from None  # fmt: skip


def _tell(raw: bytes, *, as_json: bool) -> None:
    file = read_reference_file(raw)
    typer.echo(json.dumps(_facts(file)) if as_json else "\n".join(map(printable, _lines(file))))


def _facts(file: ReferenceFile) -> dict[str, Any]:
    claims = file.signatures[0].token.claims
    return {
        "name": file.name, "publisher": file.publisher, "for": file.table, "serial": file.serial,
        "reason": file.reason,
        **{word: _time(claims[name]) for word, name in (("issued", "iat"), ("from", "nbf"), ("until", "exp"))
           if name in claims},
        "values": {key: [written(one) for one in values] for key, values in file.values.items()},
        "signers": [{"signer": f"sha256:{one.key.spki_sha256.hex()}", "holds": signature_holds(one)}
                    for one in file.signatures],
    }  # fmt: skip


def _lines(file: ReferenceFile) -> list[str]:
    facts = _facts(file)
    lines = [f"{file.name}, serial {file.serial}, for [{file.table}], of {file.publisher}",
             f"  from {facts.get('from', facts['issued'])} until {facts['until']}"]  # fmt: skip
    lines += [f"  what is new: {file.reason}"] if file.reason else []
    lines += [f"  {key} {value}" for key, values in facts["values"].items() for value in values]
    lines += [f"  signer {one['signer']}{'' if one['holds'] else ': THE SIGNATURE DOES NOT HOLD'}"
              for one in facts["signers"]]  # fmt: skip
    return lines


def _time(value: object) -> str:
    """As a time if it is one; whether it is, nobody has asked yet."""
    try:
        return datetime.fromtimestamp(float(str(value)), tz=UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return f"no time: {value}"
