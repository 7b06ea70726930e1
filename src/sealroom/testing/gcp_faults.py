"""One fault each in attestations of Google's VMs: their message, the key that signs, and that key's certificate.

Whatever else is in it holds, so that one check alone can refuse it; the code is the one that this check gives.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sealroom.pem import as_pem
from sealroom.tees.gcp.protobuf import number_field, octets_field
from sealroom.testing import der
from sealroom.testing.gcp import GcpVendor
from sealroom.testing.gcp_cases import NONCE, GcpBench, GcpCase
from sealroom.testing.gcp_certificates import InstanceForm, ak_form
from sealroom.testing.gcp_quote_faults import quote_faults
from sealroom.testing.pki import Authority, CertificateForm, authority, mint_certificate
from sealroom.testing.tpm import AK_ATTRIBUTES, SoftTpm, sized

__all__ = ["faults"]

_ATTESTATION, _PROTOBUF = "gcp.attestation", "gcp.protobuf"
_BITS = {"may leave its TPM": 1, "may leave its parent": 4, "was not made in it": 5, "signs anything": 16,
         "does not sign": 18}  # fmt: skip
_CONSTRAINTS, _KEY_USAGE = "2.5.29.19", "2.5.29.15"
_SERVER = "1.3.6.1.5.5.7.3.1"


def faults(bench: GcpBench) -> Iterator[GcpCase]:
    """Every fault."""
    for make in (message_faults, key_faults, certificate_faults, chain_faults, quote_faults):
        yield from make(bench)


def message_faults(bench: GcpBench) -> Iterator[GcpCase]:
    """Of the message, whatever it says."""
    raw = bench.form().encode()
    yield bench.case("nothing", _ATTESTATION, raw=b"")
    yield bench.case("more than an attestation may be", _ATTESTATION, raw=bytes(4 * 1024 * 1024 + 1))
    yield bench.case("half of it", _PROTOBUF, raw=raw[: len(raw) // 2])
    for number in (10, 15, 1000):
        yield bench.case(f"field {number}, which nobody knows", _ATTESTATION, more=octets_field(number, b""))
    changes: Mapping[str, bytes] = {
        "a second key": octets_field(1, bench.guest.tpm.public_area()),
        "a second event log": octets_field(3, b"") * 2,
        "a second certificate": octets_field(6, bench.guest.certificate),
        "a number where the log should be": number_field(3, 1),
        "a field of eight bytes": b"\x29" + bytes(8),
        "a field without a number": b"\x02\x00",
        "a length beyond the end": b"\x2a\x7f",
        "a number that does not end": b"\x2a" + b"\xff" * 10,
        "a number that ends early": b"\x2a\xff",
    }
    for name, more in changes.items():
        yield bench.case(name, _PROTOBUF, more=more)


def key_faults(bench: GcpBench) -> Iterator[GcpCase]:
    """Of the key that signs."""
    tpm = bench.guest.tpm
    yield bench.case("no certificate", "gcp.no-ak-certificate", certificate=b"")
    yield bench.case("another VM's certificate", "gcp.ak", certificate=bench.other.certificate)
    yield bench.case("another VM's key", "gcp.ak", public=bench.other.tpm.public_area())
    for name, bit in _BITS.items():
        weak = replace(tpm, attributes=AK_ATTRIBUTES & ~(1 << bit))
        yield bench.case(f"a key that {name}", "tpm.key-attributes", form=bench.of(weak))
    area = tpm.public_area()
    yield bench.case("a key in a sized buffer", "tpm.public", public=sized(area))
    yield bench.case("no key", "tpm.truncated", public=b"")
    yield bench.case("a byte behind the key", "tpm.trailing", public=area + b"\0")
    yield bench.case("a key that is for storage", "tpm.public", public=area[:10] + b"\0\x06" + area[12:])
    yield bench.case("a key that is neither RSA nor on a curve", "tpm.public", public=b"\0\x08" + area[2:])


def certificate_faults(bench: GcpBench) -> Iterator[GcpCase]:
    """Of the key's certificate."""
    key, form = bench.guest.tpm.key.public_key(), bench.guest.machine.form()
    instance = bench.guest.machine.instance
    yield bench.certified("a server's certificate", "gcp.ak-usage", ak_form(key, instance, usages=(_SERVER,)))
    both = ("2.23.133.8.3", _SERVER)
    yield bench.certified("a server's besides", "gcp.ak-usage", ak_form(key, instance, usages=both))
    yield bench.certified("a key that is for encryption", "x509.not-an-end-entity",
                          _with(form, (_KEY_USAGE, True, der.named_bits(2))))  # fmt: skip
    yield bench.certified("a CA as the key", "x509.not-an-end-entity",
                          _with(form, (_CONSTRAINTS, True, der.sequence(der.boolean(True)))))  # fmt: skip
    strange = replace(form, extensions=(*form.extensions, ("1.2.3.4", True, b"")))
    yield bench.certified("something critical that nobody understands", "x509.critical-extension", strange)
    for name, odd in {"project": InstanceForm(project_number=-1), "VM": InstanceForm(instance_id=-1)}.items():
        yield bench.certified(f"a {name} with a number below zero", "gcp.instance", ak_form(key, odd))
    yield bench.certified("something behind the instance", "x509.der", ak_form(key, InstanceForm(more=b"\5\0")))
    broken = ("1.3.6.1.4.1.11129.2.1.21", False, b"no sequence")
    yield bench.certified("an instance that is none", "x509.der",
                          replace(form, extensions=(*form.extensions[:-1], broken)))  # fmt: skip
    raw = bench.guest.certificate
    yield bench.case("a certificate that is none", "x509.der", certificate=b"\x30\x01")
    yield bench.case("a certificate that was changed", "x509.signature", certificate=raw[:-1] + bytes((raw[-1] ^ 1,)))
    yield bench.case("a byte behind the certificate", "x509.der", certificate=raw + b"\0")
    yield bench.case("before its time", "x509.not-yet-valid", at=datetime(2025, 8, 1, tzinfo=UTC))
    yield bench.case("after its time", "x509.expired", at=datetime(2049, 9, 1, tzinfo=UTC))


