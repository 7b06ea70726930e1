"""What the relying party of a vector asks of an attestation result."""

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any

from sealroom.ear import Wanted
from sealroom.ear.vector import TIER_NAMES
from sealroom.jose import JoseAlg
from sealroom.testing.outcome import UnsupportedCaseError
from sealroom.testing.vector_store import VectorCase

__all__ = ["wanted_by"]

_ASKED: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "iss": ("issuer", str),
    "aud": ("audience", str),
    "developer": ("verifiers", lambda value: frozenset({str(value)})),
    "submods": ("submodules", lambda value: frozenset(map(str, value))),
    "policy_ids": ("policies", lambda value: frozenset(map(str, value))),
    "max_age_seconds": ("max_age", lambda value: timedelta(seconds=value)),
    "eat_profile": ("profiles", lambda value: frozenset({str(value)})),
    "ear_status": ("least", lambda value: TIER_NAMES[value]),
}
"""Names that a vector's ``policy`` may use: those of the claims that they ask about."""


def wanted_by(case: VectorCase, claims: Mapping[str, Any], algorithms: Collection[JoseAlg]) -> Wanted:
    """What ``collateral.policy`` and ``collateral.expected_nonce`` ask for.

    Args:
        case: of a token.
        claims: of the token; only the form of its nonce is looked at.
        algorithms: that may sign.

    Raises:
        UnsupportedCaseError: it asks for something that is not known here.
    """
    asked = case.collateral.get("policy", {})
    if not isinstance(asked, Mapping):
        raise UnsupportedCaseError("a relying party that asks for something that is not known here")
    nonce = case.collateral.get("expected_nonce", asked.get("eat_nonce"))
    found: dict[str, Any] = {} if nonce is None else {"nonce": _as_carried(str(nonce), claims.get("eat_nonce"))}
    for name in asked.keys() - {"eat_nonce"}:
        if name not in _ASKED:
            raise UnsupportedCaseError(f"a relying party that asks for {name}, which is not known here")
        member, read = _ASKED[name]
        try:
            found[member] = read(asked[name])
        except (TypeError, KeyError, ValueError, OverflowError):
            raise case.malformed(f"the policy's {name} is none") from None
    # a vector names the time of its verdict; how old a result may be then, it asks for or leaves alone
    return Wanted(algorithms=algorithms, **{"max_age": timedelta.max, **found})


def _as_carried(nonce: str, carried: object) -> str | bytes:
    """A nonce as text, where the result has it so, or else the bytes that it is in hexadecimal."""
    if nonce == carried or (isinstance(carried, list) and nonce in carried):
        return nonce
    try:
        return bytes.fromhex(nonce)
    except ValueError:
        return nonce
