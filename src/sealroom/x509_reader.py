"""Certificates and revocation lists (RFC 5280) as they are read: untrusted, and nothing more than their bytes say.

`x509_chain` decides which of them to believe. PEM and DER are taken, both strictly.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from sealroom.der import (
    BIT_STRING,
    BOOLEAN,
    CONTEXT_0,
    CONTEXT_3,
    GENERALIZED_TIME,
    INTEGER,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    SET,
    UTC_TIME,
    DerReader,
    Element,
    dotted,
    read_all,
    read_parts,
    read_whole,
)
from sealroom.errors import MalformedError, UnverifiedError
from sealroom.evidence import Validity
from sealroom.pem import is_pem, read_pem
from sealroom.x509_scheme import SignatureScheme, read_scheme, require_same_scheme

__all__ = [
    "Certificate",
    "Extension",
    "Name",
    "RevocationList",
    "forget",
    "printable",
    "read_certificate",
    "read_certificates",
    "read_crl",
    "read_der_certificate",
]

MAX_CERTIFICATE = 16 * 1024
MAX_CRL = 4 * 1024 * 1024
MAX_PEM = 256 * 1024
"""Bytes. Sizes are checked before anything is read: what is read here may come from anybody."""
MAX_CERTIFICATES = 16
"""In one PEM text."""

_COMMON_NAME = "2.5.4.3"
_EXTENSION_TAGS = {(OBJECT_IDENTIFIER, OCTET_STRING), (OBJECT_IDENTIFIER, BOOLEAN, OCTET_STRING)}
"""Of an extension's parts."""
_TBS = (CONTEXT_0, INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE)
_TBS_TAGS = {_TBS, (*_TBS, CONTEXT_3)}
_BOOLEAN_TRUE = b"\x01\x01\xff"
"""What makes an extension critical."""


@dataclass(frozen=True, slots=True)
class Name:
    """A distinguished name: equal only if the bytes are."""

    der: bytes
    common_name: str

    def __str__(self) -> str:
        return printable(self.common_name) or "(no common name)"


