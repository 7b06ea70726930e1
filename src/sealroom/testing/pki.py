"""Mints certificates and revocation lists, right or wrong in any field, under keys of one's own.

Written on a DER writer of our own and not on a library's builder, because silicon's certificates have what builders
refuse (serial number 0, raw bytes in an extension) and because tests need what no builder offers.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.evidence import Validity
from sealroom.testing import der

__all__ = ["AMD_NAME", "INTEL_NAME", "Authority", "CertificateForm", "CrlForm", "PublicKey", "authority",
           "mint_certificate", "mint_crl"]  # fmt: skip

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

_LONG = Validity(not_before=datetime(2025, 1, 1, tzinfo=UTC), not_after=datetime(2049, 12, 31, tzinfo=UTC))

_CN = "2.5.4.3"
NameForm = tuple[tuple[str, int, str | None], ...]

AMD_NAME: NameForm = (
    ("2.5.4.11", 0x0C, "Engineering"),
    ("2.5.4.6", 0x13, "US"),
    ("2.5.4.7", 0x0C, "Santa Clara"),
    ("2.5.4.8", 0x0C, "CA"),
    ("2.5.4.10", 0x0C, "Advanced Micro Devices"),
    (_CN, 0x0C, None),
)
"""The names of AMD's certificates: attribute, string tag, value; None stands for the common name."""
INTEL_NAME: NameForm = (
    (_CN, 0x0C, None),
    ("2.5.4.10", 0x0C, "Intel Corporation"),
    ("2.5.4.7", 0x0C, "Santa Clara"),
    ("2.5.4.8", 0x0C, "CA"),
    ("2.5.4.6", 0x13, "US"),
)
"""The names of Intel's."""

_SHA384 = der.sequence(der.oid("2.16.840.1.101.3.4.2.2"), b"\x05\x00")
_PSS_SHA384 = der.sequence(
    der.oid("1.2.840.113549.1.1.10"),
    der.sequence(
        der.element(0xA0, _SHA384),
        der.element(0xA1, der.sequence(der.oid("1.2.840.113549.1.1.8"), _SHA384)),
        der.element(0xA2, der.integer(48)),
        der.element(0xA3, der.integer(1)),
    ),
)
_ECDSA_SHA256 = der.sequence(der.oid("1.2.840.10045.4.3.2"))
_ECDSA_SHA384 = der.sequence(der.oid("1.2.840.10045.4.3.3"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A key that issues certificates, and its own certificate."""

    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = field(repr=False)
    common_name: str
    certificate: bytes = field(repr=False)
    """DER."""
    name: NameForm = AMD_NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateForm:
    """What goes into a certificate. Change one field with `dataclasses.replace` to have one fault."""

    subject: str
    """Common name."""
    public_key: PublicKey
    serial: int = 0
    validity: Validity = _LONG
    extensions: tuple[tuple[str, bool, bytes], ...] = ()
    """Dotted identifier, critical, content of the OCTET STRING."""
    version: int = 3
    name: NameForm = AMD_NAME
    generalized_times: bool = False
    """Write every time in the long form, as some issuers do against RFC 5280."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlForm:
    """What goes into a revocation list."""

    revoked: Iterable[int] = ()
    entry_extensions: tuple[tuple[str, bool, bytes], ...] = ()
    """Of each entry, such as a reason."""
    validity: Validity = _LONG
    extensions: tuple[tuple[str, bool, bytes], ...] = ()


def authority(
    common_name: str,
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    *,
    serial: int,
    issuer: Authority | None = None,
    signs_crls: bool = False,
    path_length: int | None = None,
    validity: Validity = _LONG,
    name: NameForm = AMD_NAME,
) -> Authority:
    """A certificate authority, self-signed unless ``issuer`` is given."""
    constraints = der.sequence(der.boolean(True), *([] if path_length is None else [der.integer(path_length)]))
    usage = der.named_bits(5, 6) if signs_crls else der.named_bits(5)
    form = CertificateForm(
        subject=common_name, public_key=key.public_key(), serial=serial, validity=validity, name=name,
        extensions=(("2.5.29.19", True, constraints), ("2.5.29.15", True, usage)),
    )  # fmt: skip
    signer = issuer or Authority(key=key, common_name=common_name, certificate=b"", name=name)
    return Authority(key=key, common_name=common_name, certificate=mint_certificate(form, signer), name=name)


def mint_certificate(form: CertificateForm, issuer: Authority) -> bytes:
    """The certificate, DER, signed with the issuer's key."""
    algorithm = _algorithm(issuer.key)
    time = der.generalized_time if form.generalized_times else der.time
    body = der.sequence(
        *([der.element(0xA0, der.integer(form.version - 1))] if form.version > 1 else []),
        der.integer(form.serial),
        algorithm,
        _name(issuer.common_name, issuer.name),
        der.sequence(*(time(moment) for moment in (form.validity.not_before, form.validity.not_after))),
        _name(form.subject, form.name),
        form.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        *([der.element(0xA3, _extensions(form.extensions))] if form.extensions else []),
    )
    return der.sequence(body, algorithm, der.bit_string(_sign(issuer.key, body)))


def mint_crl(form: CrlForm, issuer: Authority) -> bytes:
    """The revocation list, DER, signed with the issuer's key."""
    algorithm = _algorithm(issuer.key)
    reasons = [_extensions(form.entry_extensions)] if form.entry_extensions else []
    entries = [
        der.sequence(der.integer(serial), der.time(form.validity.not_before), *reasons) for serial in form.revoked
    ]
    body = der.sequence(
        der.integer(1),
        algorithm,
        _name(issuer.common_name, issuer.name),
        der.time(form.validity.not_before),
        der.time(form.validity.not_after),
        *([der.sequence(*entries)] if entries else []),
        *([der.element(0xA0, _extensions(form.extensions))] if form.extensions else []),
    )
    return der.sequence(body, algorithm, der.bit_string(_sign(issuer.key, body)))


def _name(common_name: str, attributes: NameForm) -> bytes:
    return der.sequence(
        *(
            der.element(0x31, der.sequence(der.oid(attribute), der.element(tag, (text or common_name).encode())))
            for attribute, tag, text in attributes
        )
    )


def _extensions(extensions: tuple[tuple[str, bool, bytes], ...]) -> bytes:
    return der.sequence(
        *(
            der.sequence(der.oid(oid), *([der.boolean(True)] if critical else []), der.octet_string(value))
            for oid, critical, value in extensions
        )
    )


def _algorithm(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return _PSS_SHA384
    return _ECDSA_SHA256 if isinstance(key.curve, ec.SECP256R1) else _ECDSA_SHA384


def _sign(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, body: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA384()), salt_length=48)
        return key.sign(body, pss, hashes.SHA384())
    return key.sign(body, ec.ECDSA(hashes.SHA256() if isinstance(key.curve, ec.SECP256R1) else hashes.SHA384()))
