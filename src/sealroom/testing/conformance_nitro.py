"""Runs Nitro vectors: attestation documents, and what a relying party asked for (``collateral.policy``)."""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime

from sealroom.errors import SealroomError, UnverifiedError
from sealroom.evidence import Claims, Collateral, TrustRoots
from sealroom.tees import nitro
from sealroom.testing.outcome import Outcome, UnsupportedCaseError
from sealroom.testing.vector_store import VectorCase

__all__ = ["run"]

_INDEFINITE_MAP = 0xBF
_ASKED = {"allow_debug", "nonce", "user_data", "public_key", "pcrs"}


def run(case: VectorCase, roots: TrustRoots) -> Outcome:
    """``nitro``."""
    evidence = nitro.parse(case.evidence)
    fields = _fields(evidence)
    try:
        verified = nitro.verify(evidence, roots=roots, collateral=Collateral(items={}), at=case.verify_at)
        claims = nitro.claims(verified)
        _require_as_asked(case, claims)
    except SealroomError as refusal:
        return Outcome(refusal=refusal, fields=fields)
    fields |= {
        "valid_window": [verified.validity.not_before.isoformat(), verified.validity.not_after.isoformat()],
        "root_sha256": verified.root.hex(),
    }
    return Outcome(simulated=claims.simulated, flags=claims.flags, fields=fields, claims=claims)


def _fields(evidence: nitro.NitroEvidence) -> dict[str, object]:
    document = evidence.document
    made_at = datetime.fromtimestamp(document.timestamp_ms / 1000, tz=UTC)
    return {
        "module_id": document.module_id,
        "timestamp_ms": document.timestamp_ms,
        "time": made_at.isoformat(),
        "digest": document.digest,
        "pcrs_nonzero": {str(index): value.hex() for index, value in sorted(document.pcrs.items()) if any(value)},
        "pcr_count": len(document.pcrs),
        "debug_mode_all_zero_pcr0_1_2": not any(any(document.pcrs.get(index, b"")) for index in range(3)),
        "user_data": _hex(document.user_data),
        "nonce": _hex(document.nonce),
        "public_key": _hex(document.public_key),
        "protected_alg": evidence.message.alg,
        "cabundle_len": len(document.cabundle),
        "payload_map_indefinite": evidence.message.payload[0] == _INDEFINITE_MAP,
    }


def _require_as_asked(case: VectorCase, claims: Claims) -> None:
    asked = case.collateral.get("policy", {})
    if not isinstance(asked, Mapping) or set(asked) - _ASKED:
        raise UnsupportedCaseError("a relying party that asks for something that is not known here")
    if claims.debug and not asked.get("allow_debug", False):
        raise UnverifiedError("nitro.debug", "an enclave in debug mode")
    found = {name: str(claims.details.get(name, "")) for name in ("nonce", "public_key")}
    found["user_data"] = claims.report_data.hex()
    for name in sorted(set(asked) & set(found)):
        if not found[name] or not hmac.compare_digest(found[name], str(asked[name])):
            raise UnverifiedError(f"nitro.{name}", f"{name} is not what was asked for", got=found[name] or "none",
                                  expected=str(asked[name]))  # fmt: skip
    for index, value in dict(asked.get("pcrs", {})).items():
        got = claims.measurements.get(f"pcr{index}", b"")
        if not got or not hmac.compare_digest(got.hex(), str(value)):
            raise UnverifiedError("nitro.pcr", f"PCR{index} is not what was asked for", got=got.hex() or "none")


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()
