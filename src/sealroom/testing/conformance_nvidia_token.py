"""Runs vectors that are an answer of NVIDIA's service: under the key set that the case brings, or its form alone."""

import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace

from sealroom.errors import SealroomError, UnverifiedError
from sealroom.evidence import TrustRoots
from sealroom.jose import Jwt, parse_jwt, read_jwks, require_times
from sealroom.tees.nvidia.detached_eat import DetachedEat, read_detached_eat
from sealroom.tees.nvidia.nras import verify_nras
from sealroom.testing.outcome import Outcome
from sealroom.testing.vector_store import VectorCase

__all__ = ["is_token", "run_token"]


def is_token(raw: bytes) -> bool:
    """Whether these bytes begin as such an answer does: a list whose first member is the overall token's pair."""
    return b"".join(raw[:64].split()).startswith(b'[["')


def run_token(case: VectorCase, roots: TrustRoots, *, form_only: bool) -> Outcome:
    """The structure, and that every device's token is the one that the overall token names; then who signed, and
    what the service found, by the key set that the case brings. Only a case about the form may bring none."""
    fields = _claimed(case.evidence)
    try:
        eat = read_detached_eat(case.evidence)
        fields |= {"submod_digest_matches": True, "devices": list(eat.devices)}
        jwks = _key_set(case)
        simulated = _well_formed(case, eat) if jwks is None and form_only else _verified(case, roots, jwks)
    except SealroomError as refusal:
        if refusal.code == "nvidia.nras-submodule-digest":
            fields["submod_digest_matches"] = False
        return Outcome(refusal=refusal, fields=fields)
    return Outcome(simulated=simulated, fields=fields)


def _well_formed(case: VectorCase, eat: DetachedEat) -> bool:
    """Without keys: times, and the nonce that was asked for."""
    for token in (eat.overall, *eat.devices.values()):
        require_times(token.claims, at=case.verify_at, area="nvidia")
    wanted = _wanted_nonce(case)
    if wanted is not None and not hmac.compare_digest(eat.nonce, wanted):
        raise UnverifiedError("nvidia.nras-nonce", "the service answered another nonce", got=eat.nonce.hex(),
                              expected=wanted.hex())  # fmt: skip
    return False


def _key_set(case: VectorCase) -> bytes | None:
    named = [path for name, path in case.collateral.items() if name.endswith("jwks")]
    return case.file(named[0]) if named else None


def _verified(case: VectorCase, roots: TrustRoots, jwks: bytes | None) -> bool:
    """Whoever made the case is the relying party, and its key set the one that it trusts."""
    if jwks is None:
        raise UnverifiedError("collateral.missing", "the collateral lacks jwks")
    trusted = frozenset(key.spki_sha256 for key in read_jwks(jwks, area="nvidia"))
    roots = replace(roots, token_signers=roots.token_signers | trusted)
    return verify_nras(case.evidence, jwks=jwks, roots=roots, nonce=_wanted_nonce(case), at=case.verify_at).simulated


def _wanted_nonce(case: VectorCase) -> bytes | None:
    nonce = case.collateral.get("expected_nonce")
    return None if nonce is None else bytes.fromhex(str(nonce))


def _claimed(raw: bytes) -> dict[str, object]:
    """What the tokens say, as far as there are any to read: a refusal may speak of it too.

    Every claim under its own name: of the overall token, and of a device's where there is one device.
    """
    tokens = list(_tokens(raw))
    if not tokens:
        return {}
    overall, devices = tokens[0], tokens[1:]
    claims: dict[str, object] = dict(devices[0].claims) if len(devices) == 1 else {}
    return claims | dict(overall.claims) | {
        "overall_alg": overall.alg,
        "overall_kid": overall.kid,
        "overall_result": overall.claims.get("x-nvidia-overall-att-result"),
        "claims_version": overall.claims.get("x-nvidia-ver"),
        "eat_nonce": overall.claims.get("eat_nonce"),
        "ueids": [device.claims.get("ueid") for device in devices],
        "results": [device.claims.get("measres") for device in devices],
    }  # fmt: skip


def _tokens(raw: bytes) -> Iterator[Jwt]:
    """The overall one, then the devices', up to the first that is none."""
    try:
        document = json.loads(raw)
        texts = [document[0][1], *_values(document[1])]
        for text in texts:
            yield parse_jwt(str(text), area="nvidia")
    except (ValueError, RecursionError, LookupError, TypeError, SealroomError):
        return


def _values(devices: object) -> list[object]:
    return list(devices.values()) if isinstance(devices, Mapping) else []
