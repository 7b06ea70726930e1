"""Answers of an OCSP responder (RFC 6960) about NVIDIA's certificates, honest or not in any member."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.evidence import Validity
from sealroom.testing import der
from sealroom.x509_reader import Certificate, read_certificate

__all__ = ["GOOD", "UNKNOWN", "OcspForm", "mint_ocsp", "revoked"]

_BASIC = "1.3.6.1.5.5.7.48.1.1"
_ECDSA_SHA384 = der.sequence(der.oid("1.2.840.10045.4.3.3"))
_DIGESTS: dict[str, tuple[str, Callable[[bytes], Any]]] = {
    "sha1": ("1.3.14.3.2.26", lambda data: hashlib.sha1(data, usedforsecurity=False)),
    "sha256": ("2.16.840.1.101.3.4.2.1", hashlib.sha256),
    "sha384": ("2.16.840.1.101.3.4.2.2", hashlib.sha384),
    "sha512": ("2.16.840.1.101.3.4.2.3", hashlib.sha512),
}
GOOD, UNKNOWN = der.element(0x80, b""), der.element(0x82, b"")
_WINDOW = Validity(not_before=datetime(2026, 1, 1, tzinfo=UTC), not_after=datetime(2049, 1, 1, tzinfo=UTC))


def revoked(reason: int | None, at: datetime = _WINDOW.not_before) -> bytes:
    """The status of a certificate that was withdrawn; ``reason`` 6 is certificateHold."""
    why = b"" if reason is None else der.element(0xA0, der.enumerated(reason))
    return der.element(0xA1, der.generalized_time(at) + why)


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspForm:
    """An answer about one certificate."""

    certificate: bytes = field(repr=False)
    """DER; of whom is asked."""
    issuer: bytes = field(repr=False)
    status: bytes = GOOD
    window: Validity = _WINDOW
    has_end: bool = True
    digest: str = "sha384"
    response_status: int = 0
    kind: str = _BASIC
    answers: int = 1
    version: bytes = b""
    """In front of all that is signed; version 1 is the one that is not written."""


def mint_ocsp(form: OcspForm, key: ec.EllipticCurvePrivateKey, *, responder: bytes | None = None) -> bytes:
    """The answer, DER, signed by ``key``.

    Args:
        form: what it says.
        key: of the responder, or of the issuer itself.
        responder: its certificate, DER, to come along; None: none does, and the issuer answers.
    """
    if form.response_status:
        return der.sequence(der.enumerated(form.response_status))
    issuer = read_certificate(form.issuer)
    by = issuer if responder is None else read_certificate(responder)
    body = der.sequence(
        form.version,
        der.element(0xA1, by.subject.der),
        der.generalized_time(form.window.not_before),
        der.sequence(*[_single(form, issuer)] * form.answers),
    )
    signature = der.bit_string(key.sign(body, ec.ECDSA(hashes.SHA384(), deterministic_signing=True)))
    along = [] if responder is None else [der.element(0xA0, der.sequence(responder))]
    basic = der.sequence(body, _ECDSA_SHA384, signature, *along)
    wrapped = der.sequence(der.oid(form.kind), der.octet_string(basic))
    return der.sequence(der.enumerated(0), der.element(0xA0, wrapped))


def _single(form: OcspForm, issuer: Certificate) -> bytes:
    oid, digest = _DIGESTS[form.digest]
    # the key's bits stand at the end of the structure, behind a count of unused ones (section 4.1.1)
    point = issuer.public_key[-97:]
    identity = der.sequence(
        der.sequence(der.oid(oid), b"\x05\x00"),
        der.octet_string(digest(issuer.subject.der).digest()), der.octet_string(digest(point).digest()),
        der.integer(read_certificate(form.certificate).serial),
    )  # fmt: skip
    end = [der.element(0xA0, der.generalized_time(form.window.not_after))] if form.has_end else []
    return der.sequence(identity, form.status, der.generalized_time(form.window.not_before), *end)
