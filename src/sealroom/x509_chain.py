"""A chain of certificates to a root that is pinned by fingerprint, at a given time; and revocation lists.

Nothing here knows a TEE. The caller names the anchors (SHA-256 of a root's DER), the signature schemes that it takes,
and the time; nothing is fetched and no clock is read.

What is remembered between calls is arithmetic only: that these bytes parse to this certificate, that this signature
over these bytes holds under this key. Anchors, names, CA rules, windows and revocation are judged anew each time, so
that a remembered result can not make a verdict weaker than a fresh one. Only signatures under a pinned root are
remembered, so that a stranger can not push them out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import pairwise

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from sealroom import x509_extensions
from sealroom.errors import MisuseError, UnverifiedError
from sealroom.evidence import Validity
from sealroom.x509_extensions import read_basic_constraints, read_key_usage
from sealroom.x509_reader import (
    Certificate,
    RevocationList,
    read_certificate,
    read_certificates,
    read_crl,
)
from sealroom.x509_reader import forget as forget_read
from sealroom.x509_scheme import SignatureScheme

__all__ = [
    "PublicKey",
    "VerifiedChain",
    "forget",
    "public_key",
    "public_key_of",
    "require_aware",
    "require_in_window",
    "require_signed",
    "verify_ca",
    "verify_certificates",
    "verify_chain",
    "verify_crl",
    "verify_end_entity",
]

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

_BASIC_CONSTRAINTS = "2.5.29.19"
_KEY_USAGE = "2.5.29.15"
_UNDERSTOOD = frozenset({_BASIC_CONSTRAINTS, _KEY_USAGE})
"""Extensions that may be critical: what they say is obeyed."""

_DIGITAL_SIGNATURE, _KEY_CERT_SIGN, _CRL_SIGN = 1 << 0, 1 << 5, 1 << 6

_MAX_CHAIN = 6

_ECDSA: Mapping[SignatureScheme, hashes.HashAlgorithm] = {
    SignatureScheme.ECDSA_SHA256: hashes.SHA256(),
    SignatureScheme.ECDSA_SHA384: hashes.SHA384(),
    SignatureScheme.ECDSA_SHA512: hashes.SHA512(),
}
_RSA: Mapping[SignatureScheme, tuple[padding.AsymmetricPadding, hashes.HashAlgorithm]] = {
    SignatureScheme.RSA_PSS_SHA384: (padding.PSS(padding.MGF1(hashes.SHA384()), salt_length=48), hashes.SHA384()),
    SignatureScheme.RSA_PKCS1_SHA256: (padding.PKCS1v15(), hashes.SHA256()),
    SignatureScheme.RSA_PKCS1_SHA384: (padding.PKCS1v15(), hashes.SHA384()),
    SignatureScheme.RSA_PKCS1_SHA512: (padding.PKCS1v15(), hashes.SHA512()),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedChain:
    """Certificates from a leaf to a pinned root, every signature, rule and window of which held."""

    certificates: tuple[Certificate, ...]
    """Leaf first, root last."""
    validity: Validity
    """Intersection of all windows."""

    @property
    def leaf(self) -> Certificate:
        """The end-entity certificate."""
        return self.certificates[0]

    @property
    def root(self) -> Certificate:
        """The pinned one."""
        return self.certificates[-1]


def verify_chain(
    leaf: bytes,
    issuers: bytes,
    *,
    anchors: frozenset[bytes],
    schemes: frozenset[SignatureScheme],
    at: datetime,
    understood: frozenset[str] = frozenset(),
) -> VerifiedChain:
    """Verify that ``leaf`` leads, through ``issuers`` in their order, to one of ``anchors``.

    1. Read: the leaf (DER or PEM), the issuers (PEM, each issued by the one after it, the root last; a copy of the
       leaf in front is passed over, since cloud metadata services send one).
    2. The last one's fingerprint is an anchor. Before any signature, so that a stranger's chain costs nothing.
       The root's own signature is not checked: its bytes are the pinned ones.
    3. Each is issued by the next: names equal to the byte, issuer a CA that may sign certificates, path length kept,
       every critical extension understood, scheme accepted, signature good.
    4. The leaf is no CA.
    5. Every window contains ``at``.

    Args:
        understood: identifiers of further extensions that may be critical, because the caller obeys them itself.

    Raises:
        MalformedError: something is not a certificate.
        UnverifiedError: ``x509.*``: a step does not hold.
    """
    # 1.
    first = read_certificate(leaf)
    above = read_certificates(issuers)
    if above[0].der == first.der:
        above = above[1:]
    return verify_certificates((first, *above), anchors=anchors, schemes=schemes, at=at, understood=understood)


def verify_certificates(
    chain: Sequence[Certificate],
    *,
    anchors: frozenset[bytes],
    schemes: frozenset[SignatureScheme],
    at: datetime,
    understood: frozenset[str] = frozenset(),
) -> VerifiedChain:
    """As `verify_chain`, for certificates that were read before: leaf first, root last.

    Raises:
        UnverifiedError: ``x509.*``: a step does not hold.
    """
    require_aware(at)
    if not 2 <= len(chain) <= _MAX_CHAIN:
        raise UnverifiedError("x509.chain-length", "a chain is too short or too long", got=len(chain),
                              expected=f"2 to {_MAX_CHAIN} certificates")  # fmt: skip
    # 2.
    _require_anchor(chain[-1], anchors)
    # 3.
    for depth, (certificate, issuer) in enumerate(pairwise(chain)):
        _require_issued(certificate, issuer, intermediates_below=depth, schemes=schemes, understood=understood)
    # 4.
    _require_end_entity(chain[0], understood)
    # 5.
    for certificate in chain:
        if not certificate.validity.holds_at(at):
            require_in_window(certificate.validity, at, f"the certificate {certificate.subject}")
    validity = _meet([certificate.validity for certificate in chain])
    return VerifiedChain(certificates=tuple(chain), validity=validity)


def verify_ca(
    certificate: Certificate, *, issuer: Certificate, schemes: frozenset[SignatureScheme], at: datetime
) -> None:
    """Verify that ``issuer`` (a root, itself already verified) made ``certificate`` a CA that is valid at ``at``.

    Raises:
        UnverifiedError: ``x509.*``: a step does not hold.
    """
    require_aware(at)
    _require_issued(certificate, issuer, intermediates_below=1, schemes=schemes)
    _require_ca(certificate)
    require_in_window(certificate.validity, at, f"the certificate {certificate.subject}")


def verify_end_entity(
    certificate: Certificate,
    *,
    issuer: Certificate,
    schemes: frozenset[SignatureScheme],
    at: datetime,
    understood: frozenset[str] = frozenset(),
) -> None:
    """Verify that ``issuer`` (itself already verified) certified a key that is no CA, valid at ``at``.

    Raises:
        UnverifiedError: ``x509.*``: a step does not hold.
    """
    require_aware(at)
    _require_issued(certificate, issuer, intermediates_below=0, schemes=schemes, understood=understood)
    _require_end_entity(certificate, understood)
    require_in_window(certificate.validity, at, f"the certificate {certificate.subject}")


def require_signed(
    message: bytes,
    signature: bytes,
    *,
    scheme: SignatureScheme,
    by: Certificate,
    schemes: frozenset[SignatureScheme],
    what: str,
) -> None:
    """Raise `UnverifiedError` unless the key of ``by`` (itself already verified) signed ``message``."""
    if scheme not in schemes:
        raise UnverifiedError("x509.signature-algorithm", f"{what} is signed in a way that is not accepted here",
                              got=scheme.value,
                              expected="; ".join(sorted(known.value for known in schemes)))  # fmt: skip
    try:
        _signature_holds(by.public_key, scheme, message, signature)
    except InvalidSignature:
        raise UnverifiedError("x509.signature", f"{what} does not bear the signature of {by.subject}") from None


def verify_crl(
    raw: bytes, *, issuer: Certificate, schemes: frozenset[SignatureScheme], at: datetime
) -> RevocationList:
    """Verify that ``issuer`` (itself already verified) signed this revocation list, and that it holds at ``at``.

    The list covers what the issuer issued (RFC 5280 section 5: no indirect and no delta list is accepted, because
    the extensions that make one are critical and not understood here).

    Raises:
        MalformedError: not a revocation list.
        UnverifiedError: ``x509.*``: a step does not hold.
    """
    require_aware(at)
    crl = read_crl(raw)
    if crl.issuer.der != issuer.subject.der:
        raise UnverifiedError("x509.crl-issuer", "the revocation list is of another issuer", got=str(crl.issuer),
                              expected=str(issuer.subject))  # fmt: skip
    usage = _key_usage(issuer)
    if usage is not None and not usage & _CRL_SIGN:
        raise UnverifiedError("x509.crl-issuer", f"{issuer.subject} may not sign revocation lists")
    critical = [oid for oid, extension in crl.extensions.items() if extension.critical]
    if critical:
        raise UnverifiedError("x509.critical-extension", "the revocation list has a critical extension that is not "
                              "understood", got=", ".join(critical))  # fmt: skip
    _require_signature(crl, issuer, schemes, f"the revocation list of {crl.issuer}")
    require_in_window(crl.validity, at, f"the revocation list of {crl.issuer}")
    return crl


def public_key(certificate: Certificate) -> PublicKey:
    """The certificate's key.

    Raises:
        UnverifiedError: ``x509.public-key``: neither RSA nor a named curve, or not a key at all.
    """
    return _load_key(certificate.public_key)


def public_key_of(spki: bytes) -> PublicKey:
    """The key in a SubjectPublicKeyInfo; raises as `public_key`."""
    return _load_key(spki)


def forget() -> None:
    """Drop everything that is remembered: for measurements of the cold case."""
    forget_read()
    _load_key.cache_clear()
    _signature_holds.cache_clear()
    x509_extensions.forget()


def require_aware(at: datetime) -> None:
    """Raise `MisuseError` unless ``at`` says its time zone."""
    if at.tzinfo is None:
        raise MisuseError("time.naive", "a time without a time zone can not be compared", got=at.isoformat())


def _require_anchor(root: Certificate, anchors: frozenset[bytes]) -> None:
    if root.fingerprint not in anchors:
        raise UnverifiedError(
            "x509.untrusted-root",
            "the chain ends in a root that nobody here trusts; its name is no anchor",
            where=str(root.subject),
            got=f"sha256:{root.fingerprint.hex()}",
            expected="one of " + ", ".join(f"sha256:{anchor.hex()}" for anchor in sorted(anchors))
            if anchors
            else "none",
            hint="compare the fingerprint with the vendor's own; simulated hardware must be named in the policy",
        )


def _require_issued(
    certificate: Certificate,
    issuer: Certificate,
    *,
    intermediates_below: int,
    schemes: frozenset[SignatureScheme],
    understood: frozenset[str] = frozenset(),
) -> None:
    if certificate.issuer.der != issuer.subject.der:
        raise UnverifiedError("x509.issuer-name", f"{certificate.subject} was not issued by the next certificate",
                              got=str(issuer.subject), expected=str(certificate.issuer))  # fmt: skip
    _require_understood(issuer, understood)
    _require_understood(certificate, understood)
    path_length = _require_ca(issuer)
    if path_length is not None and intermediates_below > path_length:
        raise UnverifiedError("x509.path-length", f"{issuer.subject} may not have so many CAs below it",
                              got=intermediates_below, expected=f"at most {path_length}")  # fmt: skip
    _require_signature(certificate, issuer, schemes, f"the certificate {certificate.subject}")


def _require_ca(issuer: Certificate) -> int | None:
    """How many CAs may stand below this one; None: any number."""
    is_ca, path_length = _basic_constraints(issuer)
    usage = _key_usage(issuer)
    if not is_ca or (usage is not None and not usage & _KEY_CERT_SIGN):
        raise UnverifiedError("x509.not-a-ca", f"{issuer.subject} may not issue certificates")
    return path_length


def _require_end_entity(leaf: Certificate, understood: frozenset[str]) -> None:
    _require_understood(leaf, understood)
    usage = _key_usage(leaf)
    if _basic_constraints(leaf)[0] or (usage is not None and not usage & _DIGITAL_SIGNATURE):
        raise UnverifiedError("x509.not-an-end-entity", f"{leaf.subject} is not a key for signing evidence")


def _require_understood(certificate: Certificate, besides: frozenset[str]) -> None:
    unknown = sorted([oid for oid in certificate.critical if oid not in _UNDERSTOOD and oid not in besides])
    if unknown:
        raise UnverifiedError("x509.critical-extension", f"{certificate.subject} has a critical extension that is "
                              "not understood", got=", ".join(unknown))  # fmt: skip


def _basic_constraints(certificate: Certificate) -> tuple[bool, int | None]:
    """Whether it is a CA, and how many CAs may stand between it and a leaf (RFC 5280 section 4.2.1.9)."""
    extension = certificate.extensions.get(_BASIC_CONSTRAINTS)
    return (False, None) if extension is None else read_basic_constraints(extension.value)


def _key_usage(certificate: Certificate) -> int | None:
    extension = certificate.extensions.get(_KEY_USAGE)
    return None if extension is None else read_key_usage(extension.value)


def require_in_window(validity: Validity, at: datetime, what: str) -> None:
    """Raise `UnverifiedError` ``x509.not-yet-valid`` or ``x509.expired`` unless ``at`` lies in ``validity``."""
    if not validity.holds_at(at):
        early = at < validity.not_before
        raise UnverifiedError(
            "x509.not-yet-valid" if early else "x509.expired",
            f"{what} is not valid yet" if early else f"{what} has run out",
            got=at.isoformat(),
            expected=f"{validity.not_before.isoformat()} to {validity.not_after.isoformat()}",
            hint="check the clock that gave this time" if early else "fetch current collateral",
        )


def _meet(windows: Sequence[Validity]) -> Validity:
    meet = windows[0]
    for window in windows[1:]:
        meet = meet.meet(window)
    return meet


def _require_signature(
    signed: Certificate | RevocationList, issuer: Certificate, schemes: frozenset[SignatureScheme], what: str
) -> None:
    require_signed(signed.tbs, signed.signature, scheme=signed.scheme, by=issuer, schemes=schemes, what=what)


@lru_cache(maxsize=256)
def _signature_holds(spki: bytes, scheme: SignatureScheme, message: bytes, signature: bytes) -> None:
    """Raise `InvalidSignature` or return; only a return is remembered."""
    key = _load_key(spki)
    if scheme in _ECDSA:
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise InvalidSignature
        key.verify(signature, message, ec.ECDSA(_ECDSA[scheme]))
    else:
        if not isinstance(key, rsa.RSAPublicKey):
            raise InvalidSignature
        how, digest = _RSA[scheme]
        key.verify(signature, message, how, digest)


@lru_cache(maxsize=256)
def _load_key(spki: bytes) -> PublicKey:
    try:
        key = load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as reason:
        raise UnverifiedError("x509.public-key", f"a certificate's key can not be read: {reason}") from None
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise UnverifiedError("x509.public-key", "a certificate's key is neither RSA nor on a named curve",
                              got=type(key).__name__)  # fmt: skip
    # shorter ones are no proof today, and longer ones only burn time
    if isinstance(key, rsa.RSAPublicKey) and not 2048 <= key.key_size <= 8192:
        raise UnverifiedError("x509.public-key", "an RSA key has a size that is not accepted",
                              got=f"{key.key_size} bits", expected="2048 to 8192 bits")  # fmt: skip
    return key
