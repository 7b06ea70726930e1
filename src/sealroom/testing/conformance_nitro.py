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
        _require_as_asked(case, evidence, claims)
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


def _require_as_asked(case: VectorCase, evidence: nitro.NitroEvidence, claims: Claims) -> None:
    asked = case.collateral.get("policy", {})
    if not isinstance(asked, Mapping) or set(asked) - _ASKED:
        raise UnsupportedCaseError("a relying party that asks for something that is not known here")
    if "expected_nonce" in case.collateral:
        asked = {"nonce": case.collateral["expected_nonce"], **asked}
    if claims.debug and asked.get("allow_debug") is not True:
        raise UnverifiedError("nitro.debug", "an enclave in debug mode")
    document = evidence.document
    for name in ("nonce", "public_key", "user_data"):
        if name in asked:
            _require_equal(name, getattr(document, name), asked[name])
    pins = asked.get("pcrs", {})
    if not isinstance(pins, Mapping) or not all(str(index).isdecimal() for index in pins):
        raise UnsupportedCaseError("a relying party that asks for PCRs by other names than their numbers")
    for index, value in pins.items():
        _require_equal("pcr", document.pcrs.get(int(index)), value)


def _require_equal(name: str, got: bytes | None, asked: object) -> None:
    """What is absent, or empty, is never what was asked for."""
    if not got or not hmac.compare_digest(got.hex().encode(), str(asked).lower().encode()):
        raise UnverifiedError(f"nitro.{name}", f"the document's {name} is not what was asked for",
                              got=got.hex() if got else "none", expected=str(asked))  # fmt: skip


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()
