"""Our `Appraisal` as an attestation result: one appraisal for each attester, the vector computed from the checks."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any

from sealroom.ear.mapping import attesters, checks_of, vector_of
from sealroom.ear.model import IETF_PROFILE, Ear, Submodule, VerifierId
from sealroom.ear.vector import Tier, worst
from sealroom.evidence import Appraisal, Check, Claims

__all__ = ["OUR_VERIFIER", "ear_of"]

OUR_VERIFIER = VerifierId(developer="Sealroom", build=f"sealroom {version('sealroom')}")
_NONCE_BYTES = range(8, 65)
_MAX_REFUSALS = 32


def ear_of(
    appraisal: Appraisal,
    *,
    issued_at: datetime,
    expires_at: datetime | None = None,
    nonce: bytes | None = None,
    extensions: Mapping[str | int, Any] | None = None,
    key: bytes | None = None,
) -> Ear:
    """The attestation result of ``appraisal``.

    The status of each attester is that of its vector, and ``contraindicated`` if any check on it failed: a refusal
    by the policy is never told as less.

    Args:
        appraisal: accepted or refused.
        issued_at: timezone-aware, whole seconds are kept.
        expires_at: at most; a result never outlives the evidence that it rests on.
        nonce: of whoever asked for the result, 8 to 64 bytes.
        extensions: further claims of the result as a whole, such as ``iss``, ``aud`` and ``jti``.
        key: SubjectPublicKeyInfo, DER, of a key that the evidence vouches for.
    """
    who = attesters(appraisal.claims, appraisal.devices)
    ends = appraisal.validity.not_after
    submodules = tuple(
        _submodule(label, claims, checks_of(label, who, appraisal.checks), appraisal, key if place == 0 else None)
        for place, (label, claims) in enumerate(who.items())
    )
    return Ear(
        profile=IETF_PROFILE,
        issued_at=issued_at,
        expires_at=ends if expires_at is None else min(ends, expires_at),
        verifier=OUR_VERIFIER,
        claimed=worst(one.claimed for one in submodules),
        nonces=() if nonce is None else (nonce,),
        submodules=submodules,
        extensions=dict(extensions or {}),
    )


def _submodule(
    label: str, claims: Claims, checks: Sequence[Check], appraisal: Appraisal, key: bytes | None
) -> Submodule:
    vector = vector_of(claims, checks)
    failed = [check.code for check in checks if not check.passed]
    refused = bool(failed) or not appraisal.checks
    return Submodule(
        label=label,
        claimed=Tier.CONTRAINDICATED if refused else vector.tier,
        vector=vector,
        policy_ids=(f"{appraisal.policy_name}#sha256:{appraisal.policy_digest.hex()}",),
        nonces=(claims.report_data,) if len(claims.report_data) in _NONCE_BYTES else (),
        extensions=_own_claims(claims, failed, key),
    )


def _own_claims(claims: Claims, failed: Sequence[str], key: bytes | None) -> dict[str | int, Any]:
    """What no claim of the draft says: whose silicon, whether it is real, why not."""
    own: dict[str | int, Any] = {
        "sealroom_tee": claims.tee.value,
        "sealroom_root": claims.root.hex(),
        "sealroom_simulated": claims.simulated,
    }
    if failed:
        own["sealroom_refusals"] = list(dict.fromkeys(failed))[:_MAX_REFUSALS]
    if key is not None:
        own["ear_veraison_key_attestation"] = {"akpub": base64.urlsafe_b64encode(key).rstrip(b"=").decode("ascii")}
    return own
