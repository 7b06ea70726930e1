"""A chain of certificates leads to a pinned root at a given time, or is refused for its own reason."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from sealroom import der, x509_chain
from sealroom.errors import MalformedError, MisuseError, UnverifiedError
from sealroom.evidence import Validity
from sealroom.pem import as_pem
from sealroom.testing import der as write
from sealroom.testing.pki import CertificateForm, CrlForm, authority, mint_certificate, mint_crl
from sealroom.testing.snp import flip_bit
from sealroom.x509_chain import verify_chain, verify_crl
from sealroom.x509_reader import read_certificate, read_certificates, read_crl
from sealroom.x509_scheme import SignatureScheme

AT = datetime(2026, 6, 1, tzinfo=UTC)
SCHEMES = frozenset({SignatureScheme.ECDSA_SHA384})
YEAR = Validity(not_before=datetime(2026, 1, 1, tzinfo=UTC), not_after=datetime(2027, 1, 1, tzinfo=UTC))


def new_key():
    return ec.generate_private_key(ec.SECP384R1())


ROOT_KEY, MIDDLE_KEY, LEAF_KEY = new_key(), new_key(), new_key()
ROOT = authority("Root", ROOT_KEY, serial=1, signs_crls=True)
MIDDLE = authority("Middle", MIDDLE_KEY, serial=2, issuer=ROOT, path_length=0)
FORM = CertificateForm(subject="Leaf", public_key=LEAF_KEY.public_key(), serial=3, validity=YEAR)
LEAF = mint_certificate(FORM, MIDDLE)
ISSUERS = as_pem(MIDDLE.certificate, ROOT.certificate)
ANCHORS = frozenset({read_certificate(ROOT.certificate).fingerprint})


def verify(leaf=LEAF, issuers=ISSUERS, *, anchors=ANCHORS, schemes=SCHEMES, at=AT):
    return verify_chain(leaf, issuers, anchors=anchors, schemes=schemes, at=at)


def refusal(**arguments):
    with pytest.raises((UnverifiedError, MalformedError)) as error:
        verify(**arguments)
    return error.value.code


def test_a_chain_to_a_pinned_root_holds_and_its_window_is_the_narrowest():
    chain = verify()
    assert [c.subject.common_name for c in chain.certificates] == ["Leaf", "Middle", "Root"]
    assert chain.validity == YEAR


def test_pem_and_der_leaves_read_alike_and_a_copy_of_the_leaf_among_the_issuers_is_passed_over():
    assert verify(leaf=as_pem(LEAF)) == verify()
    assert verify(issuers=as_pem(LEAF) + ISSUERS) == verify()


def test_a_root_of_the_same_name_under_another_key_is_no_anchor():
    other = authority("Root", new_key(), serial=1)
    middle = authority("Middle", MIDDLE_KEY, serial=2, issuer=other)
    issuers = as_pem(middle.certificate, other.certificate)
    assert refusal(issuers=issuers) == "x509.untrusted-root"


def test_no_anchors_means_nothing_passes():
    assert refusal(anchors=frozenset()) == "x509.untrusted-root"


def test_an_intermediate_is_no_anchor_though_it_is_genuine():
    assert refusal(issuers=as_pem(ROOT.certificate, MIDDLE.certificate)) == "x509.untrusted-root"
    assert refusal(issuers=as_pem(MIDDLE.certificate)) == "x509.untrusted-root"


def test_a_leaf_of_another_intermediate_of_the_same_name_is_refused():
    impostor = authority("Middle", new_key(), serial=2, issuer=ROOT)
    assert refusal(leaf=mint_certificate(FORM, impostor)) == "x509.signature"


def test_a_leaf_of_an_issuer_of_another_name_is_refused():
    other = authority("Elsewhere", MIDDLE_KEY, serial=2, issuer=ROOT)
    assert refusal(leaf=mint_certificate(FORM, other)) == "x509.issuer-name"


def test_a_leaf_can_not_act_as_an_issuer():
    first = authority("Middle", MIDDLE_KEY, serial=2, issuer=ROOT)
    not_a_ca = replace(first, key=LEAF_KEY, common_name="Leaf")
    below = mint_certificate(replace(FORM, subject="Below"), not_a_ca)
    issuers = as_pem(LEAF, first.certificate, ROOT.certificate)
    assert refusal(leaf=below, issuers=issuers) == "x509.not-a-ca"


def test_an_issuer_whose_key_usage_lacks_certificate_signing_is_refused():
    usage = ("2.5.29.15", True, write.named_bits(0))
    constraints = ("2.5.29.19", True, write.sequence(write.boolean(True)))
    form = CertificateForm(subject="Middle", public_key=MIDDLE_KEY.public_key(), extensions=(constraints, usage))
    issuers = as_pem(mint_certificate(form, ROOT), ROOT.certificate)
    assert refusal(issuers=issuers) == "x509.not-a-ca"


def test_a_ca_below_one_that_allows_none_is_refused():
    lower = authority("Lower", LEAF_KEY, serial=5, issuer=MIDDLE)
    leaf = mint_certificate(replace(FORM, subject="Below"), lower)
    issuers = as_pem(lower.certificate, MIDDLE.certificate, ROOT.certificate)
    assert refusal(leaf=leaf, issuers=issuers) == "x509.path-length"


def test_a_ca_is_no_signer_of_evidence():
    ca = authority("Leaf", LEAF_KEY, serial=3, issuer=MIDDLE)
    assert refusal(leaf=ca.certificate) == "x509.not-an-end-entity"


def test_a_leaf_whose_key_usage_lacks_digital_signature_is_refused():
    form = replace(FORM, extensions=(("2.5.29.15", True, write.named_bits(2)),))
    assert refusal(leaf=mint_certificate(form, MIDDLE)) == "x509.not-an-end-entity"


def test_a_critical_extension_that_is_not_understood_is_a_refusal_and_a_plain_one_is_not():
    unknown = ("1.2.3.4", True, b"\x05\x00")
    assert refusal(leaf=mint_certificate(replace(FORM, extensions=(unknown,)), MIDDLE)) == "x509.critical-extension"
    plain = replace(FORM, extensions=(("1.2.3.4", False, b"not even DER"),))
    assert verify(leaf=mint_certificate(plain, MIDDLE)).leaf.extensions["1.2.3.4"].value == b"not even DER"


def test_an_extension_that_stands_twice_is_refused():
    twice = (("1.2.3.4", False, b"a"), ("1.2.3.4", False, b"b"))
    assert refusal(leaf=mint_certificate(replace(FORM, extensions=twice), MIDDLE)) == "x509.repeated-extension"


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (YEAR.not_before - timedelta(seconds=1), "x509.not-yet-valid"),
        (YEAR.not_after + timedelta(seconds=1), "x509.expired"),
    ],
)
def test_a_leaf_outside_its_window_is_refused(at, code):
    assert refusal(at=at) == code


@pytest.mark.parametrize("at", [YEAR.not_before, YEAR.not_after])
def test_both_ends_of_the_window_belong_to_it(at):
    assert verify(at=at)


@pytest.mark.parametrize("which", ["root", "middle"])
def test_an_issuer_outside_its_window_is_refused(which):
    past = Validity(not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=datetime(2021, 1, 1, tzinfo=UTC))
    root = authority("Root", ROOT_KEY, serial=1, validity=past) if which == "root" else ROOT
    middle = authority(
        "Middle", MIDDLE_KEY, serial=2, issuer=root, **({"validity": past} if which == "middle" else {})
    )
    anchors = frozenset({read_certificate(root.certificate).fingerprint})
    assert refusal(issuers=as_pem(middle.certificate, root.certificate), anchors=anchors) == "x509.expired"


def test_a_signature_scheme_that_the_caller_did_not_name_is_refused():
    assert refusal(schemes=frozenset({SignatureScheme.RSA_PSS_SHA384})) == "x509.signature-algorithm"


def test_rsa_signs_as_pss_with_sha384_and_salt_48_and_nothing_else(snp_platform):
    vendor = snp_platform.vendor
    chain = as_pem(vendor.ask.certificate, vendor.ark.certificate)
    anchors = frozenset({vendor.root_fingerprint})
    assert verify(leaf=snp_platform.leaf, issuers=chain, anchors=anchors, schemes=frozenset(SignatureScheme))
    # the salt length is part of the algorithm identifier, and any other than 48 is unknown
    other_salt = snp_platform.leaf.replace(bytes.fromhex("a203020130"), bytes.fromhex("a203020120"))
    assert refusal(leaf=other_salt, issuers=chain, anchors=anchors) == "x509.signature-algorithm"


def test_inner_and_outer_signature_algorithm_must_be_the_same():
    inner = LEAF.replace(bytes.fromhex("06082a8648ce3d040303"), bytes.fromhex("06082a8648ce3d040302"), 1)
    assert refusal(leaf=inner) == "x509.signature-algorithm"


@pytest.mark.parametrize(
    "key",
    [
        ed25519.Ed25519PrivateKey.generate().public_key(),
        rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key(),
    ],
)
def test_a_key_of_a_kind_or_size_that_proves_nothing_is_refused(key):
    leaf = read_certificate(mint_certificate(replace(FORM, public_key=key), MIDDLE))
    with pytest.raises(UnverifiedError) as error:
        x509_chain.public_key(leaf)
    assert error.value.code == "x509.public-key"


def test_a_time_without_a_zone_is_a_mistake_of_ours():
    with pytest.raises(MisuseError):
        verify(at=datetime(2026, 6, 1))  # noqa: DTZ001 - the point of the test


def test_serial_number_zero_is_read_without_a_warning(recwarn):
    verify(leaf=mint_certificate(replace(FORM, serial=0), MIDDLE))
    assert not list(recwarn)


def test_what_is_remembered_never_lets_pass_what_a_fresh_look_refuses():
    verify()
    assert refusal(at=YEAR.not_after + timedelta(days=1)) == "x509.expired"
    assert refusal(anchors=frozenset({bytes(32)})) == "x509.untrusted-root"
    assert refusal(schemes=frozenset()) == "x509.signature-algorithm"
    assert refusal(leaf=LEAF[:-1] + bytes([LEAF[-1] ^ 1])) in {"x509.signature", "x509.der"}
    x509_chain.forget()
    assert verify()


def test_a_signature_that_failed_once_is_looked_at_again_the_next_time():
    damaged = flip_bit(LEAF, 8 * (len(LEAF) - 1))
    assert {refusal(leaf=damaged) for _ in range(3)} == {"x509.signature"}


def test_words_in_a_certificate_are_shown_and_never_obeyed():
    root = authority("\x1b]0;owned\x07" + "x" * 500, ROOT_KEY, serial=1)
    with pytest.raises(UnverifiedError) as error:
        verify(issuers=as_pem(MIDDLE.certificate, root.certificate))
    assert error.value.where.isprintable()
    assert len(error.value.where) < 100


# revocation lists

CRL = mint_crl(CrlForm(revoked=(7, 2), validity=YEAR), ROOT)


def crl_refusal(raw, *, issuer=ROOT, at=AT):
    with pytest.raises((UnverifiedError, MalformedError)) as error:
        verify_crl(raw, issuer=read_certificate(issuer.certificate), schemes=SCHEMES, at=at)
    return error.value.code


def test_a_revocation_list_is_read_from_der_and_pem_alike():
    issuer = read_certificate(ROOT.certificate)
    for raw in (CRL, as_pem(CRL, label="X509 CRL"), as_pem(CRL, label="X509 CRL") + b"\x00"):
        assert verify_crl(raw, issuer=issuer, schemes=SCHEMES, at=AT).revoked == {2, 7}


def test_an_empty_revocation_list_revokes_nothing():
    raw = mint_crl(CrlForm(), ROOT)
    assert not verify_crl(raw, issuer=read_certificate(ROOT.certificate), schemes=SCHEMES, at=AT).revoked


@pytest.mark.parametrize("at", [YEAR.not_before - timedelta(days=1), YEAR.not_after + timedelta(days=1)])
def test_a_revocation_list_outside_its_window_says_nothing_about_today(at):
    assert crl_refusal(CRL, at=at) in {"x509.expired", "x509.not-yet-valid"}


def test_a_revocation_list_of_another_key_of_the_same_name_is_refused():
    assert crl_refusal(mint_crl(CrlForm(), authority("Root", new_key(), serial=1))) == "x509.signature"


def test_a_revocation_list_of_another_name_is_refused():
    assert crl_refusal(mint_crl(CrlForm(), replace(ROOT, common_name="Other"))) == "x509.crl-issuer"


def test_a_revocation_list_of_a_ca_that_may_not_sign_one_is_refused():
    assert crl_refusal(mint_crl(CrlForm(), MIDDLE), issuer=MIDDLE) == "x509.crl-issuer"


@pytest.mark.parametrize("oid", ["2.5.29.27", "2.5.29.28"])
def test_a_delta_or_indirect_revocation_list_is_refused(oid):
    raw = mint_crl(CrlForm(extensions=((oid, True, write.integer(1)),)), ROOT)
    assert crl_refusal(raw) == "x509.critical-extension"


def test_an_entry_that_says_something_that_is_not_understood_is_refused():
    """An indirect list: its entries speak of certificates that somebody else issued."""
    issuer_of_entry = write.sequence(write.oid("2.5.29.29"), write.boolean(True), write.octet_string(b"\x30\x00"))
    entry = write.sequence(write.integer(7), write.time(YEAR.not_before), write.sequence(issuer_of_entry))
    plain = write.sequence(write.integer(7), write.time(YEAR.not_before))
    crl = read_crl(mint_crl(CrlForm(revoked=(7,), validity=YEAR), ROOT))
    assert crl.entries == write.sequence(plain)
    with pytest.raises(UnverifiedError) as error:
        _ = replace(crl, entries=write.sequence(entry)).revoked
    assert error.value.code == "x509.critical-extension"


@pytest.mark.parametrize("entries", [b"\x30\x01\x00", write.sequence(write.integer(7)), write.integer(7)])
def test_a_damaged_entry_is_no_reason_to_believe_the_others(entries):
    crl = replace(read_crl(CRL), entries=entries)
    with pytest.raises(MalformedError):
        _ = crl.revoked


def test_what_is_too_long_is_refused_before_it_is_read():
    for read, size in ((read_certificate, 1 << 15), (read_crl, 1 << 23)):
        with pytest.raises(MalformedError) as error:
            read(bytes(size))
        assert error.value.code == "x509.too-long"
    with pytest.raises(MalformedError) as error:
        read_certificates(ISSUERS * 500)
    assert error.value.code == "x509.too-long"


def test_a_certificate_is_no_revocation_list_and_the_other_way_round():
    assert crl_refusal(ROOT.certificate).startswith("x509.")
    assert crl_refusal(as_pem(ROOT.certificate)) == "x509.pem"
    assert refusal(leaf=CRL).startswith("x509.")


# reading

READERS = [(read_certificate, LEAF), (read_crl, CRL), (read_certificates, ISSUERS)]


@pytest.mark.parametrize(("read", "raw"), READERS, ids=["certificate", "crl", "pem"])
def test_every_truncation_and_every_extra_byte_is_refused(read, raw):
    whole = read(raw)
    for size in range(len(raw)):
        try:
            found = read(raw[:size])
        except (MalformedError, UnverifiedError):
            continue
        # a PEM text may end after a block, or lack its last line end, and is then shorter and not damaged
        assert raw is ISSUERS
        assert found == whole[: len(found)]
    with pytest.raises(MalformedError):
        read(raw + b"x")


@pytest.mark.parametrize(("read", "raw"), READERS[:2], ids=["certificate", "crl"])
def test_a_trailing_zero_after_der_is_refused(read, raw):
    with pytest.raises(MalformedError):
        read(raw + b"\x00")


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(raw):
    for read in (read_certificate, read_certificates, read_crl):
        with pytest.raises((MalformedError, UnverifiedError)):
            read(raw)


@given(st.integers(0, 8 * len(LEAF) - 1))
def test_no_flipped_bit_of_a_leaf_goes_unseen(bit):
    assert refusal(leaf=flip_bit(LEAF, bit)).startswith("x509.")


@given(st.integers(0, 8 * len(CRL) - 1))
def test_no_flipped_bit_of_a_revocation_list_goes_unseen(bit):
    assert crl_refusal(flip_bit(CRL, bit)).startswith("x509.")


@pytest.mark.parametrize(
    "damaged",
    [
        b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END X509 CRL-----\n",
        b"subject=somebody\n" + ISSUERS,
        ISSUERS + b"and then some",
        as_pem(LEAF, LEAF),
        b"",
    ],
)
def test_a_pem_text_that_is_not_exactly_its_blocks_is_refused(damaged):
    with pytest.raises(MalformedError):
        read_certificate(damaged)


@pytest.mark.parametrize(
    "raw",
    [
        "0280",  # indefinite length
        "028101",  # a length that fits one byte, in two
        "02820001",  # a length with a leading zero
        "0285",  # a length of five bytes
        "0202",  # cut off
        "1f8101",  # a tag of several bytes
        "02",
    ],
)
def test_der_in_any_but_its_shortest_form_is_refused(raw):
    with pytest.raises(MalformedError):
        der.DerReader(bytes.fromhex(raw) + bytes(2)).take() if len(raw) > 4 else der.DerReader(
            bytes.fromhex(raw)
        ).take()


@pytest.mark.parametrize("content", ["", "0001", "ff80", "00007f"])
def test_an_integer_in_any_but_its_shortest_form_is_refused(content):
    with pytest.raises(MalformedError):
        der.Element(der.INTEGER, bytes.fromhex(content), b"").integer()


@pytest.mark.parametrize("element", [write.integer(1 << 20000), write.integer(-(1 << 20000))])
def test_a_number_too_large_to_be_shown_is_refused_as_malformed(element):
    """Python itself refuses to write out such a number, with an error that is none of ours."""
    constraints = ("2.5.29.19", True, write.sequence(write.boolean(True), element))
    form = CertificateForm(subject="Middle", public_key=MIDDLE_KEY.public_key(), extensions=(constraints,))
    issuers = as_pem(mint_certificate(form, ROOT), ROOT.certificate)
    assert refusal(issuers=issuers) == "x509.der"
    with pytest.raises(MalformedError):
        der.read_whole(element, der.INTEGER).integer()


def test_an_object_identifier_without_end_is_refused():
    with pytest.raises(MalformedError):
        der.Element(der.OBJECT_IDENTIFIER, b"\xff" * 16000 + b"\x01", b"").oid()


@given(st.integers(-(2**80), 2**80))
def test_integers_are_read_as_they_were_written(value):
    assert der.read_whole(write.integer(value), der.INTEGER).integer() == value


@given(st.tuples(st.integers(0, 2), st.integers(0, 39), st.integers(0, 2**40)))
def test_object_identifiers_are_read_as_they_were_written(arcs):
    dotted = ".".join(map(str, arcs))
    assert der.read_whole(write.oid(dotted), der.OBJECT_IDENTIFIER).oid() == dotted


@given(st.datetimes(datetime(1950, 1, 1), datetime(2200, 1, 1)))  # noqa: DTZ001 - hypothesis adds none itself
def test_times_are_read_as_they_were_written(moment):
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    assert der.DerReader(write.time(moment)).take().time() == moment


@pytest.mark.parametrize("text", ["2601010000Z", "260101000000+", "261301000000Z", "2601010000000", "26010100000aZ"])
def test_a_time_in_another_form_is_refused(text):
    with pytest.raises(MalformedError):
        der.DerReader(write.element(der.UTC_TIME, text.encode())).take().time()
