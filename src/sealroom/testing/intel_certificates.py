"""Intel's certificates as they are written: names, extensions in their order, identifiers, addresses of lists.

Whose facts: Intel PCK Certificate and CRL Profile, and what is found in real certificates (``tests/unit/testing``
compares the two member by member). Two habits are not those of a common CA: a key identifier is SHA-1 over the whole
SubjectPublicKeyInfo, and an authority's serial number is its key identifier.
"""

import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.evidence import Validity
from sealroom.testing import der
from sealroom.testing.pki import INTEL_NAME, CertificateForm, CrlForm, PublicKey

__all__ = ["Ca", "PckForm", "ca_form", "crl_form", "key_identifier", "pck_certificate", "root_form", "signer_form"]

_SGX = "1.2.840.113741.1.13.1"
_SUBJECT_KEY, _USAGE, _CONSTRAINTS, _CRL_NUMBER = "2.5.29.14", "2.5.29.15", "2.5.29.19", "2.5.29.20"
_REASON, _LISTS, _AUTHORITY_KEY = "2.5.29.21", "2.5.29.31", "2.5.29.35"
_ROOT_LIST = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
_PCK_LIST = "https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca={}&encoding=der"
_END = datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)
_ROOT_WINDOW = Validity(not_before=datetime(2018, 5, 21, 10, 45, 10, tzinfo=UTC), not_after=_END)
_CA_WINDOW = Validity(not_before=datetime(2018, 5, 21, 10, 50, 10, tzinfo=UTC), not_after=_END)
_LEAF_WINDOW = Validity(not_before=datetime(2025, 2, 6, 23, 25, 51, tzinfo=UTC), not_after=_END)

Extension = tuple[str, bool, bytes]


class Ca(StrEnum):
    """Who issues PCK certificates: one CA for platforms of one package, one for those of several."""

    PROCESSOR = "processor"
    PLATFORM = "platform"

    @property
    def common_name(self) -> str:
        """In its certificate."""
        return f"Intel SGX PCK {self.value.capitalize()} CA"


@dataclass(frozen=True, kw_only=True)
class PckForm:
    """What a PCK certificate says of its platform."""

    ca: Ca = Ca.PLATFORM
    ppid: bytes = bytes(range(16))
    components: tuple[int, ...] = (4, 4, 2, 2, 4, 1, 0, 5, 255, 0, 0, 0, 0, 0, 0, 0)
    pcesvn: int = 13
    cpusvn: bytes | None = None
    """16 bytes; None: the components."""
    pce_id: bytes = bytes(2)
    fmspc: bytes = bytes.fromhex("90c06f000000")
    sgx_type: int = 1
    platform_instance_id: bytes = bytes(range(0x10, 0x20))
    configuration: tuple[bool, ...] = (True, True, True)
    """Dynamic platform, cached keys, SMT; of the platform CA alone, as is the instance id."""

    def extension(self) -> bytes:
        """The content of 1.2.840.113741.1.13.1, as this CA writes it."""
        members = [
            _member("1", der.octet_string(self.ppid)),
            _member("2", self._tcb()),
            _member("3", der.octet_string(self.pce_id)),
            _member("4", der.octet_string(self.fmspc)),
            _member("5", der.enumerated(self.sgx_type)),
        ]
        if self.ca is Ca.PLATFORM:
            flags = (_member(f"7.{number}", der.boolean(flag)) for number, flag in enumerate(self.configuration, 1))
            members += [_member("6", der.octet_string(self.platform_instance_id)), _member("7", der.sequence(*flags))]
        return der.sequence(*members)

    def _tcb(self) -> bytes:
        svns = (_member(f"2.{number}", der.integer(svn)) for number, svn in enumerate(self.components, start=1))
        cpusvn = bytes(self.components) if self.cpusvn is None else self.cpusvn
        return der.sequence(*svns, _member("2.17", der.integer(self.pcesvn)),
                            _member("2.18", der.octet_string(cpusvn)))  # fmt: skip


def root_form(key: PublicKey) -> CertificateForm:
    """The root's own certificate."""
    extensions = _extensions(key, issuer=key, lists=_ROOT_LIST, usage=(5, 6), path_length=1)
    return _form("Intel SGX Root CA", key, _ROOT_WINDOW, extensions)


def ca_form(ca: Ca, key: PublicKey, *, issuer: PublicKey) -> CertificateForm:
    """One of the two CAs of PCK certificates."""
    extensions = _extensions(key, issuer=issuer, lists=_ROOT_LIST, usage=(5, 6), path_length=0)
    return _form(ca.common_name, key, _CA_WINDOW, extensions)


def signer_form(key: PublicKey, *, issuer: PublicKey) -> CertificateForm:
    """Who signs TCB info and QE identity."""
    extensions = _extensions(key, issuer=issuer, lists=_ROOT_LIST, usage=(0, 1), path_length=None)
    return _form("Intel SGX TCB Signing", key, _LEAF_WINDOW, extensions)


def pck_certificate(pck: PckForm, key: PublicKey, *, issuer: PublicKey) -> CertificateForm:
    """A platform's certificate; its serial number is drawn, 20 bytes, by no rule."""
    extensions = _extensions(key, issuer=issuer, lists=_PCK_LIST.format(pck.ca), usage=(0, 1), path_length=None)
    extensions = (*extensions, (_SGX, False, pck.extension()))
    return _form("Intel SGX PCK Certificate", key, _LEAF_WINDOW, extensions, serial=_drawn_serial())


def crl_form(issuer: PublicKey, *, revoked: tuple[int, ...], window: Validity) -> CrlForm:
    """A revocation list: number, the issuer's key, and for each entry the reason key compromise."""
    return CrlForm(
        revoked=revoked,
        validity=window,
        extensions=((_CRL_NUMBER, False, der.integer(1)), _authority_key(issuer)),
        entry_extensions=((_REASON, False, der.enumerated(1)),),
    )


def key_identifier(key: PublicKey) -> bytes:
    """20 bytes: SHA-1 over SubjectPublicKeyInfo, the algorithm included."""
    info = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha1(info, usedforsecurity=False).digest()


def _form(
    subject: str, key: PublicKey, window: Validity, extensions: tuple[Extension, ...], *, serial: int | None = None
) -> CertificateForm:
    serial = int.from_bytes(key_identifier(key), "big") if serial is None else serial
    return CertificateForm(subject=subject, public_key=key, serial=serial, validity=window, name=INTEL_NAME,
                           extensions=extensions)  # fmt: skip


def _extensions(
    key: PublicKey, *, issuer: PublicKey, lists: str, usage: tuple[int, ...], path_length: int | None
) -> tuple[Extension, ...]:
    constraints = [] if path_length is None else [der.boolean(True), der.integer(path_length)]
    address = der.element(0x86, lists.encode())
    point = der.sequence(der.element(0xA0, der.element(0xA0, address)))
    return (
        _authority_key(issuer),
        (_LISTS, False, der.sequence(point)),
        (_SUBJECT_KEY, False, der.octet_string(key_identifier(key))),
        (_USAGE, True, der.named_bits(*usage)),
        (_CONSTRAINTS, True, der.sequence(*constraints)),
    )


def _authority_key(issuer: PublicKey) -> Extension:
    return _AUTHORITY_KEY, False, der.sequence(der.element(0x80, key_identifier(issuer)))


def _drawn_serial() -> int:
    # the first byte is neither 0 nor negative: 20 bytes, as real ones mostly are
    return int.from_bytes(b"\x21" + os.urandom(19), "big")


def _member(number: str, value: bytes) -> bytes:
    return der.sequence(der.oid(f"{_SGX}.{number}"), value)
