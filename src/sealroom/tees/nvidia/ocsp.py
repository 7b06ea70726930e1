"""Answers of an OCSP responder (RFC 6960), as they are stapled: verified for one certificate.

Signed by the certificate's own issuer, or by a responder that this issuer certified for just that (section 4.2.2.2).
A suspended certificate (reason certificateHold) is a state of its own: it may come back, and nobody has to trust it
meanwhile.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from sealroom.der import BIT_STRING, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, Element, read_whole
from sealroom.errors import UnverifiedError
from sealroom.evidence import Validity
from sealroom.tees.nvidia.ocsp_response import (
    BY_NAME,
    GOOD,
    UNKNOWN,
    OcspResponse,
    SingleAnswer,
    read_reason,
    read_response,
)
from sealroom.x509_chain import require_in_window, require_signed, verify_end_entity
from sealroom.x509_reader import Certificate, read_certificate
from sealroom.x509_scheme import SignatureScheme

__all__ = ["OcspState", "OcspStatus", "answers_for", "state_of", "verify_ocsp"]

_OCSP_SIGNING = "1.3.6.1.5.5.7.3.9"
_EXTENDED_KEY_USAGE = "2.5.29.37"
_HOLD = 6
_NO_NEXT_UPDATE = timedelta(days=1)
"""How long an answer holds that does not say."""
_SCHEMES = frozenset({SignatureScheme.ECDSA_SHA256, SignatureScheme.ECDSA_SHA384, SignatureScheme.RSA_PKCS1_SHA256,
                      SignatureScheme.RSA_PKCS1_SHA384})  # fmt: skip
_REASONS = {0: "unspecified", 1: "keyCompromise", 2: "cACompromise", 3: "affiliationChanged", 4: "superseded",
            5: "cessationOfOperation", 6: "certificateHold", 8: "removeFromCRL", 9: "privilegeWithdrawn",
            10: "aACompromise"}  # fmt: skip


class OcspState(Enum):
    """What an answer says."""

    GOOD = "good"
    HOLD = "hold"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspStatus:
    """An authentic answer."""

    state: OcspState
    reason: str | None
    validity: Validity
    """Where the answer's own window and that of its signer's certificate meet."""


def answers_for(raw: bytes, certificate: Certificate) -> bool:
    """Whether ``raw`` speaks of a certificate with this serial number; proves nothing.

    Raises:
        MalformedError, UnverifiedError: as `read_response`.
    """
    return any(single.serial == certificate.serial for single in read_response(raw).singles)


def verify_ocsp(raw: bytes, *, certificate: Certificate, issuer: Certificate, at: datetime) -> OcspStatus:
    """Verify what ``raw`` says of ``certificate`` at ``at``.

    1. A successful basic response without critical extensions, with one answer for this certificate: issuer's name
       and key, and serial number.
    2. Signed by whom it names: ``issuer``, or a certificate that came along, which ``issuer`` made for signing
       answers and which is valid at ``at``.
    3. ``at`` lies between thisUpdate and nextUpdate; an answer without an end holds for a day.

    Args:
        raw: untrusted, DER, at most 64 KiB.
        certificate: asked about.
        issuer: of it, itself verified.
        at: the time to judge at, timezone-aware.

    Raises:
        MalformedError: ``nvidia.ocsp``, ``x509.der``.
        UnverifiedError: ``nvidia.ocsp-*``, ``x509.*``.
    """
    # 1.
    response = read_response(raw)
    single = _matching(response, certificate, issuer)
    # 2.
    signer = _signer(response, issuer, at)
    require_signed(response.tbs, response.signature, scheme=response.scheme, by=signer, schemes=_SCHEMES,
                   what="the revocation answer")  # fmt: skip
    # 3.
    end = single.next_update or single.this_update + _NO_NEXT_UPDATE
    window = Validity(not_before=single.this_update, not_after=end)
    require_in_window(window, at, f"the revocation answer for {certificate.subject}")
    state, reason = state_of(single.status)
    return OcspStatus(state=state, reason=reason, validity=window.meet(signer.validity))


def _signer(response: OcspResponse, issuer: Certificate, at: datetime) -> Certificate:
    """Whoever the answer names: the issuer, or a responder that the issuer made and whose certificate came along."""
    if _is_named(issuer, response.responder):
        return issuer
    along = (read_certificate(der) for der in response.certificates)
    responder = next((one for one in along if _is_named(one, response.responder)), None)
    if responder is None:
        raise UnverifiedError("nvidia.ocsp-responder", "the answer's signer is not the issuer and did not come along",
                              got=response.responder.content.hex()[:80],
                              expected=str(issuer.subject))  # fmt: skip
    usage = responder.extensions.get(_EXTENDED_KEY_USAGE)
    if usage is None or _OCSP_SIGNING not in _purposes(usage.value):
        raise UnverifiedError("nvidia.ocsp-responder", "the answer's signer was not made for signing answers",
                              got=str(responder.subject))  # fmt: skip
    understood = frozenset({_EXTENDED_KEY_USAGE})
    verify_end_entity(responder, issuer=issuer, schemes=_SCHEMES, at=at, understood=understood)
    return responder


def _is_named(certificate: Certificate, responder: Element) -> bool:
    if responder.tag == BY_NAME:
        return responder.content == certificate.subject.der
    digest = read_whole(responder.content, OCTET_STRING).content
    return digest == hashlib.sha1(_key_bits(certificate), usedforsecurity=False).digest()


def _purposes(usage: bytes) -> frozenset[str]:
    """What a key may be used for (RFC 5280 section 4.2.1.12)."""
    reader = read_whole(usage, SEQUENCE).reader()
    found = set()
    while not reader.at_end():
        found.add(reader.take(OBJECT_IDENTIFIER).oid())
    return frozenset(found)


def _matching(response: OcspResponse, certificate: Certificate, issuer: Certificate) -> SingleAnswer:
    found = [
        single
        for single in response.singles
        if single.serial == certificate.serial
        and single.digest(issuer.subject.der).digest() == single.name_hash
        and single.digest(_key_bits(issuer)).digest() == single.key_hash
    ]
    if len(found) != 1:
        raise UnverifiedError("nvidia.ocsp-other-certificate", "the answer is for another certificate or issuer",
                              got=len(found), expected=f"one answer for {certificate.subject}")  # fmt: skip
    return found[0]


def state_of(status: Element) -> tuple[OcspState, str | None]:
    """What an answer says of its certificate, and why if it was withdrawn; nothing is verified.

    Raises:
        MalformedError: ``nvidia.ocsp``, ``x509.der``.
    """
    if status.tag in {GOOD, UNKNOWN}:
        return (OcspState.GOOD if status.tag == GOOD else OcspState.UNKNOWN), None
    number = read_reason(status)
    state = OcspState.HOLD if number == _HOLD else OcspState.REVOKED
    return state, _REASONS.get(number, f"reason {number}")


def _key_bits(certificate: Certificate) -> bytes:
    """The content of the public key, without tag, length and count of unused bits (section 4.1.1)."""
    reader = read_whole(certificate.public_key, SEQUENCE).reader()
    reader.take(SEQUENCE)
    return reader.take(BIT_STRING).bits()
