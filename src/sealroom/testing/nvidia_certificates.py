"""NVIDIA's certificates as they are written: of devices, and of who signs reference values.

Whose facts: real certificates, with which ``tests/unit/testing`` compares these byte by byte. A key identifier is
SHA-1 over the point; the serial number of a leaf is its key identifier with the first two bits set to 01.
"""

import hashlib
from datetime import UTC, datetime

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.evidence import Validity
from sealroom.testing import der
from sealroom.testing.nvidia_families import Branch, Family
from sealroom.testing.pki import CertificateForm, NameForm, PublicKey

__all__ = [
    "CA_NAME",
    "RIM_ROOT_NAME",
    "RIM_SIGNER_NAME",
    "ROOT_NAME",
    "brom_form",
    "brom_name",
    "identity_form",
    "key_identifier",
    "leaf_form",
    "provisioner_form",
    "responder_form",
    "rim_branch_form",
    "rim_issuer_form",
    "rim_root_form",
    "rim_signer_form",
    "root_form",
]

_COMMON_NAME, _SERIAL, _COUNTRY, _PLACE, _STATE, _ORGANIZATION = (f"2.5.4.{arc}" for arc in (3, 5, 6, 7, 8, 10))
_SUBJECT_KEY, _USAGE, _ALTERNATIVE, _CONSTRAINTS = "2.5.29.14", "2.5.29.15", "2.5.29.17", "2.5.29.19"
_LISTS, _AUTHORITY_KEY, _EXTENDED_USAGE = "2.5.29.31", "2.5.29.35", "2.5.29.37"
_AUTHORITY_ACCESS, _OCSP = "1.3.6.1.5.5.7.1.1", "1.3.6.1.5.5.7.48.1"
_OCSP_SIGNING, _OCSP_NO_CHECK = "1.3.6.1.5.5.7.3.9", "1.3.6.1.5.5.7.48.1.5"
_DEVICE_ID, _TCB_INFO = "2.23.133.5.4.1", "2.23.133.5.4.1.1"
_DMTF_DEVICE = "1.3.6.1.4.1.412.274.1"
_SHA384 = "2.16.840.1.101.3.4.2.2"
_UTF8, _PRINTABLE = 0x0C, 0x13
_OCSP_ADDRESS = b"http://ocsp.ndis.nvidia.com"
_ROOT_LIST = "http://crl.ndis.nvidia.com/crl/l1-root.crl"
_RIM_LIST = "http://crl.ndis.nvidia.com/crl-corim/l1-corim"

_END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_RIM_WINDOW = Validity(not_before=datetime(2025, 3, 1, tzinfo=UTC), not_after=datetime(2049, 3, 1, tzinfo=UTC))
_SIGNER_WINDOW = Validity(not_before=datetime(2026, 1, 7, tzinfo=UTC), not_after=datetime(2049, 1, 7, tzinfo=UTC))

ROOT_NAME: NameForm = ((_COMMON_NAME, _UTF8, None), (_ORGANIZATION, _UTF8, "NVIDIA"))
_BRANCH_NAME: NameForm = ((_COMMON_NAME, _UTF8, None), (_ORGANIZATION, _UTF8, "NVIDIA Corporation"))
CA_NAME: NameForm = (*_BRANCH_NAME, (_COUNTRY, _PRINTABLE, "US"))
RIM_ROOT_NAME: NameForm = (
    (_COUNTRY, _PRINTABLE, "US"), (_ORGANIZATION, _UTF8, "NVIDIA"), (_COMMON_NAME, _UTF8, None),
)  # fmt: skip
RIM_SIGNER_NAME: NameForm = (
    (_COUNTRY, _PRINTABLE, "US"), (_STATE, _UTF8, "CA"), (_PLACE, _UTF8, "Santa Clara"),
    (_ORGANIZATION, _UTF8, "NVIDIA Corporation"), (_COMMON_NAME, _UTF8, None),
)  # fmt: skip

Extension = tuple[str, bool, bytes]


def root_form(key: PublicKey) -> CertificateForm:
    """The root of all devices."""
    since = datetime(2021, 11, 5, tzinfo=UTC)
    extensions = (_ca(), _usage(5, 6), _subject_key(key), _authority_key(key))
    return _form("NVIDIA Device Identity CA", ROOT_NAME, key, since, extensions)


