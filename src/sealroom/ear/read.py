"""What a relying party checks of a result before it goes by it, in order (draft-ietf-rats-ear, RFC 8725)."""

import base64
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.ear.claims_cbor import read_claims_cbor
from sealroom.ear.claims_json import read_claims_json
from sealroom.ear.model import PROFILES, Ear
from sealroom.ear.vector import Tier, better
from sealroom.errors import MisuseError, RefusedError, UnverifiedError
from sealroom.jose import JoseAlg, JwkKey, parse_jwt, verify_jwt
from sealroom.tees._cose.algorithms import CoseAlg
from sealroom.tees._cose.sign1 import parse_sign1, verify_sign1

__all__ = ["Wanted", "read_ear_cwt", "read_ear_jwt"]

_SKEW = timedelta(seconds=60)
_WITHOUT_END = timedelta(days=1)
"""A result that never ends would be believed for ever: what is absent is no promise."""
_CWT_TAG = 61
_AUDIENCE, _ISSUER = ("aud", 3), ("iss", 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a relying party asks of a result. What it leaves out is not asked, but for the profile."""

    profiles: frozenset[str] = frozenset(PROFILES)
    max_age: timedelta | None = None
    """How long after it was issued a result may be used, whatever its own ``exp``.

    None: until ``exp``; a day, if it has none.
    """
    nonce: bytes | str | None = None
    """What this relying party sent to the verifier; bytes stand in JSON results as base64url without padding."""
    audience: str | None = None
    issuer: str | None = None
    """What the claim ``iss`` must say. The key alone proves who issued a result; this tells two services of one key
    apart."""
    verifiers: frozenset[str] = frozenset()
    """Developers of verifiers that count; empty: the signature's key alone decides."""
    submodules: frozenset[str] = frozenset()
    """Labels of attesters that must be among those appraised."""
    policies: frozenset[str] = frozenset()
    """Policies of which each attester must have been appraised by at least one."""
    least: Tier | None = None
    """Refuse a result whose recomputed status is less trusted."""
    strict: bool = True
    """Whether times written as floating-point numbers are refused. Verifiers of 2023 write them."""
    algorithms: Collection[JoseAlg] = field(default=(JoseAlg.ES256, JoseAlg.ES384))


def read_ear_jwt(raw: bytes | str, keys: Sequence[JwkKey], *, at: datetime, wanted: Wanted | None = None) -> Ear:
    """Verify a result in a JWT and return it. See `read_ear_cwt` for the one in CBOR.

    1. The algorithm is one of ``wanted.algorithms``: no ``none``, no shared secret.
    2. One of ``keys`` signed it. The key in a token's own header is never looked at.
    3. Its profile is one that is wanted, and its claims are as the profile says; its status is no better than its
       vector.
    4. It is neither too old nor from the future.
    5. It answers the nonce, and is meant for this audience.
    6. It is of this issuer, and the verifier is one that counts.
    7. Every attester that must be there is there, appraised by a policy that counts.
    8. The status, recomputed, is good enough.

    Args:
        raw: untrusted.
        keys: the verifier's, from `sealroom.jose.read_jwks`.
        at: timezone-aware.
        wanted: what is asked; by default a known profile, a signature, and that it is valid at ``at``.

    Raises:
        MalformedError: ``ear.token``, and those of `read_claims`.
        UnverifiedError: ``ear.token-algorithm``, ``ear.token-key``, ``ear.token-signature``,
            ``ear.status-overstated``, ``ear.profile-not-accepted``, ``ear.expired``, ``ear.not-yet-valid``,
            ``ear.too-old``, ``ear.nonce``, ``ear.audience``, ``ear.issuer``, ``ear.verifier``,
            ``ear.attester-missing``, ``ear.policy``.
        RefusedError: ``ear.status``.
    """
    asked = wanted or Wanted()
    token = parse_jwt(raw, area="ear")
    verify_jwt(token, keys, algorithms=asked.algorithms, area="ear")
    ear = read_claims_json(token.claims, strict=asked.strict)
    _judge(ear, asked, at)
    return ear


def read_ear_cwt(raw: bytes, key: ec.EllipticCurvePublicKey, *, at: datetime, wanted: Wanted | None = None) -> Ear:
    """Verify a result in a CWT (RFC 8392: COSE_Sign1, with or without its tags) and return it, as `read_ear_jwt`.

    Raises:
        MalformedError: ``ear.cose``, ``ear.cbor-*``, and those of `read_claims`.
        UnverifiedError: ``ear.cose-algorithm``, ``ear.cose-key``, ``ear.signature``, and those of `read_ear_jwt`.
        RefusedError: ``ear.status``.
    """
    asked = wanted or Wanted()
    message = parse_sign1(_without_cwt_tag(raw), area="ear")
    verify_sign1(message, key, algorithms=(CoseAlg.ES256, CoseAlg.ES384), area="ear")
    ear = read_claims_cbor(message.payload, strict=asked.strict)
    _judge(ear, asked, at)
    return ear


def _without_cwt_tag(raw: bytes) -> bytes:
    """Tag 61 says only that the COSE message below it is a CWT (RFC 8392 section 6)."""
    return raw[2:] if raw[:2] == bytes((0xD8, _CWT_TAG)) else raw


def _judge(ear: Ear, wanted: Wanted, at: datetime) -> None:
    if at.tzinfo is None:
        raise MisuseError("ear.naive-time", "a time without a timezone", got=at.isoformat())
    if ear.profile not in wanted.profiles:
        raise _unverified("profile-not-accepted", "the result has another profile than is accepted here",
                          ear.profile, ", ".join(sorted(wanted.profiles)))  # fmt: skip
    _require_time(ear, wanted, at)
    _require_addressee(ear, wanted)
    _require_content(ear, wanted)


def _require_time(ear: Ear, wanted: Wanted, at: datetime) -> None:
    starts = max(ear.issued_at, ear.not_before or ear.issued_at)
    if at + _SKEW < starts:
        raise _unverified("not-yet-valid", "the result is not valid yet", at.isoformat(),
                          f"from {starts.isoformat()}", hint="check this machine's clock")  # fmt: skip
    if ear.expires_at is not None and at >= ear.expires_at:
        raise _unverified("expired", "the result has run out", at.isoformat(),
                          f"before {ear.expires_at.isoformat()}", hint="have it appraised anew")  # fmt: skip
    max_age = _WITHOUT_END if wanted.max_age is None and ear.expires_at is None else wanted.max_age
    if max_age is not None and at > _sum(ear.issued_at, max_age):
        raise _unverified("too-old", "the result is older than is accepted here", ear.issued_at.isoformat(),
                          f"at most {max_age} old", hint="have it appraised anew")  # fmt: skip


def _sum(start: datetime, span: timedelta) -> datetime:
    try:
        return start + span
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def _require_addressee(ear: Ear, wanted: Wanted) -> None:
    if wanted.nonce is not None and not any(_is_nonce(one, wanted.nonce) for one in ear.nonces):
        raise _unverified("nonce", "the result does not answer this relying party's nonce",
                          f"{len(ear.nonces)} other nonces", "the nonce that was sent",
                          hint="a result for somebody else, or an old one, was handed on")  # fmt: skip
    if wanted.audience is not None:
        claim = _claim(ear, _AUDIENCE)
        if wanted.audience not in (claim if isinstance(claim, list) else [claim]):
            raise _unverified("audience", "the result is meant for another relying party", ascii(claim)[:80],
                              wanted.audience)  # fmt: skip
    if wanted.issuer is not None and (claim := _claim(ear, _ISSUER)) != wanted.issuer:
        raise _unverified("issuer", "the result is of another issuer", ascii(claim)[:80], wanted.issuer)
    if wanted.verifiers and ear.verifier.developer not in wanted.verifiers:
        raise _unverified("verifier", "the result is of a verifier that does not count here",
                          ascii(ear.verifier.developer)[:80], ", ".join(sorted(wanted.verifiers)))  # fmt: skip


def _claim(ear: Ear, names: Sequence[str | int]) -> Any:
    """A claim of RFC 7519, by its name in JSON or its number in CBOR."""
    return next((ear.extensions[key] for key in names if key in ear.extensions), None)


def _is_nonce(found: str | bytes, wanted: str | bytes) -> bool:
    if isinstance(found, str) and isinstance(wanted, bytes):
        return found == base64.urlsafe_b64encode(wanted).rstrip(b"=").decode()
    return found == wanted


def _require_content(ear: Ear, wanted: Wanted) -> None:
    if missing := sorted(wanted.submodules - {one.label for one in ear.submodules}):
        raise _unverified("attester-missing", "the result says nothing of an attester that must be appraised",
                          ", ".join(ascii(one.label)[1:-1] for one in ear.submodules)[:120],
                          ", ".join(missing))  # fmt: skip
    if wanted.policies:
        other = [one.label for one in ear.submodules if not wanted.policies & set(one.policy_ids)]
        if other:
            raise _unverified("policy", "an attester was appraised by another policy than is accepted here",
                              ascii(other[0])[1:-1][:60], ", ".join(sorted(wanted.policies)))  # fmt: skip
    if wanted.least is not None and better(wanted.least, ear.status):
        raise RefusedError("ear.status", "the attesters are less trusted than is accepted here",
                           got=_in_words(ear), expected=wanted.least.name.lower(),
                           hint="the verifier's own log says which check failed")  # fmt: skip


def _in_words(ear: Ear) -> str:
    return ", ".join(f"{ascii(one.label)[1:-1]} {one.status.name.lower()}" for one in ear.submodules)[:200]


def _unverified(code: str, message: str, got: Any, expected: Any, hint: str | None = None) -> UnverifiedError:
    return UnverifiedError(f"ear.{code}", message, got=got, expected=expected, hint=hint)
