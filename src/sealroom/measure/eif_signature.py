"""The signature section of an enclave image: CBOR, in which byte strings stand as arrays of numbers.

    [{"signing_certificate": [PEM …], "signature": [COSE_Sign1 …]}]        payload: {register_index, register_value}

COSE_Sign1 (RFC 9052 section 4.4) with ECDSA, as the vendor's tool makes it. The certificate is nobody's but the
signer's own: what it proves is PCR8, and that a policy must pin.
"""

from dataclasses import dataclass
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from sealroom.errors import MalformedError, UnverifiedError

__all__ = ["EifSignature", "read_signatures"]

MAX_SECTION = 32 * 1024
_MAX_DEPTH = 4
_Cbor: TypeAlias = "int | bytes | str | list[_Cbor] | dict[int | str, _Cbor]"
_ALGORITHMS: dict[int, tuple[type[ec.EllipticCurve], hashes.HashAlgorithm]] = {
    -7: (ec.SECP256R1, hashes.SHA256()),
    -35: (ec.SECP384R1, hashes.SHA384()),
    -36: (ec.SECP521R1, hashes.SHA512()),
}
"""COSE algorithm (RFC 9053 section 2.1): curve and hash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EifSignature:
    """A signature that holds."""

    certificate: x509.Certificate
    register: int
    value: bytes


def read_signatures(raw: bytes) -> tuple[EifSignature, ...]:
    """Read and verify every signature.

    Raises:
        MalformedError: ``eif.signature-section``.
        UnverifiedError: ``eif.signature``.
    """
    if len(raw) > MAX_SECTION:
        raise _malformed(f"{len(raw)} bytes")
    found = _whole(raw)
    if not isinstance(found, list) or not found:
        raise _malformed("no list of signatures")
    return tuple(_signature(entry) for entry in found)


def _signature(entry: _Cbor) -> EifSignature:
    if not isinstance(entry, dict):
        raise _malformed("an entry that is no map")
    try:
        certificate = x509.load_pem_x509_certificate(_octets(entry.get("signing_certificate")))
        key = certificate.public_key()
    except (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm):
        raise _malformed("a certificate that can not be read, or whose key is of no use") from None
    match _whole(_octets(entry.get("signature"))):
        case [bytes() as protected, dict(), bytes() as payload, bytes() as signature]:
            pass
        case _:
            raise _malformed("no COSE_Sign1")
    _require_signature(key, protected, payload, signature)
    statement = _whole(payload)
    index = statement.get("register_index") if isinstance(statement, dict) else None
    if not isinstance(statement, dict) or not isinstance(index, int):
        raise _malformed("a payload without its register")
    return EifSignature(certificate=certificate, register=index, value=_octets(statement.get("register_value")))


def _require_signature(key: object, protected: bytes, payload: bytes, signature: bytes) -> None:
    header = _whole(protected)
    algorithm = header.get(1) if isinstance(header, dict) else None
    curve, digest = _ALGORITHMS.get(algorithm if isinstance(algorithm, int) else 0, (None, None))
    if curve is None or digest is None or not isinstance(key, ec.EllipticCurvePublicKey):
        raise _malformed(f"the algorithm {algorithm!r:.40}, or a key that does not go with it")
    size = (key.curve.key_size + 7) // 8
    if not isinstance(key.curve, curve) or len(signature) != 2 * size:
        raise _malformed("a key or signature that does not go with its algorithm")
    numbers = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
    signed = b"\x84\x6aSignature1" + _string(protected) + b"\x40" + _string(payload)
    try:
        key.verify(encode_dss_signature(*numbers), signed, ec.ECDSA(digest))
    except InvalidSignature:
        raise UnverifiedError("eif.signature", "the image's signature does not hold",
                              hint="the image was changed after it was signed") from None  # fmt: skip


def _string(content: bytes) -> bytes:
    """A byte string in CBOR's shortest form."""
    size = len(content)
    if size < 24:
        return bytes((0x40 | size,)) + content
    return (b"\x58" + size.to_bytes(1, "big") if size < 256 else b"\x59" + size.to_bytes(2, "big")) + content


def _octets(value: "_Cbor | None") -> bytes:
    """Bytes, which the vendor's tool writes as an array of numbers."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, list) and all(type(one) is int and 0 <= one <= 255 for one in value):
        return bytes(one for one in value if isinstance(one, int))
    raise _malformed("no bytes where bytes belong")


def _whole(raw: bytes) -> _Cbor:
    value, end = _item(raw, 0, _MAX_DEPTH)
    if end != len(raw):
        raise _malformed(f"{len(raw) - end} bytes after a value")
    return value


def _item(raw: bytes, at: int, depth: int) -> tuple[_Cbor, int]:
    """The value at ``at`` and where it ends: numbers, strings, arrays and maps of definite length (RFC 8949)."""
    major, number, at = _head(raw, at)
    if major in {0, 1}:
        return (number if major == 0 else -1 - number), at
    if number > len(raw) - at or (major in {4, 5} and depth == 0):
        raise _malformed(f"a length of {number} at 0x{at:x}")
    if major in {2, 3}:
        content = raw[at : at + number]
        return (content if major == 2 else content.decode("utf-8", "replace")), at + number
    return _array(raw, at, number, depth) if major == 4 else _map(raw, at, number, depth)


def _array(raw: bytes, at: int, count: int, depth: int) -> tuple[_Cbor, int]:
    values: list[_Cbor] = []
    for _ in range(count):
        value, at = _item(raw, at, depth - 1)
        values.append(value)
    return values, at


def _map(raw: bytes, at: int, count: int, depth: int) -> tuple[_Cbor, int]:
    values: dict[int | str, _Cbor] = {}
    for _ in range(count):
        key, at = _item(raw, at, depth - 1)
        if not isinstance(key, int | str) or key in values:
            raise _malformed("a member twice, or of another kind")
        values[key], at = _item(raw, at, depth - 1)
    return values, at


def _head(raw: bytes, at: int) -> tuple[int, int, int]:
    if at >= len(raw):
        raise _malformed("an end where a value belongs")
    major, info = raw[at] >> 5, raw[at] & 0x1F
    at += 1
    if major > 5 or info > 27:
        raise _malformed(f"a value of another kind at 0x{at - 1:x}")
    if info < 24:
        return major, info, at
    size = 1 << (info - 24)
    if at + size > len(raw):
        raise _malformed("an end inside a number")
    return major, int.from_bytes(raw[at : at + size], "big"), at + size


def _malformed(got: str) -> MalformedError:
    return MalformedError("eif.signature-section", "the enclave image's signature section can not be read", got=got,
                          expected="certificates and COSE_Sign1 over a PCR")  # fmt: skip
