"""Signed tokens of others (JWS compact, RFC 7515; JWK sets, RFC 7517), read strictly and verified by given keys.

A token is believed for the key that the relying party brought, never for anything that it says of itself: what
stands in its header under ``jku``, ``x5u``, ``jwk`` and ``x5c`` is not looked at here. The algorithm is one of the
caller's list and of the key's own kind (RFC 8725 sections 3.1 and 3.2).
"""

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.errors import MalformedError, SealroomError, UnverifiedError
from sealroom.evidence import Validity

__all__ = [
    "JoseAlg",
    "JwkKey",
    "Jwt",
    "parse_jwt",
    "read_json",
    "read_jwks",
    "require_times",
    "verify_jwt",
]

MAX_TOKEN = 256 * 1024
MAX_JWKS = 2 * 1024 * 1024
"""Bytes. A certificate in a key set of Azure alone is 30 KB, since it carries an SGX quote."""
_MAX_KEYS = 256
_LEEWAY = timedelta(seconds=60)
"""For clocks that differ."""

JwkPublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class JoseAlg(StrEnum):
    """What may sign a token here; never ``none``, never a shared secret."""

    RS256 = "RS256"
    RS384 = "RS384"
    PS256 = "PS256"
    PS384 = "PS384"
    ES256 = "ES256"
    ES384 = "ES384"


_RSA = {
    JoseAlg.RS256: (hashes.SHA256(), False),
    JoseAlg.RS384: (hashes.SHA384(), False),
    JoseAlg.PS256: (hashes.SHA256(), True),
    JoseAlg.PS384: (hashes.SHA384(), True),
}
_EC: Mapping[JoseAlg, tuple[hashes.HashAlgorithm, str, int]] = {
    JoseAlg.ES256: (hashes.SHA256(), "secp256r1", 32),
    JoseAlg.ES384: (hashes.SHA384(), "secp384r1", 48),
}
_CURVES: Mapping[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Jwt:
    """A token as it is once read; untrusted until `verify_jwt` has returned."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    alg: str
    kid: str | None
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class JwkKey:
    """A public key of a set. ``spki_sha256`` is what a policy names it by."""

    kid: str | None
    alg: str | None
    key: JwkPublicKey
    spki_sha256: bytes

    @classmethod
    def of(cls, key: JwkPublicKey, *, kid: str | None = None, alg: str | None = None) -> "JwkKey":
        """A key that came in some other way than in a set, such as in a PEM file."""
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(kid=kid, alg=alg, key=key, spki_sha256=hashlib.sha256(spki).digest())


def parse_jwt(raw: bytes | str, *, area: str) -> Jwt:
    """Read a token in compact form.

    Args:
        raw: untrusted, at most 256 KiB; white space around it is passed over.
        area: first word of the error codes.

    Raises:
        MalformedError: ``AREA.token``.
    """
    octets = raw.encode("utf-8", "replace") if isinstance(raw, str) else raw
    if len(octets) > MAX_TOKEN:
        raise _bad(area, "the token is too large", f"{len(octets)} bytes", f"at most {MAX_TOKEN}")
    parts = octets.strip(b" \t\r\n").split(b".")
    if len(parts) != 3:
        raise _bad(area, "a token has three parts with dots between them", len(parts), 3)
    header, claims = (read_json(_base64url(part, area), area=area) for part in parts[:2])
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise _bad(area, "header and claims of a token are JSON objects", None, None)
    alg, kid = header.get("alg"), header.get("kid")
    understood = (
        "crit" not in header and header.get("b64", True) is True
    )  # RFC 7797: else the payload is not base64url
    if not isinstance(alg, str) or not isinstance(kid, str | None) or not understood:
        raise _bad(area, "the token's header names no algorithm, or something that must be understood and is not",
                   ascii(alg)[:40], None)  # fmt: skip
    return Jwt(header=header, claims=claims, alg=alg, kid=kid, signing_input=parts[0] + b"." + parts[1],
               signature=_base64url(parts[2], area))  # fmt: skip


def read_json(raw: bytes, *, area: str) -> Any:
    """JSON in UTF-8, no member twice, no NaN and no infinity, bounded depth by the interpreter's own limit.

    Raises:
        MalformedError: ``AREA.token``.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise _bad(area, "a member stands twice in the JSON", None, None)
        return dict(pairs)

    def no_constant(text: str) -> Any:
        raise _bad(area, "a number that JSON does not have", text, None)

    def finite(text: str) -> float:
        return float(text) if math.isfinite(float(text)) else no_constant(text[:40])

    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=unique, parse_constant=no_constant,
                          parse_float=finite)  # fmt: skip
    except SealroomError:
        raise
    except (ValueError, RecursionError):
        raise _bad(area, "not JSON in UTF-8", None, None) from None


