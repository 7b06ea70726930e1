"""Writes reference files, and adds a signature to one (``spec/reference-values.md`` section 6)."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from sealroom.errors import MisuseError
from sealroom.policy.references.read import TYPE, read_reference_file

__all__ = ["add_signature", "sign_reference_values"]

_ALGORITHMS = {
    "secp256r1": ("ES256", "P-256", hashes.SHA256(), 32),
    "secp384r1": ("ES384", "P-384", hashes.SHA384(), 48),
}


def sign_reference_values(payload: Mapping[str, Any], keys: Sequence[ec.EllipticCurvePrivateKey]) -> bytes:
    """A file with one signature of each key.

    Args:
        payload: the members of section 3, times in seconds since 1970.
        keys: on P-256 or P-384.

    Raises:
        MalformedError: ``reference.*``: the payload is not one that a reader takes.
    """
    text = _b64(json.dumps(payload, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode())
    raw = _document(text, [_signature(text, key) for key in keys])
    read_reference_file(raw)
    return raw


def add_signature(raw: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The same file with one more signature: signers sign one after the other, and none sees another's key.

    Raises:
        MalformedError: ``reference.*``.
    """
    read_reference_file(raw)
    document = json.loads(raw)
    signatures = [*document["signatures"], _signature(document["payload"], key)]
    signed = _document(document["payload"], signatures)
    read_reference_file(signed)
    return signed


def _signature(payload: str, key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    if key.curve.name not in _ALGORITHMS:
        raise MisuseError("reference.key", "a signer's key is on another curve", got=key.curve.name,
                          expected="P-256 or P-384")  # fmt: skip
    alg, name, digest, size = _ALGORITHMS[key.curve.name]
    numbers = key.public_key().public_numbers()
    jwk = {
        "kty": "EC",
        "crv": name,
        "x": _b64(numbers.x.to_bytes(size, "big")),
        "y": _b64(numbers.y.to_bytes(size, "big")),
    }
    protected = _b64(json.dumps({"alg": alg, "jwk": jwk, "typ": TYPE}, separators=(",", ":")).encode())
    r, s = decode_dss_signature(key.sign(f"{protected}.{payload}".encode(), ec.ECDSA(digest)))
    return {"protected": protected, "signature": _b64(r.to_bytes(size, "big") + s.to_bytes(size, "big"))}


def _document(payload: str, signatures: Sequence[Mapping[str, str]]) -> bytes:
    return json.dumps({"payload": payload, "signatures": list(signatures)}, indent=1).encode() + b"\n"


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
