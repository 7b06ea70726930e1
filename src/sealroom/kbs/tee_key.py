"""``tee-pubkey``: the JWK of the key that was born in the guest, and that the answer is encrypted to. Section 2."""

from dataclasses import dataclass
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sealroom.errors import MalformedError, RefusedError
from sealroom.kbs.json_text import JsonObject, b64url_decode, b64url_encode, members, text_member

__all__ = ["EC_CURVES", "PublicKey", "TeeKey", "ec_jwk", "ec_point", "parse_tee_key"]

PublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

EC_CURVES: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-521": ec.SECP521R1()}
_EC_ALG, _RSA_ALG = "ECDH-ES+A256KW", "RSA-OAEP-256"


@dataclass(frozen=True, slots=True, kw_only=True)
class TeeKey:
    """A public key that passed every check of its form; whose it is, evidence alone can say."""

    alg: str
    public: PublicKey


def parse_tee_key(jwk: JsonObject) -> TeeKey:
    """Read the JWK.

    Raises:
        MalformedError: not such a key, or with members that do not belong (a private part, say).
        RefusedError: ``kbs.tee-key-algorithm``: RSA1_5, AKP, short RSA keys.
    """
    match jwk.get("kty"):
        case "EC":
            return _ec(jwk)
        case "RSA":
            return _rsa(jwk)
        case _:
            raise RefusedError("kbs.tee-key-algorithm", "tee-pubkey is of a kind that is not served",
                               expected=f"EC with {_EC_ALG}, or RSA with {_RSA_ALG}")  # fmt: skip


def _ec(jwk: JsonObject) -> TeeKey:
    obj = members(jwk, what="tee-pubkey", required=frozenset({"kty", "crv", "alg", "x", "y"}))
    _require_alg(obj, _EC_ALG)
    return TeeKey(alg=_EC_ALG, public=ec_point(obj, what="tee-pubkey"))


def ec_point(obj: JsonObject, *, what: str) -> ec.EllipticCurvePublicKey:
    """The point that ``crv``, ``x`` and ``y`` name; on the curve, or an error."""
    curve = EC_CURVES.get(text_member(obj, "crv", what=what))
    if curve is None:
        raise RefusedError("kbs.tee-key-algorithm", f"{what} is on a curve that is not served",
                           expected=", ".join(EC_CURVES))  # fmt: skip
    size = (curve.key_size + 7) // 8
    x, y = (b64url_decode(text_member(obj, name, what=what), what=f"{name} of {what}") for name in ("x", "y"))
    if len(x) > size or len(y) > size:
        raise MalformedError("kbs.tee-key", f"a coordinate of {what} is too long", expected=f"{size} bytes")
    # Old clients leave out leading zero bytes of P-256 coordinates.
    point = b"\x04" + x.rjust(size, b"\x00") + y.rjust(size, b"\x00")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
    except ValueError as error:
        raise MalformedError("kbs.tee-key", f"{what} is not a point of its curve") from error


def _rsa(jwk: JsonObject) -> TeeKey:
    obj = members(jwk, what="tee-pubkey", required=frozenset({"kty", "alg", "n", "e"}))
    _require_alg(obj, _RSA_ALG)
    n, e = (
        int.from_bytes(b64url_decode(text_member(obj, name, what="tee-pubkey"), what=f"{name} of tee-pubkey"), "big")
        for name in ("n", "e")
    )
    if not (2048 <= n.bit_length() <= 8192 and n % 2 and e % 2 and 65537 <= e < 2**32):
        raise RefusedError("kbs.tee-key-algorithm", "the RSA key of tee-pubkey is too weak or not one",
                           got=f"{n.bit_length()} bits", expected="2048 to 8192 bits, e from 65537")  # fmt: skip
    try:
        return TeeKey(alg=_RSA_ALG, public=rsa.RSAPublicNumbers(e, n).public_key())
    except ValueError as error:
        raise MalformedError("kbs.tee-key", "tee-pubkey is not an RSA key") from error


def _require_alg(obj: JsonObject, wanted: str) -> None:
    if obj["alg"] != wanted:
        raise RefusedError("kbs.tee-key-algorithm", "tee-pubkey asks for an algorithm that is not served",
                           got=repr(obj["alg"])[:32], expected=wanted,
                           hint="RSA1_5 leaks plaintext to a padding oracle; use the default key of a current client",
                           )  # fmt: skip


def ec_jwk(public: ec.EllipticCurvePublicKey, *, alg: str | None = None) -> JsonObject:
    """``{"crv", "kty", "x", "y"}`` in this order, which stock clients rely on; with ``alg`` in front if given."""
    name = next(name for name, curve in EC_CURVES.items() if curve.name == public.curve.name)
    numbers, size = public.public_numbers(), (public.curve.key_size + 7) // 8
    x, y = (b64url_encode(value.to_bytes(size, "big")) for value in (numbers.x, numbers.y))
    head: JsonObject = {} if alg is None else {"alg": alg}
    return {**head, "crv": name, "kty": "EC", "x": x, "y": y}