def read_jwks(raw: bytes, *, area: str) -> tuple[JwkKey, ...]:
    """The keys of a JWK set that can verify a token here; keys of other kinds or uses are passed over.

    Raises:
        MalformedError: ``AREA.jwks``: not a key set, too large, or a key of a known kind that is none.
    """
    if len(raw) > MAX_JWKS:
        raise _bad_set(area, f"the key set is larger than {MAX_JWKS} bytes")
    document = read_json(raw, area=area)
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or len(entries) > _MAX_KEYS:
        raise _bad_set(area, f"not a JWK set of at most {_MAX_KEYS} keys")
    return tuple(key for entry in entries if (key := _read_jwk(entry, area)) is not None)


def verify_jwt(token: Jwt, keys: Sequence[JwkKey], *, algorithms: Collection[JoseAlg], area: str) -> JwkKey:
    """Verify the token's signature by one of ``keys`` and return that key.

    1. The algorithm is in ``algorithms``.
    2. A key of the set has the token's ``kid``; a token without one is tried with a set of one key only, and a set of
       one key that has no name is tried with any token.
    3. The key's own ``alg``, if it says one, is the token's, and its kind is that of the algorithm.
    4. The signature holds.

    Raises:
        UnverifiedError: ``AREA.token-algorithm``, ``AREA.token-key``, ``AREA.token-signature``.
    """
    # 1.
    if token.alg not in set(algorithms):
        raise UnverifiedError(f"{area}.token-algorithm", "the token is signed in a way that is not accepted here",
                              got=ascii(token.alg)[:40], expected=", ".join(algorithms))  # fmt: skip
    algorithm = JoseAlg(token.alg)
    # 2.
    alone = len(keys) == 1 and (token.kid is None or keys[0].kid is None)
    fitting = [key for key in keys if alone or (token.kid is not None and key.kid == token.kid)]
    if not fitting:
        raise UnverifiedError(f"{area}.token-key", "no key of the set is named by the token",
                              got=ascii(token.kid)[:80], expected=f"one of {len(keys)} keys",
                              hint="fetch the issuer's current key set from its own address")  # fmt: skip
    for key in fitting:
        # 3. and 4.
        if key.alg in {None, token.alg} and _holds(token, key.key, algorithm):
            return key
    raise UnverifiedError(f"{area}.token-signature", "the token was not signed by the key that it names, or was "
                          "changed since", got=f"kid {ascii(token.kid)[:80]}")  # fmt: skip


def require_times(claims: Mapping[str, Any], *, at: datetime, area: str, need_issued: bool = True) -> Validity:
    """Check ``exp``, ``nbf`` and ``iat`` (RFC 7519 section 4.1) at ``at``, and return the token's window.

    Sixty seconds of difference between clocks are allowed before the beginning, none after the end.

    Raises:
        MalformedError: ``AREA.token``: a time is missing or is no number.
        UnverifiedError: ``AREA.token-expired``, ``AREA.token-not-yet-valid``.
    """
    expires = _instant(claims, "exp", area)
    starts = [_instant(claims, name, area) for name in ("nbf", "iat") if name in claims]
    if need_issued and "iat" not in claims:
        raise _bad(area, "the token does not say when it was issued", None, "iat")
    window = Validity(not_before=max(starts, default=datetime.min.replace(tzinfo=UTC)), not_after=expires)
    if at >= window.not_after:
        raise UnverifiedError(f"{area}.token-expired", "the token has run out", got=at.isoformat(),
                              expected=f"before {window.not_after.isoformat()}",
                              hint="fetch a fresh one")  # fmt: skip
    if starts and at + _LEEWAY < window.not_before:
        raise UnverifiedError(f"{area}.token-not-yet-valid", "the token is not valid yet", got=at.isoformat(),
                              expected=f"from {window.not_before.isoformat()}",
                              hint="check this machine's clock")  # fmt: skip
    return window


def _instant(claims: Mapping[str, Any], name: str, area: str) -> datetime:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _bad(area, f"the token's {name} is no time", ascii(value)[:40], "seconds since 1970")
    try:
        return datetime.fromtimestamp(value, tz=UTC)
    except (ValueError, OverflowError, OSError):
        raise _bad(area, f"the token's {name} is no time", ascii(value)[:40], "seconds since 1970") from None


def _holds(token: Jwt, key: JwkPublicKey, algorithm: JoseAlg) -> bool:
    try:
        if isinstance(key, rsa.RSAPublicKey):
            _verify_rsa(token, key, algorithm)
        else:
            _verify_ec(token, key, algorithm)
    except InvalidSignature:
        return False
    return True


