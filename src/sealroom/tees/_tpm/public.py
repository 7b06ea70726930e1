"""A public key as a TPM describes it: TPMT_PUBLIC (part 2, 12.2.4), with the attributes that say what it may sign."""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.tees._tpm.reader import TpmReader

__all__ = [
    "ATTESTATION_KEY",
    "TpmPublic",
    "is_restricted",
    "read_public",
    "require_attestation_key",
    "require_bound_to_tpm",
]

_RSA, _ECC, _NULL = 0x0001, 0x0023, 0x0010
_FIXED_TPM, _FIXED_PARENT, _SENSITIVE_ORIGIN, _RESTRICTED, _SIGN = 1 << 1, 1 << 4, 1 << 5, 1 << 16, 1 << 18
ATTESTATION_KEY = _FIXED_TPM | _FIXED_PARENT | _SENSITIVE_ORIGIN | _RESTRICTED | _SIGN
"""Never leaves its TPM, and signs nothing that looks like a quote unless the TPM made it."""
_BOUND = ATTESTATION_KEY & ~_RESTRICTED
_CURVES: dict[int, ec.EllipticCurve] = {0x0003: ec.SECP256R1(), 0x0004: ec.SECP384R1(), 0x0005: ec.SECP521R1()}
_DEFAULT_EXPONENT = 65537


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmPublic:
    """A key and what it is for; untrusted."""

    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey
    name_alg: int
    attributes: int
    scheme: int
    scheme_hash: int


def read_public(raw: bytes) -> TpmPublic:
    """Read a signing key.

    Raises:
        MalformedError: ``tpm.truncated``, ``tpm.trailing``, ``tpm.public``.
    """
    reader = TpmReader(raw, "the public key")
    kind, name_alg, attributes = reader.number(2), reader.number(2), reader.number(4)
    reader.sized()  # the policy under which it may be used
    if reader.number(2) != _NULL:
        raise _bad("the key is for storage")
    scheme = reader.number(2)
    scheme_hash = 0 if scheme == _NULL else reader.number(2)
    key = _rsa(reader) if kind == _RSA else _ecc(reader) if kind == _ECC else None
    if key is None:
        raise _bad("the key is neither RSA nor elliptic curve")
    reader.end()
    return TpmPublic(key=key, name_alg=name_alg, attributes=attributes, scheme=scheme, scheme_hash=scheme_hash)


def require_attestation_key(public: TpmPublic) -> None:
    """Raise unless the key is one that signs only what the TPM itself made.

    Raises:
        UnverifiedError: ``tpm.key-attributes``.
    """
    _require(public, ATTESTATION_KEY)


def require_bound_to_tpm(public: TpmPublic) -> None:
    """Raise unless the key was made in its TPM to sign, and never leaves it. It may sign other things than quotes.

    Raises:
        UnverifiedError: ``tpm.key-attributes``.
    """
    _require(public, _BOUND)


def is_restricted(public: TpmPublic) -> bool:
    """Whether it signs nothing that looks like a quote unless the TPM made it."""
    return bool(public.attributes & _RESTRICTED)


def _require(public: TpmPublic, bits: int) -> None:
    if public.attributes & bits != bits:
        raise UnverifiedError("tpm.key-attributes", "the key may sign what no TPM made, or may leave its TPM",
                              got=f"0x{public.attributes:08x}", expected=f"all bits of 0x{bits:08x}")  # fmt: skip


def _rsa(reader: TpmReader) -> rsa.RSAPublicKey:
    bits, exponent = reader.number(2), reader.number(4) or _DEFAULT_EXPONENT
    modulus = int.from_bytes(reader.sized(), "big")
    if modulus.bit_length() != bits or not 2048 <= bits <= 4096:
        raise _bad("the RSA key is not of the size that it says, or of one that is not taken")
    try:
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError:
        raise _bad("the RSA key is none") from None


def _ecc(reader: TpmReader) -> ec.EllipticCurvePublicKey:
    curve = _CURVES.get(reader.number(2))
    if curve is None or reader.number(2) != _NULL:
        raise _bad("the key is on a curve that is not taken")
    x, y = (int.from_bytes(reader.sized(), "big") for _ in range(2))
    try:
        return ec.EllipticCurvePublicNumbers(x, y, curve).public_key()
    except ValueError:
        raise _bad("the point is not on its curve") from None


def _bad(message: str) -> MalformedError:
    return MalformedError("tpm.public", message, expected="a signing key")
