"""``sealroom result``: what another verifier found, believed for its signature alone; offline."""

import json
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sealroom.cli.input_files import naming, parse_hex_option, parse_time_option, read_input
from sealroom.cli.spoken import printable
from sealroom.ear import Ear, Submodule, Tier, Wanted, read_ear_cwt, read_ear_jwt
from sealroom.ear.vector import better
from sealroom.errors import MisuseError
from sealroom.jose import JwkKey, read_jwks
from sealroom.tees._cose.key import read_key

__all__ = ["Least", "register", "result"]

_MOST = 256 * 1024
_REFUSALS = "sealroom_refusals"


class Least(StrEnum):
    """The status that a result must have to be accepted."""

    AFFIRMING = "affirming"
    NONE = "none"
    WARNING = "warning"
    CONTRAINDICATED = "contraindicated"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("result")(result)


def result(  # noqa: PLR0913 - one for each option
    token: Annotated[
        Path, typer.Argument(metavar="RESULT", help="An attestation result (EAR), JWT or CBOR; - reads stdin.")
    ],
    *,
    issuer_key: Annotated[
        Path, typer.Option(help="The verifier's public key: PEM, JWK or a JWK set. A key in the token never counts.")
    ],
    issuer: Annotated[str | None, typer.Option(help="What its claim iss must say.")] = None,
    audience: Annotated[str | None, typer.Option(help="Whom its claim aud must name.")] = None,
    nonce: Annotated[str | None, typer.Option(help="The nonce that you sent to the verifier, in hex.")] = None,
    policy: Annotated[
        list[str] | None, typer.Option(help="A policy that counts, by its id; may be repeated.")
    ] = None,
    attester: Annotated[
        list[str] | None, typer.Option(help="An attester that must be among those appraised; may be repeated.")
    ] = None,
    least: Annotated[Least, typer.Option(help="The status to accept, recomputed from the vector.")] = Least.AFFIRMING,
    max_minutes: Annotated[
        int | None, typer.Option(min=1, help="How old it may be, whatever its own end; a day if it has none.")
    ] = None,
    at: Annotated[str | None, typer.Option(help="Judge as of this time, such as 2026-11-23T12:00:00Z.")] = None,
    old_times: Annotated[
        bool, typer.Option("--old-times", help="Read times with a decimal point, as verifiers of 2023 write them.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Verify an attestation result of another verifier. Exit status 0 only if its status is good enough.

    It says what that verifier found, and no more than its key is worth.
    """
    wanted = Wanted(
        issuer=issuer, audience=audience, nonce=parse_hex_option(nonce, option="--nonce", least=8, size=64),
        policies=frozenset(policy or ()), submodules=frozenset(attester or ()), strict=not old_times,
        max_age=None if max_minutes is None else timedelta(minutes=max_minutes),
    )  # fmt: skip
    with naming(issuer_key):
        keys = _keys(read_input(issuer_key))
    with naming(token):
        ear = _read(read_input(token, limit=_MOST), keys, at=parse_time_option(at), wanted=wanted)
    accepted = not better(Tier[least.name], ear.status)
    typer.echo(
        json.dumps(_facts(ear, accepted=accepted)) if as_json else _in_words(ear, accepted=accepted, least=least)
    )
    if not accepted:
        raise typer.Exit(1)


def _keys(raw: bytes) -> tuple[JwkKey, ...]:
    """A whole set, or the one key that is there."""
    if raw.lstrip()[:1] == b"{" and b'"keys"' in raw:
        return read_jwks(raw, area="cli")
    return (JwkKey.of(read_key(raw, area="cli")),)


def _read(raw: bytes, keys: tuple[JwkKey, ...], *, at: datetime, wanted: Wanted) -> Ear:
    """CBOR begins with a byte that no token in text begins with."""
    if raw[:1] < b"\x80":
        return read_ear_jwt(raw, keys, at=at, wanted=wanted)
    found = [one.key for one in keys]
    if len(found) != 1 or isinstance(found[0], RSAPublicKey):
        raise MisuseError("cli.one-key", "a result in CBOR names no key: it needs exactly one", where="--issuer-key",
                          got=f"{len(found)} keys", expected="one key on P-256 or P-384")  # fmt: skip
    return read_ear_cwt(raw, found[0], at=at, wanted=wanted)


def _facts(ear: Ear, *, accepted: bool) -> dict[str, Any]:
    return {
        "accepted": accepted,
        "status": _word(ear.status),
        "profile": ear.profile,
        "issuer": next((ear.extensions[key] for key in ("iss", 1) if key in ear.extensions), None),
        "verifier": {"developer": ear.verifier.developer, "build": ear.verifier.build},
        "issued_at": ear.issued_at.isoformat(),
        "expires_at": None if ear.expires_at is None else ear.expires_at.isoformat(),
        "attesters": [_attester(one) for one in ear.submodules],
    }


def _attester(one: Submodule) -> dict[str, Any]:
    return {
        "label": one.label,
        "status": _word(one.status),
        "claimed": _word(one.claimed),
        "vector": None if one.vector is None else one.vector.members(),
        "policies": list(one.policy_ids),
        "refusals": _texts(one.extensions.get(_REFUSALS)),
    }


def _texts(value: Any) -> list[str]:
    """A claim of our own, which a stranger may have written otherwise."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _in_words(ear: Ear, *, accepted: bool, least: Least) -> str:
    facts = _facts(ear, accepted=accepted)
    head = "ACCEPTED" if accepted else f"REFUSED, {least} is asked for"
    lines = [f"{head}: {facts['status']}, by {ear.verifier.developer} ({ear.verifier.build})",
             f"  issued {facts['issued_at']}, until {facts['expires_at'] or 'nobody says when'}"]  # fmt: skip
    lines += [] if facts["issuer"] is None else [f"  issuer {facts['issuer']}"]
    for one in facts["attesters"]:
        vector = ", ".join(f"{name} {value}" for name, value in (one["vector"] or {}).items()) or "no vector"
        lines.append(f"  {one['label']}: {one['status']} ({vector})")
        lines += [f"    policy {name}" for name in one["policies"]]
        lines += [f"    refused: {code}" for code in one["refusals"]]
    return "\n".join(printable(line) for line in lines)


def _word(tier: Tier) -> str:
    return tier.name.lower()
