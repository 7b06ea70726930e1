"""Our certificate reader against an independent one: of every certificate that both read, both say the same."""

from datetime import UTC

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.pem import is_pem, read_pem
from sealroom.tees.snp.layout import SigningKey
from sealroom.testing.pki import CrlForm
from sealroom.x509_reader import read_certificate, read_crl

pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")  # the reason for a reader of our own


def library(der):
    return x509.load_der_x509_certificate(der)


def recorded(shared_vectors):
    for folder in ("snp", "azure", "tdx", "sgx", "kbs"):
        for path in sorted((shared_vectors / folder).rglob("*")):
            if path.suffix in {".pem", ".der", ".crt"} and path.is_file():
                raw = path.read_bytes()
                if not is_pem(raw):
                    yield path, raw
                elif raw.count(b"-----BEGIN CERTIFICATE-----") == raw.count(b"-----BEGIN "):
                    yield from ((path, block) for block in read_pem(raw, "CERTIFICATE"))


def assert_same(der):
    ours, theirs = read_certificate(der), library(der)
    assert ours.tbs == theirs.tbs_certificate_bytes
    assert ours.signature == theirs.signature
    assert ours.serial == theirs.serial_number
    assert ours.validity.not_before == theirs.not_valid_before_utc
    assert ours.validity.not_after == theirs.not_valid_after_utc
    assert ours.issuer.der == theirs.issuer.public_bytes()
    assert ours.subject.der == theirs.subject.public_bytes()
    assert ours.public_key == theirs.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert {oid: mine.critical for oid, mine in ours.extensions.items()} == {
        extension.oid.dotted_string: extension.critical for extension in theirs.extensions
    }
    for extension in theirs.extensions:
        # the others the library only writes anew, and real ones are not always in the form that it writes
        if isinstance(extension.value, x509.UnrecognizedExtension):
            assert ours.extensions[extension.oid.dotted_string].value == extension.value.value


def test_every_recorded_certificate_reads_the_same(shared_vectors):
    compared = 0
    for der in {der for _, der in recorded(shared_vectors)}:
        try:
            read_certificate(der)
        except UnverifiedError:
            continue  # signed in a way that we do not take; the next test says which that may be
        except MalformedError:
            with pytest.raises(ValueError):  # noqa: PT011 - the library has no better
                library(der).public_key()
        else:
            assert_same(der)
            compared += 1
    assert compared > 40


def test_the_only_recorded_certificates_that_we_do_not_take_are_signed_in_another_way(shared_vectors):
    taken = {"rsassaPss", "ecdsa-with-SHA256", "ecdsa-with-SHA384"}
    for path, der in recorded(shared_vectors):
        try:
            read_certificate(der)
        except UnverifiedError:
            assert library(der).signature_algorithm_oid._name not in taken, path
        except MalformedError:
            continue


@pytest.mark.parametrize("kind", SigningKey)
def test_what_we_mint_the_library_verifies(snp_platform, kind):
    vendor = snp_platform.vendor
    leaf = snp_platform.leaf if kind is SigningKey.VCEK else vendor.asvk.certificate
    issuers = [vendor.ask, vendor.ark] if kind is SigningKey.VCEK else [vendor.ark]
    chain = [leaf, *(issuer.certificate for issuer in issuers)]
    for der, issuer in zip(chain, [*chain[1:], chain[-1]], strict=True):
        assert_same(der)
        library(der).verify_directly_issued_by(library(issuer))


def test_revocation_lists_that_we_mint_the_library_reads_the_same(snp_platform):
    raw = snp_platform.vendor.crl(CrlForm(revoked=(7, 1 << 100)))
    ours, theirs = read_crl(raw), x509.load_der_x509_crl(raw)
    assert theirs.is_signature_valid(library(snp_platform.vendor.ark.certificate).public_key())
    assert ours.tbs == theirs.tbs_certlist_bytes
    assert ours.revoked == {entry.serial_number for entry in theirs}
    assert ours.validity.not_before == theirs.last_update_utc.astimezone(UTC)
    assert ours.validity.not_after == theirs.next_update_utc