def chain_faults(bench: GcpBench) -> Iterator[GcpCase]:
    """Of who issued it."""
    vendor, form = bench.guest.machine.vendor, bench.guest.machine.form()
    stranger = GcpVendor.create()
    yield bench.case("no issuers", "collateral.missing", items={"ak_issuers": None})
    yield _issued(bench, "by a stranger of the same names", "x509.untrusted-root", form, stranger.ca, stranger.root)
    yield _issued(bench, "by a stranger's CA under the right root", "x509.signature", form, stranger.ca, vendor.root)
    yield _issued(bench, "by the root, with the CA between", "x509.issuer-name", form, vendor.root, vendor.root,
                  above=(vendor.ca.certificate, vendor.root.certificate))  # fmt: skip
    no_ca = replace(vendor.ca, certificate=mint_certificate(_no_ca(vendor.ca), vendor.root))
    yield _issued(bench, "by what is no CA", "x509.not-a-ca", form, no_ca, vendor.root)
    lower = authority("Lower", stranger.ca.key, serial=9, issuer=vendor.ca, name=vendor.ca.name)
    yield _issued(bench, "by one CA too many", "x509.path-length", form, lower, vendor.root,
                  above=(lower.certificate, vendor.ca.certificate, vendor.root.certificate))  # fmt: skip
    yield bench.case("issuers without the root", "x509.untrusted-root",
                     items={"ak_issuers": as_pem(vendor.ca.certificate)})  # fmt: skip
    yield bench.case("issuers the other way round", "x509.untrusted-root",
                     items={"ak_issuers": as_pem(vendor.root.certificate, vendor.ca.certificate)})  # fmt: skip
    yield bench.case("a stranger's issuers in it", "x509.untrusted-root", items={"ak_issuers": None},
                     intermediates=(vendor.ca.certificate, stranger.root.certificate))  # fmt: skip
    yield bench.case("an issuer in it that is none", "x509.der", items={"ak_issuers": None}, intermediates=(b"no",))
    elsewhere = SoftTpm.create("ecdsa")
    yield bench.case("a key that nobody certified", "gcp.ak",
                     form=replace(bench.of(elsewhere, NONCE), certificate=bench.guest.certificate))  # fmt: skip


def _issued(
    bench: GcpBench, name: str, code: str, form: CertificateForm, by: Authority, root: Authority, **options: Any
) -> GcpCase:
    above = options.get("above", (by.certificate, root.certificate))
    return bench.case(f"a certificate {name}", code, certificate=mint_certificate(form, by),
                      items={"ak_issuers": as_pem(*above)})  # fmt: skip


def _no_ca(ca: Authority) -> CertificateForm:
    return CertificateForm(subject=ca.common_name, public_key=ca.key.public_key(), serial=7, name=ca.name)


def _with(form: CertificateForm, extension: tuple[str, bool, bytes]) -> CertificateForm:
    return replace(form, extensions=tuple(extension if one[0] == extension[0] else one for one in form.extensions))
