"""The certificates above a Nitro attestation document, as AWS writes them: root, region, zone, instance, enclave.

Whose facts: real certificates, with which ``tests/unit/testing`` compares these byte by byte. Each lives shorter than
the one above it: thirty years, twenty days, six days, one day, three hours. Path lengths are 2, 1 and 0.
"""

import hashlib
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.evidence import Validity
from sealroom.testing import der
from sealroom.testing.pki import CertificateForm, NameForm

__all__ = ["ROOT_NAME", "enclave_form", "instance_form", "region_form", "root_form", "zone_form"]

_COMMON_NAME, _COUNTRY, _PLACE, _STATE, _ORGANIZATION, _UNIT = (f"2.5.4.{arc}" for arc in (3, 6, 7, 8, 10, 11))
_SUBJECT_KEY, _USAGE, _CONSTRAINTS, _LISTS, _AUTHORITY_KEY = (f"2.5.29.{arc}" for arc in (14, 15, 19, 31, 35))
_UTF8, _PRINTABLE = 0x0C, 0x13
_AMAZON = ((_ORGANIZATION, _UTF8, "Amazon"), (_UNIT, _UTF8, "AWS"))
_US = (_COUNTRY, _PRINTABLE, "US")

ROOT_NAME: NameForm = (_US, *_AMAZON, (_COMMON_NAME, _UTF8, None))
_ZONE_NAME: NameForm = (
    (_COMMON_NAME, _UTF8, None), *reversed(_AMAZON), _US, (_STATE, _UTF8, "WA"), (_PLACE, _UTF8, "Seattle"),
)  # fmt: skip
_INSTANCE_NAME: NameForm = (
    _US, (_STATE, _UTF8, "Washington"), (_PLACE, _UTF8, "Seattle"), *_AMAZON, (_COMMON_NAME, _UTF8, None),
)  # fmt: skip
_SINCE = datetime(2019, 10, 28, 13, 28, 5, tzinfo=UTC)
_UNTIL = datetime(2049, 10, 28, 14, 28, 5, tzinfo=UTC)
_SERVICE = "aws.nitro-enclaves"

Extension = tuple[str, bool, bytes]


def root_form(key: ec.EllipticCurvePublicKey) -> CertificateForm:
    """The root of every region but those of China and the isolated ones."""
    extensions = (_ca(), _subject_key(key), _usage(0, 5, 6))
    return CertificateForm(subject=_SERVICE, public_key=key, serial=_serial(key), name=ROOT_NAME,
                           validity=Validity(not_before=_SINCE, not_after=_UNTIL), extensions=extensions)  # fmt: skip


def region_form(
    key: ec.EllipticCurvePublicKey, *, issuer: ec.EllipticCurvePublicKey, region: str, name: str, at: datetime,
    crl: str,
) -> CertificateForm:  # fmt: skip
    """Of a region; ``name`` is sixteen hexadecimal digits, ``crl`` the name of a file."""
    address = f"http://aws-nitro-enclaves-crl.s3.amazonaws.com/crl/{crl}.crl"
    return CertificateForm(
        subject=f"{name}.{region}.{_SERVICE}", public_key=key, serial=_serial(key), name=ROOT_NAME,
        validity=_window(at, days=20),
        extensions=(_ca(2), _authority_key(issuer), _subject_key(key), _usage(0, 5, 6), _list(address)),
    )  # fmt: skip


def zone_form(
    key: ec.EllipticCurvePublicKey, *, issuer: ec.EllipticCurvePublicKey, region: str, name: str, at: datetime,
    crl: str,
) -> CertificateForm:  # fmt: skip
    """Of an availability zone."""
    address = f"http://crl-{region}-aws-nitro-enclaves.s3.{region}.amazonaws.com/crl/{crl}.crl"
    return CertificateForm(
        subject=f"{name}.zonal.{region}.{_SERVICE}", public_key=key, serial=_serial(key), name=_ZONE_NAME,
        validity=_window(at, days=6),
        extensions=(_ca(1), _authority_key(issuer), _subject_key(key), _usage(0, 5, 6), _list(address)),
    )  # fmt: skip


def instance_form(key: ec.EllipticCurvePublicKey, *, region: str, instance: str, at: datetime) -> CertificateForm:
    """Of an instance: ``i-`` and seventeen hexadecimal digits."""
    return CertificateForm(
        subject=f"{instance}.{region}.{_SERVICE}", public_key=key, serial=_serial(key), name=_INSTANCE_NAME,
        validity=_window(at, days=1), extensions=(_ca(0), _usage(5)),
    )  # fmt: skip


def enclave_form(key: ec.EllipticCurvePublicKey, *, region: str, module_id: str, at: datetime) -> CertificateForm:
    """Of a security module: its key signs documents and nothing else. The serial number ends in the time."""
    number = module_id.rpartition("-")[2].removeprefix("enc").removeprefix("tpm")
    serial = int(number, 16) << 64 | int(at.timestamp())
    window = Validity(not_before=at - timedelta(seconds=3), not_after=at + timedelta(hours=3))
    return CertificateForm(
        subject=f"{module_id}.{region}.aws", public_key=key, serial=serial, name=_INSTANCE_NAME, validity=window,
        extensions=((_CONSTRAINTS, True, der.sequence()), (_USAGE, False, der.named_bits(0, 1))),
    )  # fmt: skip


def _window(at: datetime, *, days: int) -> Validity:
    """Some of it has passed, as it would have."""
    passed = timedelta(days=days) / 4
    return Validity(not_before=at - passed, not_after=at - passed + timedelta(days=days))


def _serial(key: ec.EllipticCurvePublicKey) -> int:
    """Sixteen bytes, positive; real ones are drawn."""
    return int.from_bytes(b"\x4e" + _identifier(key)[:15], "big")


def _identifier(key: ec.EllipticCurvePublicKey) -> bytes:
    """20 bytes: SHA-1 over the uncompressed point."""
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return hashlib.sha1(point, usedforsecurity=False).digest()


def _ca(path_length: int | None = None) -> Extension:
    limit = [] if path_length is None else [der.integer(path_length)]
    return _CONSTRAINTS, True, der.sequence(der.boolean(True), *limit)


def _usage(*bits: int) -> Extension:
    return _USAGE, True, der.named_bits(*bits)


def _list(address: str) -> Extension:
    name = der.element(0xA0, der.element(0xA0, der.element(0x86, address.encode())))
    return _LISTS, False, der.sequence(der.sequence(name))


def _subject_key(key: ec.EllipticCurvePublicKey) -> Extension:
    return _SUBJECT_KEY, False, der.octet_string(_identifier(key))


def _authority_key(issuer: ec.EllipticCurvePublicKey) -> Extension:
    return _AUTHORITY_KEY, False, der.sequence(der.element(0x80, _identifier(issuer)))