def _verify_rsa(token: Jwt, key: rsa.RSAPublicKey, algorithm: JoseAlg) -> None:
    if algorithm not in _RSA:
        raise InvalidSignature
    digest, probabilistic = _RSA[algorithm]
    scheme: padding.AsymmetricPadding = padding.PKCS1v15()
    if probabilistic:
        scheme = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
    key.verify(token.signature, token.signing_input, scheme, digest)


def _verify_ec(token: Jwt, key: ec.EllipticCurvePublicKey, algorithm: JoseAlg) -> None:
    if algorithm not in _EC:
        raise InvalidSignature
    digest, curve, size = _EC[algorithm]
    if key.curve.name != curve or len(token.signature) != 2 * size:
        raise InvalidSignature
    r, s = (int.from_bytes(half, "big") for half in (token.signature[:size], token.signature[size:]))
    key.verify(encode_dss_signature(r, s), token.signing_input, ec.ECDSA(digest))


def _read_jwk(entry: Any, area: str) -> JwkKey | None:
    if not isinstance(entry, dict):
        raise _bad_set(area, "a key is no object")
    # compared and not looked up: what stands there may be of any type
    if entry.get("use") not in (None, "sig") or entry.get("kty") not in ("RSA", "EC"):
        return None
    kid, alg = entry.get("kid"), entry.get("alg")
    if not isinstance(kid, str | None) or not isinstance(alg, str | None):
        raise _bad_set(area, "a key's name or algorithm is no text")
    key = _rsa_key(entry, area) if entry["kty"] == "RSA" else _ec_key(entry, area)
    if key is None:
        return None
    return JwkKey.of(key, kid=kid, alg=alg)


def _rsa_key(entry: Mapping[str, Any], area: str) -> rsa.RSAPublicKey | None:
    if "n" not in entry and "x5c" in entry:
        return _rsa_of_certificate(entry["x5c"], area)
    n, e = (int.from_bytes(_member(entry, name, area), "big") for name in ("n", "e"))
    return _sized(n, e, area)


def _sized(n: int, e: int, area: str) -> rsa.RSAPublicKey:
    if not 2048 <= n.bit_length() <= 8192 or not 3 <= e < 2**32 or not e & 1:
        raise _bad_set(area, "an RSA key has a size or exponent that is not accepted")
    try:
        return rsa.RSAPublicNumbers(e, n).public_key()
    except ValueError:
        raise _bad_set(area, "an RSA key is none") from None


def _rsa_of_certificate(chain: Any, area: str) -> rsa.RSAPublicKey | None:
    """The key of the first certificate: some services publish certificates and no numbers (RFC 7517 section 4.7).

    The certificate carries the key and vouches for nothing, so that it is not looked at further: those of Azure's
    service are self-signed, and 30 KB with the quote of its enclave.
    """
    if not isinstance(chain, list) or not chain or not isinstance(chain[0], str):
        raise _bad_set(area, "a key has neither numbers nor a certificate")
    from cryptography.x509 import load_der_x509_certificate  # noqa: PLC0415 - few key sets have certificates alone

    try:
        key = load_der_x509_certificate(base64.b64decode(chain[0], validate=True)).public_key()
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        raise _bad_set(area, "a certificate is none, or of no key that is known here") from None
    if not isinstance(key, rsa.RSAPublicKey):
        return None
    numbers = key.public_numbers()
    return _sized(numbers.n, numbers.e, area)


def _ec_key(entry: Mapping[str, Any], area: str) -> ec.EllipticCurvePublicKey | None:
    name = entry.get("crv")
    curve = _CURVES.get(name) if isinstance(name, str) else None
    if curve is None:
        return None
    size = (curve.key_size + 7) // 8
    x, y = (_member(entry, name, area) for name in ("x", "y"))
    if len(x) != size or len(y) != size:
        raise _bad_set(area, "a coordinate has another length than its curve")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + x + y)
    except ValueError:
        raise _bad_set(area, "a point is not on its curve") from None


def _member(entry: Mapping[str, Any], name: str, area: str) -> bytes:
    value = entry.get(name)
    if not isinstance(value, str):
        raise _bad_set(area, f"a key lacks {name}")
    return _base64url(value.encode("utf-8", "replace"), area)


def _base64url(text: bytes, area: str) -> bytes:
    """Strict: no padding, no other letters, unused bits zero (RFC 4648 section 3.5)."""
    try:
        raw = base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = None
    if raw is None or base64.urlsafe_b64encode(raw).rstrip(b"=") != text:
        raise _bad(area, "a part of the token is not base64url without padding", None, None)
    return raw


def _bad(area: str, message: str, got: object, expected: object) -> MalformedError:
    return MalformedError(f"{area}.token", message, got=got, expected=expected)


def _bad_set(area: str, message: str) -> MalformedError:
    return MalformedError(f"{area}.jwks", message, expected="a JWK set (RFC 7517)")
