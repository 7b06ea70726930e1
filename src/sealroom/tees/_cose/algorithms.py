"""The signature algorithms of COSE that evidence may use (RFC 9053 section 2.1, RFC 9864)."""

from dataclasses import dataclass
from enum import IntEnum

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ["COORDINATE_SIZES", "CoseAlg", "Scheme", "scheme_of"]


class CoseAlg(IntEnum):
    """Algorithm identifiers."""

    ES256 = -7
    ES384 = -35
    ES512 = -36


@dataclass(frozen=True, slots=True)
class Scheme:
    """What an algorithm is made of. RFC 9053 lets curves and hashes mix; evidence does not, and neither do we."""

    curve: type[ec.EllipticCurve]
    digest: hashes.HashAlgorithm
    size: int
    """Bytes of r and of s."""


_SCHEMES = {
    CoseAlg.ES256: Scheme(ec.SECP256R1, hashes.SHA256(), 32),
    CoseAlg.ES384: Scheme(ec.SECP384R1, hashes.SHA384(), 48),
    CoseAlg.ES512: Scheme(ec.SECP521R1, hashes.SHA512(), 66),
}

COORDINATE_SIZES = {1: 32, 2: 48, 3: 66}
"""Bytes of a coordinate by the curve identifier of COSE keys (RFC 9053 section 7.1): P-256, P-384, P-521."""


def scheme_of(algorithm: CoseAlg) -> Scheme:
    """What ``algorithm`` is made of."""
    return _SCHEMES[algorithm]
