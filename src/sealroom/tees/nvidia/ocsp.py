"""Answers of an OCSP responder (RFC 6960), as they are stapled: read, and verified for one certificate.

Signed by the certificate's own issuer, or by a responder that this issuer certified for just that (section 4.2.2.2).
A suspended certificate (reason certificateHold) is a state of its own: it may come back, and nobody has to trust it
meanwhile.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from sealroom.der import (
    BIT_STRING,
    CONTEXT_0,
    ENUMERATED,
    GENERALIZED_TIME,
    INTEGER,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    DerReader,
    Element,
    read_whole,
)
from sealroom.errors import MalformedError, UnverifiedError
from sealroom.evidence import Validity
from sealroom.x509_chain import require_in_window, require_signed, verify_end_entity
from sealroom.x509_reader import Certificate, SignatureScheme, read_certificate, read_scheme

__all__ = ["OcspState", "OcspStatus", "answers_for", "verify_ocsp"]

_MAX_ANSWER = 64 * 1024
_BASIC = "1.3.6.1.5.5.7.48.1.1"
_OCSP_SIGNING = bytes.fromhex("06082b06010505070309")
_EXTENDED_KEY_USAGE = "2.5.29.37"
_CONTEXT_1, _CONTEXT_2 = 0xA1, 0xA2
_GOOD, _UNKNOWN = 0x80, 0x82
_HOLD = 6
_NO_NEXT_UPDATE = timedelta(days=1)
"""How long an answer holds that does not say."""
_HASHES: dict[bytes, Callable[[bytes], Any]] = {
    bytes.fromhex("06052b0e03021a"): lambda data: hashlib.sha1(data, usedforsecurity=False),
    bytes.fromhex("0609608648016503040201"): hashlib.sha256,
    bytes.fromhex("0609608648016503040202"): hashlib.sha384,
}
"""How a certificate's issuer is named; SHA-1 here finds and does not prove."""
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


@dataclass(frozen=True, slots=True)
class _Single:
    """One SingleResponse."""

    digest: Callable[[bytes], Any]
    name_hash: bytes
    key_hash: bytes
    serial: int
    status: Element
    this_update: datetime
    next_update: datetime | None


@dataclass(frozen=True, slots=True)
class _Response:
    """A BasicOCSPResponse."""

    tbs: bytes
    singles: tuple[_Single, ...]
    scheme: SignatureScheme
    signature: bytes
    certificates: tuple[bytes, ...]


def answers_for(raw: bytes, certificate: Certificate) -> bool:
    """Whether ``raw`` speaks of a certificate with this serial number; proves nothing.

    Raises:
        MalformedError: ``nvidia.ocsp``, ``x509.der``.
    """
    return any(single.serial == certificate.serial for single in _read(raw).singles)


def verify_ocsp(raw: bytes, *, certificate: Certificate, issuer: Certificate, at: datetime) -> OcspStatus:
    """Verify what ``raw`` says of ``certificate`` at ``at``.

    1. A successful basic response, with one answer for this certificate: issuer's name and key, and serial number.
    2. Signed by ``issuer``, or by a certificate that ``issuer`` made for signing answers, valid at ``at``.
    3. ``at`` lies between thisUpdate and nextUpdate; an answer without an end holds for a day.

    Args:
        raw: untrusted.
        certificate: asked about.
        issuer: of it, itself verified.
        at: the time to judge at.

    Raises:
        MalformedError: ``nvidia.ocsp``, ``x509.der``.
        UnverifiedError: ``nvidia.ocsp-*``, ``x509.*``.
    """
    # 1.
    response = _read(raw)
    single = _matching(response, certificate, issuer)
    # 2.
    signer = _signer(response, issuer, at)
    require_signed(response.tbs, response.signature, scheme=response.scheme, by=signer, schemes=_SCHEMES,
                   what="the revocation answer")  # fmt: skip
    # 3.
    end = single.next_update or single.this_update + _NO_NEXT_UPDATE
    window = Validity(not_before=single.this_update, not_after=end)
    require_in_window(window, at, f"the revocation answer for {certificate.subject}")
    return _status(single.status, window)


def _signer(response: _Response, issuer: Certificate, at: datetime) -> Certificate:
    """The delegated responder if there is one that the issuer made; otherwise the issuer itself."""
    for der in response.certificates:
        responder = read_certificate(der)
        if responder.der == issuer.der:
            continue
        usage = responder.extensions.get(_EXTENDED_KEY_USAGE)
        if usage is None or _OCSP_SIGNING not in usage.value:
            raise UnverifiedError("nvidia.ocsp-responder", "the answer's signer was not made for signing answers",
                                  got=str(responder.subject))  # fmt: skip
        verify_end_entity(
            responder, issuer=issuer, schemes=_SCHEMES, at=at, understood=frozenset({_EXTENDED_KEY_USAGE})
        )
        return responder
    return issuer