class Extension(NamedTuple):
    """The value is the content of the extension's OCTET STRING, as raw bytes: not every vendor puts DER there."""

    critical: bool
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A version 3 certificate."""

    der: bytes = field(repr=False)
    fingerprint: bytes
    """SHA-256 of the DER."""
    tbs: bytes = field(repr=False)
    """What is signed."""
    serial: int
    issuer: Name
    subject: Name
    validity: Validity
    public_key: bytes = field(repr=False)
    """SubjectPublicKeyInfo, DER."""
    extensions: Mapping[str, Extension] = field(repr=False)
    """By dotted object identifier."""
    critical: tuple[str, ...] = field(repr=False)
    """Identifiers of the critical ones."""
    scheme: SignatureScheme
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationList:
    """A certificate revocation list."""

    tbs: bytes = field(repr=False)
    issuer: Name
    validity: Validity
    entries: bytes = field(repr=False)
    """The SEQUENCE of revoked certificates, or nothing."""
    extensions: Mapping[str, Extension] = field(repr=False)
    scheme: SignatureScheme
    signature: bytes = field(repr=False)

    @property
    def revoked(self) -> frozenset[int]:
        """Serial numbers. Read when first asked for, which is after the signature: a list can be long.

        Raises:
            MalformedError: ``x509.der``: an entry is damaged.
            UnverifiedError: ``x509.critical-extension``: an entry says something that is not understood.
        """
        return _revoked(self.entries)

    def lists(self, serial: int) -> bool:
        """Whether ``serial`` is on the list; the same as looking it up in `revoked`, and quick where it is not.

        DER has one encoding for a number: where that stands nowhere in the entries, no entry has it. Entries with
        something critical in them are read all the same, since that may be a reason to refuse the list.
        """
        if serial < 0:  # no CA may give one, and whoever did gets no short cut
            return serial in self.revoked
        number = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
        encoded = bytes((INTEGER, len(number))) + number
        if encoded not in self.entries and _BOOLEAN_TRUE not in self.entries:
            return False
        return serial in self.revoked


@lru_cache(maxsize=256)
def printable(text: str) -> str:
    """``text`` fit for messages: whoever made a certificate chose its words, and no terminal should obey them."""
    shown = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text[:80])
    return shown + ("…" if len(text) > 80 else "")


def read_certificate(raw: bytes) -> Certificate:
    """Read exactly one certificate, DER or PEM."""
    if not is_pem(raw):
        return _certificate(raw)
    certificates = read_certificates(raw)
    if len(certificates) != 1:
        raise MalformedError("x509.pem", "one certificate is expected", got=len(certificates), expected=1)
    return certificates[0]


def read_der_certificate(raw: bytes) -> Certificate:
    """Read exactly one certificate in DER."""
    return _certificate(raw)


def read_certificates(raw: bytes) -> tuple[Certificate, ...]:
    """Read a PEM text of one or more certificates, in their order; or one in DER."""
    if not is_pem(raw):
        return (_certificate(raw),)
    _require_size(raw, MAX_PEM, "PEM text")
    blocks = read_pem(raw, "CERTIFICATE")
    if len(blocks) > MAX_CERTIFICATES:
        raise MalformedError("x509.too-many", "a PEM text has more certificates than any that we read",
                             got=len(blocks), expected=f"at most {MAX_CERTIFICATES}")  # fmt: skip
    return tuple(_certificate(block) for block in blocks)


def read_crl(raw: bytes) -> RevocationList:
    """Read exactly one revocation list, DER or PEM."""
    if not is_pem(raw):
        return _crl(raw)
    _require_size(raw, 2 * MAX_CRL, "PEM text")
    blocks = read_pem(raw, "X509 CRL")
    if len(blocks) != 1:
        raise MalformedError("x509.pem", "one revocation list is expected", got=len(blocks), expected=1)
    return _crl(blocks[0])


def forget() -> None:
    """Drop what is remembered of certificates and lists read before: for measurements of the cold case."""
    for remembered in (_certificate, _crl, _extension, _name, _revoked, _require_time, _require_plain_entry):
        remembered.cache_clear()


@lru_cache(maxsize=256)
def _certificate(der: bytes) -> Certificate:
    # a pure function of its bytes, so that remembering it can not change any verdict
    _require_size(der, MAX_CERTIFICATE, "certificate")
    body, scheme, signature = _signed(der)
    version, serial, algorithm, issuer, validity, subject, public_key, *rest = _tbs(body)
    if read_whole(version.content, INTEGER).integer() != 2:
        raise MalformedError("x509.version", "a certificate is not of version 3")
    number = serial.integer()
    require_same_scheme(scheme, algorithm)
    extensions = _extensions(rest[0] if rest else None)
    return Certificate(
        der=der, fingerprint=hashlib.sha256(der).digest(), tbs=body.whole, serial=number, issuer=_name(issuer.whole),
        subject=_name(subject.whole), validity=_validity(validity), public_key=public_key.whole,
        extensions=extensions, critical=tuple([oid for oid, extension in extensions.items() if extension.critical]),
        scheme=scheme, signature=signature,
    )  # fmt: skip


def _tbs(body: Element) -> list[Element]:
    """The members of a TBSCertificate, of which the first may be absent for other versions than the one read here,
    and the last for a certificate without extensions."""
    members = read_all(body.content)
    tags = tuple([member.tag for member in members])
    if tags not in _TBS_TAGS:
        if tags[:1] != (CONTEXT_0,):
            raise MalformedError("x509.version", "a certificate is not of version 3")
        raise MalformedError("x509.der", "a certificate has other parts than it has to have",
                             got=" ".join([f"0x{tag:02x}" for tag in tags[:12]]))  # fmt: skip
    return members


@lru_cache(maxsize=16)
def _crl(der: bytes) -> RevocationList:
    _require_size(der, MAX_CRL, "revocation list")
    body, scheme, signature = _signed(der)
    tbs = body.reader()
    version = tbs.take_if(INTEGER)
    if version is not None and version.integer() != 1:
        raise MalformedError("x509.version", "a revocation list is of an unknown version", got=version.integer())
    require_same_scheme(scheme, tbs.take(SEQUENCE))
    issuer = _name(tbs.take(SEQUENCE).whole)
    this_update = tbs.take(UTC_TIME, GENERALIZED_TIME).time()
    if not (tbs.next_is(UTC_TIME) or tbs.next_is(GENERALIZED_TIME)):
        raise MalformedError("x509.crl-without-end", "a revocation list does not say until when it holds")
    next_update = tbs.take().time()
    entries = tbs.take_if(SEQUENCE)
    extensions = _extensions(tbs.take_if(CONTEXT_0))
    tbs.end()
    return RevocationList(
        tbs=body.whole, issuer=issuer, validity=Validity(not_before=this_update, not_after=next_update),
        entries=b"" if entries is None else entries.whole, extensions=extensions,
        scheme=scheme, signature=signature,
    )  # fmt: skip


@lru_cache(maxsize=16)
def _revoked(entries: bytes) -> frozenset[int]:
    serials = set()
    reader = read_whole(entries, SEQUENCE).reader() if entries else DerReader(b"")
    while not reader.at_end():
        entry = reader.take(SEQUENCE).reader()
        serials.add(entry.take(INTEGER).integer())
        # a list has few dates and few reasons, each many times
        _require_time(entry.take(UTC_TIME, GENERALIZED_TIME))
        if not entry.at_end():
            _require_plain_entry(entry.take(SEQUENCE))
        entry.end()
    return frozenset(serials)


@lru_cache(maxsize=1024)
def _require_time(time: Element) -> None:
    time.time()


@lru_cache(maxsize=64)
def _require_plain_entry(extensions: Element) -> None:
    """RFC 5280 section 5.3: a critical extension can change what an entry speaks of (an indirect list)."""
    for oid, extension in _extension_list(extensions).items():
        if extension.critical:
            raise UnverifiedError("x509.critical-extension", "an entry of a revocation list has a critical "
                                  "extension that is not understood", got=oid)  # fmt: skip


def _signed(der: bytes) -> tuple[Element, SignatureScheme, bytes]:
    """The outer structure that certificates and lists share: what is signed, how, and the signature."""
    parts = read_all(read_whole(der, SEQUENCE).content)
    if [part.tag for part in parts] != [SEQUENCE, SEQUENCE, BIT_STRING]:
        raise MalformedError("x509.der", "what is signed is not followed by an algorithm and a signature alone",
                             got=" ".join([f"0x{part.tag:02x}" for part in parts[:8]]))  # fmt: skip
    return parts[0], read_scheme(parts[1]), parts[2].bits()


def _extensions(explicit: Element | None) -> Mapping[str, Extension]:
    return _extension_list(None if explicit is None else read_whole(explicit.content, SEQUENCE))


def _extension_list(extensions: Element | None) -> Mapping[str, Extension]:
    found: dict[str, Extension] = {}
    for tag, content in () if extensions is None else read_parts(extensions.content):
        oid, extension = _extension(tag, content)
        if oid in found:
            raise MalformedError("x509.repeated-extension", "an extension stands twice in one structure", got=oid)
        found[oid] = extension
    return MappingProxyType(found)


@lru_cache(maxsize=256)
def _extension(tag: int, content: bytes) -> tuple[str, Extension]:
    """Certificates of one chain have many in common."""
    parts = read_parts(content)
    if tag != SEQUENCE or tuple([part for part, _ in parts]) not in _EXTENSION_TAGS:
        raise MalformedError("x509.der", "an extension is not in the form that it has to have",
                             got=content[:16].hex())  # fmt: skip
    critical = len(parts) == 3 and Element(*parts[1], b"").boolean()
    return dotted(parts[0][1]), Extension(critical, parts[-1][1])


@lru_cache(maxsize=256)
def _name(der: bytes) -> Name:
    common_names = []
    for tag, content in read_parts(read_whole(der, SEQUENCE).content):
        attributes = read_parts(content)
        if tag != SET or [inner for inner, _ in attributes] != [SEQUENCE] * len(attributes):
            raise _bad_name(der)
        for _, attribute in attributes:
            pair = read_parts(attribute)
            if len(pair) != 2 or pair[0][0] != OBJECT_IDENTIFIER:
                raise _bad_name(der)
            if dotted(pair[0][1]) == _COMMON_NAME:
                common_names.append(pair[1][1].decode("utf-8", "backslashreplace"))
    if len(common_names) > 1:
        raise MalformedError("x509.name", "a name has more than one common name", got=len(common_names))
    return Name(der, common_names[0] if common_names else "")


def _bad_name(der: bytes) -> MalformedError:
    return MalformedError("x509.der", "a name is no list of attributes with their values", got=der[:32].hex())


def _validity(validity: Element) -> Validity:
    times = read_all(validity.content)
    if len(times) != 2:
        raise MalformedError("x509.der", "a validity is not two times", got=len(times))
    return Validity(not_before=times[0].time(), not_after=times[1].time())


def _require_size(der: bytes, limit: int, what: str) -> None:
    if len(der) > limit:
        raise MalformedError(
            "x509.too-long", f"a {what} is longer than any that we read", got=len(der), expected=limit
        )
