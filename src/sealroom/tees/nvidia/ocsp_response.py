"""OCSP responses as they are read (RFC 6960 section 4.2): untrusted, and nothing more than their bytes say.

`ocsp` decides which of them to believe.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sealroom.der import (
    BIT_STRING,
    BOOLEAN,
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
from sealroom.x509_scheme import SignatureScheme, read_scheme

__all__ = ["BY_NAME", "OcspResponse", "SingleAnswer", "bad_response", "forget", "read_reason", "read_response"]

MAX_RESPONSE = 64 * 1024
"""Bytes."""
_MAX_CERTIFICATES = 6
_BASIC = "1.3.6.1.5.5.7.48.1.1"
CONTEXT_1 = 0xA1
BY_NAME, BY_KEY = 0xA1, 0xA2
"""How an answer names its signer."""
GOOD, REVOKED, UNKNOWN = 0x80, 0xA1, 0x82
_HASHES: dict[bytes, Callable[[bytes], Any]] = {
    bytes.fromhex("06052b0e03021a"): lambda data: hashlib.sha1(data, usedforsecurity=False),
    bytes.fromhex("0609608648016503040201"): hashlib.sha256,
    bytes.fromhex("0609608648016503040202"): hashlib.sha384,
}
"""How a certificate's issuer is named; SHA-1 here finds and does not prove."""


@dataclass(frozen=True, slots=True)
class SingleAnswer:
    """One SingleResponse: what is said of one certificate."""

    digest: Callable[[bytes], Any]
    """By which its issuer is named."""
    name_hash: bytes
    key_hash: bytes
    serial: int
    status: Element
    this_update: datetime
    next_update: datetime | None


@dataclass(frozen=True, slots=True)
class OcspResponse:
    """A BasicOCSPResponse."""

    tbs: bytes
    """What is signed."""
    responder: Element
    """Who answers: by name, or by the SHA-1 of the key."""
    singles: tuple[SingleAnswer, ...]
    scheme: SignatureScheme
    signature: bytes
    certificates: tuple[bytes, ...]


def forget() -> None:
    """Drop what is remembered of responses read before: for measurements of the cold case."""
    _response.cache_clear()


def read_response(raw: bytes) -> OcspResponse:
    """Read a response in DER.

    Raises:
        MalformedError: ``nvidia.ocsp``, ``x509.der``.
        UnverifiedError: ``nvidia.ocsp-no-answer``: the responder had nothing to say; ``nvidia.ocsp-extension``: it
            says something that has to be understood, and is not.
    """
    if len(raw) > MAX_RESPONSE:
        raise bad_response("the answer is too large", f"{len(raw)} bytes")
    return _response(raw)


@lru_cache(maxsize=64)
def _response(raw: bytes) -> OcspResponse:
    # a pure function of its bytes, so that remembering it can not change any verdict
    outer = read_whole(raw, SEQUENCE).reader()
    if status := _enumerated(outer.take(ENUMERATED)):
        raise UnverifiedError("nvidia.ocsp-no-answer", "the responder gave no answer", got=f"status {status}",
                              expected="successful", hint="ask again")  # fmt: skip
    wrapped = read_whole(outer.take(CONTEXT_0).content, SEQUENCE).reader()
    outer.end()
    if (kind := wrapped.take(OBJECT_IDENTIFIER).oid()) != _BASIC:
        raise bad_response("the answer is of a kind that is not known", kind)
    basic = read_whole(wrapped.take(OCTET_STRING).content, SEQUENCE).reader()
    wrapped.end()
    tbs, algorithm, signature = basic.take(SEQUENCE), basic.take(SEQUENCE), basic.take(BIT_STRING)
    certificates = basic.take_if(CONTEXT_0)
    basic.end()
    responder, singles = _data(tbs.reader())
    return OcspResponse(tbs.whole, responder, singles, read_scheme(algorithm), signature.bits(),
                        _certificates(certificates))  # fmt: skip


def read_reason(status: Element) -> int:
    """Why a certificate was withdrawn (CRLReason, RFC 5280 section 5.3.1); 0 where the answer does not say.

    Raises:
        MalformedError: ``nvidia.ocsp``, ``x509.der``.
    """
    reader = status.reader()
    reader.take(GENERALIZED_TIME).time()
    reason = reader.take_if(CONTEXT_0)
    reader.end()
    return 0 if reason is None else _enumerated(read_whole(reason.content, ENUMERATED))


def _data(reader: DerReader) -> tuple[Element, tuple[SingleAnswer, ...]]:
    """ResponseData: who answers, and the answers."""
    if reader.take_if(CONTEXT_0) is not None:
        raise bad_response("the answer is of another version than 1", None)
    responder = reader.take(BY_NAME, BY_KEY)
    reader.take(GENERALIZED_TIME).time()
    answers = reader.take(SEQUENCE).reader()
    found = []
    while not answers.at_end():
        found.append(_single(answers.take(SEQUENCE).reader()))
    _refuse_critical(reader.take_if(CONTEXT_1))
    reader.end()
    return responder, tuple(found)


def _single(reader: DerReader) -> SingleAnswer:
    identity = reader.take(SEQUENCE).reader()
    algorithm = identity.take(SEQUENCE).reader().take(OBJECT_IDENTIFIER).whole
    if algorithm not in _HASHES:
        raise bad_response("a certificate is named by a digest that is not known", algorithm.hex())
    name_hash, key_hash = identity.take(OCTET_STRING).content, identity.take(OCTET_STRING).content
    serial = identity.take(INTEGER).integer()
    identity.end()
    status = reader.take(GOOD, REVOKED, UNKNOWN)
    if status.tag != REVOKED and status.content:
        raise bad_response("a status has something in it", status.content.hex()[:40])
    this_update = reader.take(GENERALIZED_TIME).time()
    explicit = reader.take_if(CONTEXT_0)
    next_update = None if explicit is None else read_whole(explicit.content, GENERALIZED_TIME).time()
    _refuse_critical(reader.take_if(CONTEXT_1))
    reader.end()
    return SingleAnswer(_HASHES[algorithm], name_hash, key_hash, serial, status, this_update, next_update)


def _refuse_critical(explicit: Element | None) -> None:
    """Extensions are passed over, unless one says that it must not be."""
    if explicit is None:
        return
    listed = read_whole(explicit.content, SEQUENCE).reader()
    while not listed.at_end():
        extension = listed.take(SEQUENCE).reader()
        oid, critical = extension.take(OBJECT_IDENTIFIER).oid(), extension.take_if(BOOLEAN)
        extension.take(OCTET_STRING)
        extension.end()
        if critical is not None and critical.boolean():
            raise UnverifiedError("nvidia.ocsp-extension", "the answer says something that is not understood here",
                                  got=oid, expected="no critical extension")  # fmt: skip


def _certificates(explicit: Element | None) -> tuple[bytes, ...]:
    found: list[bytes] = []
    if explicit is not None:
        reader = read_whole(explicit.content, SEQUENCE).reader()
        while not reader.at_end():
            found.append(reader.take(SEQUENCE).whole)
    if len(found) > _MAX_CERTIFICATES:
        raise bad_response("too many certificates came with the answer", len(found))
    return tuple(found)


def _enumerated(element: Element) -> int:
    if len(element.content) != 1:
        raise bad_response("a status or reason is no small number", element.content.hex()[:40])
    return element.content[0]


def bad_response(message: str, got: object) -> MalformedError:
    """The error for a response that is not taken."""
    return MalformedError("nvidia.ocsp", message, got=got, expected="an OCSP response (RFC 6960)")
