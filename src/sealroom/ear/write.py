"""Writes results: one spelling for each consumer, in a JWT or a CWT signed by a key of the caller."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from sealroom.cbor import CborValue, Tagged, encode_cbor
from sealroom.ear.model import IETF_PROFILE, TRUSTEE_PROFILE, VERAISON_PROFILE, Ear, Spelling, Submodule
from sealroom.ear.names import NAMES, VERIFIER_NAMES, extension_key
from sealroom.ear.vector import MEMBERS, Tier
from sealroom.errors import MisuseError

__all__ = ["Consumer", "claims_for", "issue_cwt", "issue_jwt"]

_ALG, _KID, _SIGN1 = 1, 4, 18


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    profile: str
    spelling: Spelling
    whole_vector: bool = False
    """Whether members that claim nothing are written as 0."""


class Consumer(Enum):
    """Who reads the result, which decides how it is spelled."""

    IETF = _Form(profile=IETF_PROFILE, spelling=Spelling.UNDERSCORES)
    VERAISON = _Form(profile=VERAISON_PROFILE, spelling=Spelling.DOTS)
    TRUSTEE = _Form(profile=TRUSTEE_PROFILE, spelling=Spelling.DOTS, whole_vector=True)


def claims_for(ear: Ear, consumer: Consumer = Consumer.IETF) -> dict[str, Any]:
    """The result's claims in JSON words, as ``consumer`` reads them. Its own profile and spelling do not matter."""
    form: _Form = consumer.value
    return _claims(ear, form, _JsonWriter(form.whole_vector))


def issue_jwt(
    ear: Ear,
    key: ec.EllipticCurvePrivateKey,
    *,
    consumer: Consumer = Consumer.IETF,
    header: Mapping[str, Any] | None = None,
) -> str:
    """The result in a JWT, signed with ES256 or ES384, whichever ``key`` is for.

    Args:
        ear: made by `ear_of`, or by hand.
        key: on P-256 or P-384.
        consumer: who reads it.
        header: further members of the token's header, ``kid`` for one.

    Raises:
        MisuseError: ``ear.key``: a key on another curve.
    """
    name, digest, size = _algorithm(key)
    protected = {"alg": name, "typ": "JWT", **(header or {})}
    signed = f"{_base64url(_compact(protected))}.{_base64url(_compact(claims_for(ear, consumer)))}"
    return f"{signed}.{_base64url(_signature(key, signed.encode('ascii'), digest, size))}"


def issue_cwt(ear: Ear, key: ec.EllipticCurvePrivateKey, *, kid: bytes | None = None) -> bytes:
    """The result in a CWT: a tagged COSE_Sign1 (RFC 9052 section 4.4) over the claims with integers for names.

    Raises:
        MisuseError: ``ear.key``, ``ear.extension`` (an extension that CBOR can not write).
    """
    name, digest, size = _algorithm(key)
    claims = _claims(ear, _Form(profile=IETF_PROFILE, spelling=Spelling.INTEGERS), _CborWriter())
    protected: dict[int | str | bytes, CborValue] = {_ALG: {"ES256": -7, "ES384": -35}[name]}
    if kid is not None:
        protected[_KID] = kid
    head, payload = encode_cbor(protected), encode_cbor(claims)
    signature = _signature(key, encode_cbor(["Signature1", head, b"", payload]), digest, size)
    return encode_cbor(Tagged(_SIGN1, [head, {}, payload, signature]))


def _claims(ear: Ear, form: _Form, writer: "_JsonWriter | _CborWriter") -> dict[Any, Any]:
    names = NAMES[form.spelling]
    claims = _extensions(ear.extensions, form, writer)
    claims[names["profile"]] = form.profile
    for word in ("issued_at", "not_before", "expires_at"):
        if (instant := getattr(ear, word)) is not None:
            claims[names[word]] = _seconds(instant)
    claims[names["verifier"]] = {
        key: getattr(ear.verifier, word) for word, key in VERIFIER_NAMES[form.spelling].items()
    }
    if ear.claimed is not None and form.spelling is not Spelling.DOTS:
        claims[names["status"]] = writer.tier(ear.claimed)
    if ear.nonces:
        claims[names["nonce"]] = _one_or_all([writer.nonce(one) for one in ear.nonces])
    if ear.raw_evidence is not None:
        claims[names["raw_evidence"]] = writer.octets(ear.raw_evidence)
    claims[names["submodules"]] = {one.label: _appraisal(one, form, writer) for one in ear.submodules}
    return claims


def _extensions(found: Mapping[str | int, Any], form: _Form, writer: "_JsonWriter | _CborWriter") -> dict[Any, Any]:
    return {extension_key(key, form.spelling): writer.extension(value) for key, value in found.items()}


def _appraisal(one: Submodule, form: _Form, writer: "_JsonWriter | _CborWriter") -> dict[Any, Any]:
    names = NAMES[form.spelling]
    claims = _extensions(one.extensions, form, writer)
    claims[names["status"]] = writer.tier(one.claimed)
    if one.vector is not None:
        claims[names["vector"]] = writer.vector(one.vector.members())
    if one.policy_ids and "policy_id" in names:
        claims[names["policy_id"]] = " ".join(one.policy_ids)
    elif one.policy_ids:
        claims[names["policy_ids"]] = list(one.policy_ids)
    if one.nonces:
        claims[names["nonce"]] = _one_or_all([writer.nonce(nonce) for nonce in one.nonces])
    return claims


class _JsonWriter:
    def __init__(self, whole_vector: bool) -> None:
        self._whole_vector = whole_vector

    def tier(self, tier: Tier) -> str:
        return tier.name.lower()

    def vector(self, members: Mapping[str, int]) -> dict[str, int]:
        return {name: members.get(name, 0) for name in MEMBERS if self._whole_vector or name in members}

    def nonce(self, nonce: str | bytes) -> str:
        return nonce if isinstance(nonce, str) else _base64url(nonce)

    def octets(self, raw: bytes) -> str:
        return _base64url(raw)

    def extension(self, value: Any) -> Any:
        return value


class _CborWriter:
    def tier(self, tier: Tier) -> int:
        return int(tier)

    def vector(self, members: Mapping[str, int]) -> dict[int, int]:
        return {place: members[name] for place, name in enumerate(MEMBERS) if name in members}

    def nonce(self, nonce: str | bytes) -> bytes:
        return nonce if isinstance(nonce, bytes) else nonce.encode()

    def octets(self, raw: bytes) -> bytes:
        return raw

    def extension(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: self.extension(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.extension(one) for one in value]
        if value is None or isinstance(value, bool | int | str | bytes):
            return value
        raise MisuseError("ear.extension", "an extension that can not be written", got=type(value).__name__)


def _one_or_all(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _seconds(instant: datetime) -> int:
    if instant.tzinfo is None:
        raise MisuseError("ear.naive-time", "a time without a timezone", got=instant.isoformat())
    return int(instant.timestamp())


def _compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _algorithm(key: ec.EllipticCurvePrivateKey) -> tuple[str, hashes.HashAlgorithm, int]:
    if isinstance(key.curve, ec.SECP256R1):
        return "ES256", hashes.SHA256(), 32
    if isinstance(key.curve, ec.SECP384R1):
        return "ES384", hashes.SHA384(), 48
    raise MisuseError("ear.key", "results are signed on P-256 or P-384", got=key.curve.name)


def _signature(key: ec.EllipticCurvePrivateKey, signed: bytes, digest: hashes.HashAlgorithm, size: int) -> bytes:
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(digest)))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")
