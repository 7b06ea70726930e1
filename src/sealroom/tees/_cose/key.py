"""Elliptic curve keys: as tokens carry them (COSE_Key, RFC 9052 section 7; SEC 1 points), and as people keep them."""

import base64
import binascii
import json
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from sealroom.cbor import CborKey, CborValue, read_cbor
from sealroom.errors import MalformedError
from sealroom.tees._cose.algorithms import COORDINATE_SIZES, CoseAlg, scheme_of

__all__ = ["read_cose_key", "read_jwk", "read_key", "sec1_point", "spki_of"]

_KTY, _ALG, _CRV, _X, _Y = 1, 3, -1, -2, -3
_EC2 = 2
_SEQUENCE = b"\x30"
_MAP, _TAG = 0xA0, 0xC0
"""First bytes of a CBOR map, and beyond."""
"""How SubjectPublicKeyInfo begins, and no map of CBOR."""
_KNOWN = frozenset({_KTY, 2, _ALG, 4, 5, _CRV, _X, _Y})
_JWK_SIZES = {"P-256": 32, "P-384": 48, "P-521": 66}
_SEC1_CURVES: dict[int, ec.EllipticCurve] = {65: ec.SECP256R1(), 97: ec.SECP384R1(), 133: ec.SECP521R1()}


def sec1_point(raw: bytes, *, area: str) -> ec.EllipticCurvePublicKey:
    """An uncompressed point (SEC 1 section 2.3.3); its length names the curve.

    Raises:
        MalformedError: ``AREA.key``.
    """
    curve = _SEC1_CURVES.get(len(raw))
    if curve is None or raw[:1] != b"\x04":
        raise _bad(area, "not an uncompressed point of a known curve", f"{len(raw)} bytes")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, raw)
    except ValueError:
        raise _bad(area, "the point is not on its curve", None) from None


def read_cose_key(raw: bytes | dict[CborKey, CborValue], *, area: str) -> ec.EllipticCurvePublicKey:
    """A COSE_Key of type EC2 with both coordinates.

    Raises:
        MalformedError: ``AREA.key``, ``AREA.cbor-*``.
    """
    members = read_cbor(raw, area=area) if isinstance(raw, bytes) else raw
    if not isinstance(members, dict) or _number(members.get(_KTY)) != _EC2 or set(members) - _KNOWN:
        raise _bad(area, "not a COSE_Key of type EC2", None)
    size = COORDINATE_SIZES.get(_number(members.get(_CRV)) or 0)
    if size is None:
        raise _bad(area, "a COSE_Key on a curve that is not known", ascii(members.get(_CRV))[:40])
    key = _of_coordinates(size, members.get(_X), members.get(_Y), area)
    if _ALG in members and not _may_sign_by(key, members[_ALG]):
        raise _bad(area, "a COSE_Key for another algorithm than its curve has", ascii(members[_ALG])[:40])
    return key


def read_jwk(raw: bytes, *, area: str) -> ec.EllipticCurvePublicKey:
    """A JWK of type EC (RFC 7518 section 6.2).

    Raises:
        MalformedError: ``AREA.key``.
    """
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        raise _bad(area, "not JSON", None) from None
    if not isinstance(document, dict) or document.get("kty") != "EC" or document.get("crv") not in _JWK_SIZES:
        raise _bad(area, "not a JWK of type EC on a known curve", None)
    x, y = (_base64url(document.get(name), area) for name in ("x", "y"))
    return _of_coordinates(_JWK_SIZES[document["crv"]], x, y, area)


def read_key(raw: bytes, *, area: str) -> ec.EllipticCurvePublicKey:
    """A key as people keep them: PEM, JWK, COSE_Key or SubjectPublicKeyInfo, told apart by the first byte.

    Raises:
        MalformedError: ``AREA.key``, ``AREA.cbor-*``.
    """
    start = raw.lstrip()[:1]
    if start == b"{":
        return read_jwk(raw, area=area)
    if start not in {b"-", _SEQUENCE}:
        if not raw[:1] or not _MAP <= raw[0] < _TAG:
            raise _bad(area, "not a public key: neither PEM, DER, JWK nor COSE_Key", f"{len(raw)} bytes")
        return read_cose_key(raw, area=area)
    try:
        key = load_pem_public_key(raw) if start == b"-" else load_der_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        raise _bad(area, "not a public key in PEM or DER", None) from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise _bad(area, "not a key on an elliptic curve", type(key).__name__)
    return key


def spki_of(key: ec.EllipticCurvePublicKey) -> bytes:
    """The key as SubjectPublicKeyInfo, DER: what fingerprints are made of."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _number(value: CborValue) -> int | None:
    """``value`` if it is an integer: 2.0 and true are none."""
    return value if type(value) is int else None


def _may_sign_by(key: ec.EllipticCurvePublicKey, algorithm: CborValue) -> bool:
    """A key that names its algorithm is for no other (RFC 9052 section 7.1)."""
    known = _number(algorithm)
    return known in set(CoseAlg) and isinstance(key.curve, scheme_of(CoseAlg(known)).curve)


def _of_coordinates(size: int, x: object, y: object, area: str) -> ec.EllipticCurvePublicKey:
    if not isinstance(x, bytes) or not isinstance(y, bytes) or len(x) != size or len(y) != size:
        raise _bad(area, "coordinates are as long as the curve says, both given", None)
    return sec1_point(b"\x04" + x + y, area=area)


def _base64url(value: Any, area: str) -> bytes:
    if not isinstance(value, str):
        raise _bad(area, "a coordinate is missing", None)
    try:
        return base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _bad(area, "a coordinate is not base64url", None) from None


def _bad(area: str, message: str, got: object) -> MalformedError:
    return MalformedError(f"{area}.key", message, got=got, expected="an elliptic curve public key")
