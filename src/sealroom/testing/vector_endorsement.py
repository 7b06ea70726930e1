"""Certificates of endorsement keys: a vTPM decrypts with them and signs nothing, so that no verifier here takes one.

Vectors ask whether they are Google's all the same.
"""

from datetime import datetime
from itertools import pairwise

from sealroom.der import BIT_STRING, read_whole
from sealroom.errors import UnverifiedError
from sealroom.evidence import TrustRoots
from sealroom.tees.gcp.certificates import GCE_ROOTS
from sealroom.x509_chain import require_in_window, require_signed, verify_ca
from sealroom.x509_reader import Certificate, read_certificates
from sealroom.x509_scheme import SignatureScheme

__all__ = ["is_for_encryption", "verify_endorsement"]

_KEY_USAGE, _CONSTRAINTS = "2.5.29.15", "2.5.29.19"
_UNDERSTOOD = frozenset({_KEY_USAGE, _CONSTRAINTS, "2.5.29.37", "2.5.29.17"})
_SIGNS, _ENCIPHERS, _AGREES = 1 << 0, 1 << 2, 1 << 4
_SCHEMES = frozenset({SignatureScheme.RSA_PKCS1_SHA256, SignatureScheme.RSA_PKCS1_SHA384,
                      SignatureScheme.ECDSA_SHA256, SignatureScheme.ECDSA_SHA384})  # fmt: skip


def is_for_encryption(certificate: Certificate) -> bool:
    """Whether its key may encrypt, and not sign."""
    usage = certificate.extensions.get(_KEY_USAGE)
    bits = 0 if usage is None else read_whole(usage.value, BIT_STRING).flags()
    return bool(bits & (_ENCIPHERS | _AGREES)) and not bits & _SIGNS


def verify_endorsement(leaf: Certificate, issuers: bytes, *, roots: TrustRoots, at: datetime) -> None:
    """Raise unless ``leaf`` leads through ``issuers`` to one of Google's roots, or of ``roots``.

    Raises:
        MalformedError, UnverifiedError: ``x509.*``.
    """
    above = read_certificates(issuers)
    if above[-1].fingerprint not in frozenset(GCE_ROOTS) | roots.insecure_simulated:
        raise UnverifiedError("x509.untrusted-root", "the chain ends in a root that nobody here trusts",
                              got=f"sha256:{above[-1].fingerprint.hex()}")  # fmt: skip
    for certificate, issuer in pairwise(above):
        verify_ca(certificate, issuer=issuer, schemes=_SCHEMES, at=at)
    if leaf.issuer.der != above[0].subject.der:
        raise UnverifiedError("x509.issuer-name", f"{leaf.subject} was not issued by the next certificate")
    if foreign := sorted(set(leaf.critical) - _UNDERSTOOD):
        raise UnverifiedError("x509.critical-extension", "the certificate has a critical extension that is not "
                              "understood", got=", ".join(foreign))  # fmt: skip
    require_signed(
        leaf.tbs, leaf.signature, scheme=leaf.scheme, by=above[0], schemes=_SCHEMES, what="the certificate"
    )
    for certificate in (leaf, *above):
        require_in_window(certificate.validity, at, f"the certificate {certificate.subject}")
