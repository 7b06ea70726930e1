"""How certificates, lists and what stands beside them are signed: AlgorithmIdentifiers (RFC 5280, 4.1.1.2)."""

from enum import Enum

from sealroom.der import Element
from sealroom.errors import MalformedError, UnverifiedError

__all__ = ["SignatureScheme", "read_scheme", "require_same_scheme"]


class SignatureScheme(Enum):
    """What a certificate may be signed with. Whoever verifies a chain says which of these it takes."""

    RSA_PSS_SHA384 = "RSASSA-PSS, SHA-384, MGF1 with SHA-384, salt of 48 bytes"
    ECDSA_SHA256 = "ECDSA with SHA-256"
    ECDSA_SHA384 = "ECDSA with SHA-384"
    ECDSA_SHA512 = "ECDSA with SHA-512"
    RSA_PKCS1_SHA256 = "RSASSA-PKCS1-v1_5 with SHA-256"
    RSA_PKCS1_SHA384 = "RSASSA-PKCS1-v1_5 with SHA-384"
    RSA_PKCS1_SHA512 = "RSASSA-PKCS1-v1_5 with SHA-512"


def read_scheme(algorithm: Element) -> SignatureScheme:
    """How something is signed, by its AlgorithmIdentifier.

    Raises:
        UnverifiedError: ``x509.signature-algorithm``: in no way that is known here.
    """
    scheme = _SCHEMES.get(algorithm.whole)
    if scheme is None:
        raise UnverifiedError("x509.signature-algorithm", "a certificate or revocation list is signed in a way that "
                              "is not accepted", got=algorithm.whole.hex(),
                              expected="; ".join(scheme.value for scheme in SignatureScheme))  # fmt: skip
    return scheme


def require_same_scheme(outer: SignatureScheme, inner: Element) -> None:
    """Raise `MalformedError` ``x509.signature-algorithm`` unless ``inner`` names what ``outer`` is."""
    # RFC 5280 section 4.1.1.2: only the inner one is signed
    if read_scheme(inner) is not outer:
        raise MalformedError("x509.signature-algorithm", "the signed and the unsigned signature algorithm differ")


def _algorithm_identifiers() -> dict[bytes, SignatureScheme]:
    """Every encoding that is met, whole: an AlgorithmIdentifier that is not exactly one of these is refused.

    RSASSA-PSS (RFC 4055): hash parameters are NULL or absent, and the default trailer field is absent (DER) or
    written out (AMD's certificates do).
    """
    known = {
        bytes.fromhex("300a06082a8648ce3d040302"): SignatureScheme.ECDSA_SHA256,
        bytes.fromhex("300a06082a8648ce3d040303"): SignatureScheme.ECDSA_SHA384,
        bytes.fromhex("300a06082a8648ce3d040304"): SignatureScheme.ECDSA_SHA512,
        bytes.fromhex("300d06092a864886f70d01010b0500"): SignatureScheme.RSA_PKCS1_SHA256,
        bytes.fromhex("300d06092a864886f70d01010c0500"): SignatureScheme.RSA_PKCS1_SHA384,
        bytes.fromhex("300d06092a864886f70d01010d0500"): SignatureScheme.RSA_PKCS1_SHA512,
    }
    for null in (b"\x05\x00", b""):
        sha384 = _tlv(0x30, bytes.fromhex("0609608648016503040202") + null)
        mgf1 = _tlv(0x30, bytes.fromhex("06092a864886f70d010108") + sha384)
        for trailer in (b"", bytes.fromhex("a303020101")):
            parameters = _tlv(0xA0, sha384) + _tlv(0xA1, mgf1) + bytes.fromhex("a203020130") + trailer
            identifier = bytes.fromhex("06092a864886f70d01010a") + _tlv(0x30, parameters)
            known[_tlv(0x30, identifier)] = SignatureScheme.RSA_PSS_SHA384
    return known


def _tlv(tag: int, content: bytes) -> bytes:
    return bytes((tag, len(content))) + content


_SCHEMES = _algorithm_identifiers()