def identity_form(branch: Branch, key: PublicKey, *, issuer: PublicKey) -> CertificateForm:
    """The identity CA of a family."""
    extensions = (_ca(), _usage(5, 6), _list(_ROOT_LIST), _access(), _subject_key(key), _authority_key(issuer))
    return _form(f"NVIDIA {branch.name} Identity", _BRANCH_NAME, key, branch.since, extensions)


def provisioner_form(family: Family, key: PublicKey, *, issuer: PublicKey) -> CertificateForm:
    """Who certifies devices in the factory."""
    extensions = (_ca(), _usage(5, 6), _list(family.branch.list_address), _access(), _subject_key(key),
                  _authority_key(issuer))  # fmt: skip
    return _form(family.provisioner, CA_NAME, key, family.provisioner_since, extensions)


def brom_name(family: Family, serial: bytes) -> tuple[str, NameForm]:
    """Common name and name of a device's boot ROM; ``serial``: 9 bytes, the identifier behind the first of them."""
    return f"{family.chip} A01 {family.engine} BROM", _device_name(serial)


def brom_form(family: Family, serial: bytes, key: PublicKey, *, issuer: PublicKey) -> CertificateForm:
    """A device's boot ROM, which certifies the key of the firmware that it starts."""
    subject, name = brom_name(family, serial)
    access = (_access(),) if family.has_tcb_info else ()
    extensions = (_ca(), _usage(5), *access, _subject_key(key), _authority_key(issuer))
    return _form(subject, name, key, family.since, extensions, serial=int.from_bytes(serial, "big"))


def leaf_form(
    family: Family,
    key: PublicKey,
    *,
    issuer: PublicKey,
    fwid: bytes,
    device: bytes,
    layer_key: PublicKey | None = None,
) -> CertificateForm:
    """The key that signs reports.

    Args:
        family: of the device.
        key: its key.
        issuer: the boot ROM's key.
        fwid: 48 bytes, the digest of the firmware.
        device: 8 bytes, by which the SubjectAltName calls the device.
        layer_key: the key that the older DICE extension names beside the digest; None: ``issuer``.
    """
    identifier = key_identifier(key)
    serial = bytes((identifier[0] & 0x3F | 0x40,)) + identifier[1:]
    dice = _tcb_info(family, fwid) if family.has_tcb_info else _device_identity(layer_key or issuer, fwid)
    extensions = (_usage(0), _subject_key(key), _authority_key(issuer), _device_address(family, device), dice)
    return _form(f"{family.chip} A01 {family.engine} FMC LF", _device_name(serial), key, family.since, extensions,
                 serial=int.from_bytes(serial, "big"))  # fmt: skip


def responder_form(key: PublicKey, *, issuer: PublicKey, window: Validity) -> CertificateForm:
    """Who answers for a CA whether its certificates still hold (RFC 6960 section 4.2.2.2)."""
    extensions = (
        (_EXTENDED_USAGE, False, der.sequence(der.oid(_OCSP_SIGNING))), (_OCSP_NO_CHECK, False, b"\x05\x00"),
        _usage(0), _subject_key(key), _authority_key(issuer),
    )  # fmt: skip
    return CertificateForm(subject="NVIDIA OCSP Responder", public_key=key, serial=_serial(key), validity=window,
                           name=CA_NAME, extensions=extensions)  # fmt: skip


def rim_root_form(key: PublicKey) -> CertificateForm:
    """The root of reference values."""
    extensions = (_subject_key(key), _authority_key(key), _ca(), _usage(5, 6))
    window = Validity(not_before=datetime(2023, 3, 16, 15, 37, 34, tzinfo=UTC),
                      not_after=datetime(2053, 3, 8, 15, 37, 34, tzinfo=UTC))  # fmt: skip
    return CertificateForm(subject="NVIDIA CoRIM signing Root CA", public_key=key, serial=_serial(key),
                           validity=window, name=RIM_ROOT_NAME, extensions=extensions)  # fmt: skip


def rim_branch_form(product: str, key: PublicKey, *, issuer: PublicKey) -> CertificateForm:
    """The CA of the reference values of a product."""
    extensions = (_ca(), _usage(5, 6), _list(_RIM_LIST), _access(), _subject_key(key), _authority_key(issuer))
    return CertificateForm(subject=f"NVIDIA Reference Value {product} CA", public_key=key, serial=_serial(key),
                           validity=_RIM_WINDOW, name=CA_NAME, extensions=extensions, generalized_times=True,
                           )  # fmt: skip


