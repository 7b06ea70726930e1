"""Runs Nitro vectors: attestation documents, and what a relying party asked for (``collateral.policy``)."""

import hmac
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from sealroom.errors import SealroomError, UnverifiedError
from sealroom.evidence import Claims, Collateral, TrustRoots
from sealroom.tees import nitro
from sealroom.testing.outcome import Outcome, UnsupportedCaseError
from sealroom.testing.vector_store import VectorCase

__all__ = ["run"]

_INDEFINITE_MAP = 0xBF
_CARRIED = ("nonce", "public_key", "user_data")
_ASKED = {"allow_debug", *_CARRIED, *(f"require_{name}" for name in _CARRIED), "pcrs", "nitrotpm_pcrs", "module_id",
          "max_age_seconds"}  # fmt: skip
_REGISTER = re.compile(r"(?:PCR|pcr)?(?:[12]?[0-9]|3[01])")


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
    """What the relying party asked for. One that asks for nothing has to see the flags for itself."""
    asked = case.collateral.get("policy")
    if not isinstance(asked, Mapping | None) or set(asked or {}) - _ASKED:
        raise UnsupportedCaseError("a relying party that asks for something that is not known here")
    if asked is not None and claims.debug and asked.get("allow_debug") is not True:
        raise UnverifiedError("nitro.debug", "an enclave in debug mode")
    given = {"nonce": case.collateral.get("expected_nonce"), **(asked or {})}
    document = evidence.document
    for name in _CARRIED:
        if given.get(name) is not None:
            _require_one_of(name, getattr(document, name), given[name])
        if given.get(f"require_{name}") is True and not getattr(document, name):
            raise UnverifiedError(f"nitro.{name}", f"the document has no {name}")
    if given.get("module_id") is not None:
        _require_one_of("module_id", document.module_id.encode(), given["module_id"], read=str.encode)
    if (seconds := given.get("max_age_seconds")) is not None:
        _require_young(document.timestamp_ms, case.verify_at, seconds)
    for name, is_nitro_tpm in (("pcrs", False), ("nitrotpm_pcrs", True)):
        if name in given:
            _require_registers(given[name], document.pcrs if document.is_nitro_tpm is is_nitro_tpm else {})


def _require_registers(pins: object, registers: Mapping[int, bytes]) -> None:
    """Every register that is named, and at least one: a list that names none would accept everything."""
    if not isinstance(pins, Mapping) or not all(_REGISTER.fullmatch(str(name)) for name in pins):
        raise UnsupportedCaseError("a relying party that asks for PCRs by other names than their numbers")
    if not pins:
        raise UnverifiedError("nitro.pcr", "the relying party accepts no PCRs at all")
    for name, value in pins.items():
        _require_one_of("pcr", registers.get(int(str(name).lower().removeprefix("pcr"))), value)


def _require_young(timestamp_ms: int, at: datetime, seconds: object) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise UnsupportedCaseError("a relying party whose patience is no number")
    if at.timestamp() - timestamp_ms / 1000 > seconds:
        raise UnverifiedError("nitro.timestamp", "the document is older than the relying party takes")


def _require_one_of(
    name: str, got: bytes | None, asked: object, *, read: Callable[[str], bytes] | None = None
) -> None:
    """What is absent, or empty, is never what was asked for; nor is anything, where nothing is accepted."""
    values = [str(value) for value in (asked if isinstance(asked, list) else [asked])]
    wanted = [read(value) if read else _from_hex(value) for value in values]
    if not got or not any(hmac.compare_digest(got, value) for value in wanted if value):
        raise UnverifiedError(f"nitro.{name}", f"the document's {name} is not what was asked for",
                              got=got.hex() if got else "none", expected=", ".join(values))  # fmt: skip


def _from_hex(text: str) -> bytes:
    """Empty where it is none: nothing equals that."""
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        return b""


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()
