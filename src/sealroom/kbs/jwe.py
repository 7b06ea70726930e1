"""The answer with the key: a flattened JWE (RFC 7516), in the one form that stock clients open. Section 8.

Stock clients parse the protected header, write it anew and compute the AAD from that: so what we write is compact,
and in their order. What we read, we authenticate as received.
"""

import hashlib
import os
from typing import TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.kbs.json_text import (
    JsonObject,
    b64url_decode,
    b64url_encode,
    compact,
    members,
    parse_object,
    text_member,
)
from sealroom.kbs.tee_key import TeeKey, ec_jwk, ec_point

__all__ = ["PrivateKey", "concat_kdf", "open_jwe", "seal_jwe"]

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_ENC = "A256GCM"
_EC_ALG, _RSA_ALG = "ECDH-ES+A256KW", "RSA-OAEP-256"
_PARTS = ("encrypted_key", "iv", "ciphertext", "tag")
_OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)


def seal_jwe(key: TeeKey, plaintext: bytes) -> bytes:
    """Encrypt ``plaintext`` to ``key``. All randomness is drawn here, anew for each answer."""
    cek, iv = os.urandom(32), os.urandom(12)
    if isinstance(key.public, rsa.RSAPublicKey):
        header: JsonObject = {"alg": _RSA_ALG, "enc": _ENC}
        wrapped = key.public.encrypt(cek, _OAEP)
    else:
        ephemeral = ec.generate_private_key(key.public.curve)
        header = {"alg": _EC_ALG, "enc": _ENC, "epk": ec_jwk(ephemeral.public_key())}
        wrapped = aes_key_wrap(_agree(ephemeral, key.public), cek)
    protected = b64url_encode(compact(header))
    sealed = AESGCM(cek).encrypt(iv, plaintext, protected.encode("ascii"))
    parts = zip(_PARTS, (wrapped, iv, sealed[:-16], sealed[-16:]), strict=True)
    answer: JsonObject = {"protected": protected}
    return compact(answer | {name: b64url_encode(part) for name, part in parts})


def open_jwe(private: PrivateKey, raw: bytes) -> bytes:
    """Decrypt an answer.

    Raises:
        MalformedError: not a flattened JWE of the kinds above.
        UnverifiedError: ``kbs.jwe``: made for another key, or changed on the way.
    """
    obj = members(parse_object(raw, what="the JWE"), what="the JWE", required=frozenset({"protected", *_PARTS}))
    protected = text_member(obj, "protected", what="the JWE")
    wrapped, iv, ciphertext, tag = (
        b64url_decode(text_member(obj, name, what="the JWE"), what=f"{name} of the JWE") for name in _PARTS
    )
    if len(iv) != 12 or len(tag) != 16:
        raise MalformedError("kbs.jwe-form", "iv or tag of the JWE has the wrong length", expected="12 and 16 bytes")
    header = parse_object(b64url_decode(protected, what="protected of the JWE"), what="the JWE header")
    cek = _unwrap(private, header, wrapped)
    try:
        return AESGCM(cek).decrypt(iv, ciphertext + tag, protected.encode("ascii"))
    except InvalidTag as error:
        raise _not_ours() from error


def _unwrap(private: PrivateKey, header: JsonObject, wrapped: bytes) -> bytes:
    is_ec = isinstance(private, ec.EllipticCurvePrivateKey)
    required = frozenset({"alg", "enc", "epk"} if is_ec else {"alg", "enc"})
    header = members(header, what="the JWE header", required=required)
    if (header["alg"], header["enc"]) != (_EC_ALG if is_ec else _RSA_ALG, _ENC):
        raise MalformedError("kbs.jwe-algorithm", "the JWE is of an algorithm that was not asked for",
                             expected=f"{_EC_ALG if is_ec else _RSA_ALG}, {_ENC}")  # fmt: skip
    try:
        if isinstance(private, rsa.RSAPrivateKey):
            cek = private.decrypt(wrapped, _OAEP)
        else:
            cek = aes_key_unwrap(_agree(private, _epk(header, private.curve)), wrapped)
    except (InvalidUnwrap, ValueError) as error:
        raise _not_ours() from error
    if len(cek) != 32:
        raise MalformedError("kbs.jwe-form", "the content key has the wrong length", expected="32 bytes")
    return cek


def _epk(header: JsonObject, curve: ec.EllipticCurve) -> ec.EllipticCurvePublicKey:
    epk = members(header["epk"], what="epk", required=frozenset({"kty", "crv", "x", "y"}))
    point = ec_point(epk, what="epk")
    if epk["kty"] != "EC" or point.curve.name != curve.name:
        raise MalformedError("kbs.jwe-algorithm", "epk is of another kind than the key that was asked for")
    return point


def _agree(private: ec.EllipticCurvePrivateKey, public: ec.EllipticCurvePublicKey) -> bytes:
    shared = private.exchange(ec.ECDH(), public)
    return concat_kdf(shared, algorithm=_EC_ALG.encode(), bits=256)


def concat_kdf(shared: bytes, *, algorithm: bytes, bits: int, apu: bytes = b"", apv: bytes = b"") -> bytes:
    """The derived key of RFC 7518 section 4.6.2, up to 256 bits (one round of SHA-256)."""
    framed = b"".join(len(part).to_bytes(4, "big") + part for part in (algorithm, apu, apv))
    digest = hashlib.sha256((1).to_bytes(4, "big") + shared + framed + bits.to_bytes(4, "big")).digest()
    return digest[: bits // 8]


def _not_ours() -> UnverifiedError:
    return UnverifiedError("kbs.jwe", "the JWE does not open with this key: made for another, or changed on the way",
                           hint="fetch the key anew; if it stays, something between here and the broker changes it",
                           )  # fmt: skip