def rim_issuer_form(product: str, key: PublicKey, *, issuer: PublicKey) -> CertificateForm:
    """Who certifies the signers of a product's reference values."""
    extensions = (_ca(path_length=0), _usage(5, 6), _access(), _subject_key(key), _authority_key(issuer))
    return CertificateForm(subject=f"NVIDIA Reference Value L3 {product} 001", public_key=key, serial=_serial(key),
                           validity=_RIM_WINDOW, name=CA_NAME, extensions=extensions, generalized_times=True,
                           )  # fmt: skip


def rim_signer_form(key: PublicKey, *, issuer: PublicKey, subject: str = "HCC RIM L4 Signer") -> CertificateForm:
    """Who signs reference values. Real ones live for two years; this one outlives whoever runs a demonstration."""
    extensions = (_subject_key(key), _authority_key(issuer), (_CONSTRAINTS, True, der.sequence()), _usage(0),
                  _access())  # fmt: skip
    return CertificateForm(subject=subject, public_key=key, serial=_serial(key), validity=_SIGNER_WINDOW,
                           name=RIM_SIGNER_NAME, extensions=extensions)  # fmt: skip


def key_identifier(key: PublicKey) -> bytes:
    """20 bytes: SHA-1 over the uncompressed point."""
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return hashlib.sha1(point, usedforsecurity=False).digest()


def _form(
    subject: str, name: NameForm, key: PublicKey, since: datetime, extensions: tuple[Extension, ...], *,
    serial: int | None = None,
) -> CertificateForm:  # fmt: skip
    return CertificateForm(
        subject=subject, public_key=key, serial=_serial(key) if serial is None else serial, name=name,
        validity=Validity(not_before=since, not_after=_END), extensions=extensions,
    )  # fmt: skip


def _serial(key: PublicKey) -> int:
    """Sixteen bytes, positive; real ones are drawn."""
    return int.from_bytes(b"\x5e" + key_identifier(key)[:15], "big")


def _device_name(serial: bytes) -> NameForm:
    return (
        (_SERIAL, _PRINTABLE, serial.hex().upper()), (_COUNTRY, _PRINTABLE, "US"),
        (_ORGANIZATION, _UTF8, "NVIDIA Corporation"), (_COMMON_NAME, _UTF8, None),
    )  # fmt: skip


def _device_address(family: Family, device: bytes) -> Extension:
    text = der.utf8(f"NVIDIA:{family.chip}:{device.hex().upper()}")
    other = der.oid(_DMTF_DEVICE) + der.element(0xA0, text)
    return _ALTERNATIVE, False, der.sequence(der.element(0xA0, other))


def _device_identity(layer_key: PublicKey, fwid: bytes) -> Extension:
    spki = layer_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return _DEVICE_ID, False, der.sequence(der.integer(1), spki, _fwid(fwid))


def _tcb_info(family: Family, fwid: bytes) -> Extension:
    members = (
        der.element(0x80, b"NVIDIA"), der.element(0x81, f"{family.chip} A01 {family.engine}".encode()),
        der.element(0x82, b"01"), der.element(0x83, b"\x01"), der.element(0x84, b"\x00"), der.element(0x85, b"\x00"),
        der.element(0xA6, _fwid(fwid) + _fwid(bytes(48))), der.element(0x87, bytes.fromhex("0080000001")),
        der.element(0x88, b"\xc0"), der.element(0x89, b"\x00"),
    )  # fmt: skip
    return _TCB_INFO, False, der.sequence(*members)


def _fwid(digest: bytes) -> bytes:
    return der.sequence(der.oid(_SHA384), der.octet_string(digest))


def _ca(path_length: int | None = None) -> Extension:
    limit = [] if path_length is None else [der.integer(path_length)]
    return _CONSTRAINTS, True, der.sequence(der.boolean(True), *limit)


def _usage(*bits: int) -> Extension:
    return _USAGE, True, der.named_bits(*bits)


def _list(address: str) -> Extension:
    name = der.element(0xA0, der.element(0xA0, der.element(0x86, address.encode())))
    return _LISTS, False, der.sequence(der.sequence(name))


def _access() -> Extension:
    method = der.sequence(der.oid(_OCSP), der.element(0x86, _OCSP_ADDRESS))
    return _AUTHORITY_ACCESS, False, der.sequence(method)


def _subject_key(key: PublicKey) -> Extension:
    return _SUBJECT_KEY, False, der.octet_string(key_identifier(key))


def _authority_key(issuer: PublicKey) -> Extension:
    return _AUTHORITY_KEY, False, der.sequence(der.element(0x80, key_identifier(issuer)))
