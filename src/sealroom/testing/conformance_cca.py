"""Runs Arm vectors: CCA tokens and PSA tokens (``subkind``). The key that a vector brings is trusted for it alone."""

import hashlib
from collections.abc import Callable, Mapping

from sealroom.cbor import CborValue, Tagged, read_cbor
from sealroom.errors import SealroomError, UnverifiedError
from sealroom.evidence import Claims, Collateral, TrustRoots
from sealroom.tees import cca
from sealroom.tees._cose.algorithms import CoseAlg
from sealroom.tees._cose.key import read_key, spki_of
from sealroom.tees._cose.sign1 import verify_sign1
from sealroom.tees.cca.verify import require_bound, require_realm_signature
from sealroom.testing.outcome import Outcome, UnsupportedCaseError
from sealroom.testing.vector_store import VectorCase

__all__ = ["run"]

_KEYS = ("platform_public_key", "iak_public_key", "platform_key", "public_key")


def run(case: VectorCase, roots: TrustRoots) -> Outcome:
    """``cca``."""
    path = next((case.collateral[name] for name in _KEYS if name in case.collateral), None)
    if path is None:
        raise UnsupportedCaseError("a token without its platform's key")
    raw_key = case.file(path)
    fingerprint = hashlib.sha256(spki_of(read_key(raw_key, area="cca"))).digest()
    roots = TrustRoots(insecure_simulated=roots.insecure_simulated | {fingerprint})
    collateral = Collateral(items={"platform_key": raw_key})
    evidence = cca.parse(case.evidence)
    fields = _psa_fields(evidence, raw_key) if evidence.realm is None else _fields(evidence, raw_key)
    try:
        verified = cca.verify(evidence, roots=roots, collateral=collateral, at=case.verify_at)
        claims = cca.claims(verified)
        _require_as_asked(case, claims)
    except SealroomError as refusal:
        return Outcome(refusal=refusal, fields=fields)
    return Outcome(simulated=True, flags=claims.flags, fields=fields, claims=claims)


def _require_as_asked(case: VectorCase, claims: Claims) -> None:
    """The relying party's challenge, where the vector has one."""
    if (
        "expected_nonce" in case.collateral
        and claims.report_data.hex() != str(case.collateral["expected_nonce"]).lower()
    ):
        raise UnverifiedError("cca.challenge", "the token answers another challenge", got=claims.report_data.hex(),
                              expected=str(case.collateral["expected_nonce"]))  # fmt: skip


def _fields(evidence: cca.CcaEvidence, raw_key: bytes) -> dict[str, object]:
    device, realm = evidence.device, evidence.realm
    if realm is None:
        return {}
    said = realm.claims
    return {
        "platform_profile": device.claims.profile,
        "realm_profile": said.profile,
        "platform_sig": _holds(lambda: _require_device_signature(evidence, raw_key)),
        "realm_sig": _holds(lambda: require_realm_signature(realm)),
        "binding": _holds(lambda: require_bound(evidence)),
        "error": None,
        "rak_format": said.key_form,
        "rak_hash_alg": said.key_hash_name,
        "platform_alg": device.message.alg,
        "realm_alg": realm.message.alg,
        "challenge": said.challenge.hex(),
        "rim": said.initial_measurement.hex(),
        "rems": [value.hex() for value in said.extensible_measurements],
        "rpv": said.personalization.hex(),
        "implementation_id": device.claims.implementation_id.hex(),
        "instance_id": device.claims.instance_id.hex(),
        "lifecycle": device.claims.lifecycle,
        "platform_hash_alg": device.claims.hash_name,
        "realm_hash_alg": said.hash_name,
        "config": None if device.claims.config is None else device.claims.config.hex(),
        "sw_components": len(device.claims.components),
        "wrapper_tag": evidence.wrapper,
    }


def _psa_fields(evidence: cca.CcaEvidence, raw_key: bytes) -> dict[str, object]:
    payload = read_cbor(evidence.device.message.payload, area="cca")
    return {
        "claims": _plain(payload),
        "signature": _holds(lambda: _require_device_signature(evidence, raw_key)),
        "profile": evidence.device.claims.profile,
    }


def _require_device_signature(evidence: cca.CcaEvidence, raw_key: bytes) -> None:
    verify_sign1(evidence.device.message, read_key(raw_key, area="cca"), algorithms=tuple(CoseAlg), area="cca")


def _holds(check: Callable[[], object]) -> bool:
    try:
        check()
    except SealroomError:
        return False
    return True


def _plain(value: CborValue) -> object:
    """As JSON: bytes in hexadecimal, keys as text."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return _plain(value.value) if isinstance(value, Tagged) else value