def _matching(response: _Response, certificate: Certificate, issuer: Certificate) -> _Single:
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


def _status(status: Element, window: Validity) -> OcspStatus:
    if status.tag == _GOOD:
        return OcspStatus(state=OcspState.GOOD, reason=None, validity=window)
    if status.tag == _UNKNOWN:
        return OcspStatus(state=OcspState.UNKNOWN, reason=None, validity=window)
    if status.tag != _CONTEXT_1:
        raise _bad("a status is neither good, revoked nor unknown", hex(status.tag))
    reader = status.reader()
    reader.take(GENERALIZED_TIME).time()
    reason = reader.take_if(CONTEXT_0)
    reader.end()
    number = 0 if reason is None else _enumerated(reason.reader().take(ENUMERATED))
    state = OcspState.HOLD if number == _HOLD else OcspState.REVOKED
    return OcspStatus(state=state, reason=_REASONS.get(number, f"reason {number}"), validity=window)


def _read(raw: bytes) -> _Response:
    if len(raw) > _MAX_ANSWER:
        raise _bad("the answer is too large", f"{len(raw)} bytes")
    outer = read_whole(raw, SEQUENCE).reader()
    if status := _enumerated(outer.take(ENUMERATED)):
        raise UnverifiedError("nvidia.ocsp-no-answer", "the responder gave no answer", got=f"status {status}",
                              expected="successful", hint="ask again")  # fmt: skip
    wrapped = outer.take(CONTEXT_0).reader().take(SEQUENCE).reader()
    outer.end()
    if (kind := wrapped.take(OBJECT_IDENTIFIER).oid()) != _BASIC:
        raise _bad("the answer is of a kind that is not known", kind)
    basic = read_whole(wrapped.take(OCTET_STRING).content, SEQUENCE).reader()
    wrapped.end()
    tbs, algorithm, signature = basic.take(SEQUENCE), basic.take(SEQUENCE), basic.take(BIT_STRING)
    certificates = basic.take_if(CONTEXT_0)
    basic.end()
    return _Response(tbs.whole, _singles(tbs), read_scheme(algorithm), signature.bits(), _certificates(certificates))


def _singles(tbs: Element) -> tuple[_Single, ...]:
    reader = tbs.reader()
    if reader.take_if(CONTEXT_0) is not None:
        raise _bad("the answer is of another version than 1", None)
    reader.take(_CONTEXT_1, _CONTEXT_2)
    reader.take(GENERALIZED_TIME).time()
    answers = reader.take(SEQUENCE).reader()
    found = []
    while not answers.at_end():
        found.append(_single(answers.take(SEQUENCE).reader()))
    return tuple(found)


def _single(reader: DerReader) -> _Single:
    identity = reader.take(SEQUENCE).reader()
    algorithm = identity.take(SEQUENCE).reader().take(OBJECT_IDENTIFIER).whole
    if algorithm not in _HASHES:
        raise _bad("a certificate is named by a digest that is not known", algorithm.hex())
    name_hash, key_hash = identity.take(OCTET_STRING).content, identity.take(OCTET_STRING).content
    serial = identity.take(INTEGER).integer()
    identity.end()
    status = reader.take()
    this_update = reader.take(GENERALIZED_TIME).time()
    explicit = reader.take_if(CONTEXT_0)
    next_update = None if explicit is None else explicit.reader().take(GENERALIZED_TIME).time()
    return _Single(_HASHES[algorithm], name_hash, key_hash, serial, status, this_update, next_update)


def _certificates(explicit: Element | None) -> tuple[bytes, ...]:
    found: list[bytes] = []
    if explicit is not None:
        reader = explicit.reader().take(SEQUENCE).reader()
        while not reader.at_end():
            found.append(reader.take(SEQUENCE).whole)
    return tuple(found)


def _key_bits(certificate: Certificate) -> bytes:
    """The content of the issuer's public key, without tag, length and count of unused bits (section 4.1.1)."""
    reader = read_whole(certificate.public_key, SEQUENCE).reader()
    reader.take(SEQUENCE)
    return reader.take(BIT_STRING).bits()


def _enumerated(element: Element) -> int:
    if len(element.content) != 1:
        raise _bad("a status or reason is no small number", element.content.hex()[:40])
    return element.content[0]


def _bad(message: str, got: object) -> MalformedError:
    return MalformedError("nvidia.ocsp", message, got=got, expected="an OCSP response (RFC 6960)")
