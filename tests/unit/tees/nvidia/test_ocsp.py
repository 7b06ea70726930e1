"""Stapled answers about certificates: who may sign them, about what, for how long, and what they may say.

Minted by the builder of `cryptography`, which knows nothing of our reader; and by our own writer, which can be wrong.
"""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from sealroom.errors import MalformedError, SealroomError, UnverifiedError
from sealroom.evidence import Validity
from sealroom.tees.nvidia.ocsp import OcspState, answers_for, verify_ocsp
from sealroom.testing import der
from sealroom.testing.nvidia_certificates import responder_form
from sealroom.testing.nvidia_ocsp import OcspForm, mint_ocsp
from sealroom.testing.nvidia_vendor import new_key
from sealroom.testing.pki import mint_certificate
from sealroom.x509_reader import read_certificate

AT = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
LONG = Validity(not_before=AT - 300 * DAY, not_after=AT + 300 * DAY)
OCSP_SIGNING = "1.3.6.1.5.5.7.3.9"
USAGE = "2.5.29.37"


class Desk:
    """Asks about the boot ROM's certificate, as its issuer, and answers as a responder that the issuer made."""

    def __init__(self, gpu):
        self.issuer = gpu.vendor.provisioner(gpu.family)
        self.subject, self.issuer_certificate = gpu.certificates[1], gpu.certificates[2]
        self.key = new_key()
        self.form = responder_form(self.key.public_key(), issuer=self.issuer.key.public_key(), window=LONG)
        self.responder = mint_certificate(self.form, self.issuer)

    def verify(self, raw, at=AT):
        return verify_ocsp(raw, certificate=read_certificate(self.subject),
                           issuer=read_certificate(self.issuer_certificate), at=at)  # fmt: skip

    def code(self, raw, at=AT):
        with pytest.raises(SealroomError) as refusal:
            self.verify(raw, at)
        return refusal.value.code

    def builder(self, *, status=ocsp.OCSPCertStatus.GOOD, reason=None, since=AT - DAY, until=AT + DAY, named=None,
                digest=None, subject=None, issuer=None):  # fmt: skip
        """An honest answer before it is signed."""
        responder = x509.load_der_x509_certificate(named or self.responder)
        return (
            ocsp.OCSPResponseBuilder()
            .add_response(
                x509.load_der_x509_certificate(subject or self.subject),
                x509.load_der_x509_certificate(issuer or self.issuer_certificate),
                digest or hashes.SHA256(), status, since, until,
                AT - 2 * DAY if status is ocsp.OCSPCertStatus.REVOKED else None, reason,
            )
            .responder_id(ocsp.OCSPResponderEncoding.NAME, responder)
            .certificates([responder])
        )  # fmt: skip

    def sign(self, builder, key=None, digest=None):
        return builder.sign(key or self.key, digest or hashes.SHA384()).public_bytes(Encoding.DER)

    def with_form(self, form, key=None, **changes):
        """An honest answer of a responder with this certificate."""
        return self.sign(self.builder(named=mint_certificate(form, self.issuer), **changes), key or self.key)


@pytest.fixture(scope="module")
def desk(gpu):
    return Desk(gpu)


@pytest.mark.parametrize("digest", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384()], ids=lambda digest: digest.name)
@pytest.mark.parametrize("signed", [hashes.SHA256(), hashes.SHA384()], ids=lambda digest: digest.name)
def test_good(desk, digest, signed):
    status = desk.verify(desk.sign(desk.builder(digest=digest), digest=signed))
    assert (status.state, status.reason) == (OcspState.GOOD, None)
    assert status.validity == Validity(not_before=AT - DAY, not_after=AT + DAY)


def test_fault_gpu_cloud_21_unknown_is_not_good(desk):
    """What the responder knows nothing of has a state of its own; no answer of another certificate counts for it."""
    raw = desk.sign(desk.builder(status=ocsp.OCSPCertStatus.UNKNOWN))
    assert desk.verify(raw).state is OcspState.UNKNOWN
    assert OcspState.UNKNOWN is not OcspState.GOOD


def test_fault_gpu_cloud_21_the_leaf_is_not_asked_about(gpu):
    """NVIDIA's responder does not know leaf certificates: an answer for one above is none for it."""
    leaf, brom = (read_certificate(gpu.certificates[depth]) for depth in (0, 1))
    with pytest.raises(UnverifiedError, match=r"nvidia\.ocsp-other-certificate"):
        verify_ocsp(gpu.answer(1), certificate=leaf, issuer=brom, at=AT)
    assert not answers_for(gpu.answer(1), leaf)
    assert answers_for(gpu.answer(1), brom)


REASONS = {
    x509.ReasonFlags.unspecified: "unspecified", x509.ReasonFlags.key_compromise: "keyCompromise",
    x509.ReasonFlags.ca_compromise: "cACompromise", x509.ReasonFlags.superseded: "superseded",
    x509.ReasonFlags.cessation_of_operation: "cessationOfOperation",
    x509.ReasonFlags.remove_from_crl: "removeFromCRL",
    x509.ReasonFlags.privilege_withdrawn: "privilegeWithdrawn", None: "unspecified",
}  # fmt: skip


@pytest.mark.parametrize("reason", REASONS)
def test_revoked_for_any_reason(desk, reason):
    status = desk.verify(desk.sign(desk.builder(status=ocsp.OCSPCertStatus.REVOKED, reason=reason)))
    assert (status.state, status.reason) == (OcspState.REVOKED, REASONS[reason])


def test_fault_gpu_cloud_5_a_suspended_certificate_is_a_state_of_its_own(desk):
    """Neither good nor gone: `certificateHold` is for a policy to take, and by name only."""
    hold = x509.ReasonFlags.certificate_hold
    status = desk.verify(desk.sign(desk.builder(status=ocsp.OCSPCertStatus.REVOKED, reason=hold)))
    assert (status.state, status.reason) == (OcspState.HOLD, "certificateHold")


def test_signed_by_the_issuer_itself(desk):
    assert (
        desk.verify(desk.sign(desk.builder(named=desk.issuer_certificate), desk.issuer.key)).state is OcspState.GOOD
    )


def test_the_responder_is_named_by_its_key_too(desk):
    responder = x509.load_der_x509_certificate(desk.responder)
    other = ocsp.OCSPResponseBuilder().add_response(
        x509.load_der_x509_certificate(desk.subject), x509.load_der_x509_certificate(desk.issuer_certificate),
        hashes.SHA1(), ocsp.OCSPCertStatus.GOOD, AT - DAY, AT + DAY, None, None,
    )  # fmt: skip
    named = other.responder_id(ocsp.OCSPResponderEncoding.HASH, responder).certificates([responder])
    assert desk.verify(desk.sign(named)).state is OcspState.GOOD


def test_the_responder_may_come_behind_other_certificates(desk):
    along = [x509.load_der_x509_certificate(raw) for raw in (desk.issuer_certificate, desk.responder)]
    builder = ocsp.OCSPResponseBuilder().add_response(
        x509.load_der_x509_certificate(desk.subject), along[0], hashes.SHA1(), ocsp.OCSPCertStatus.GOOD, AT - DAY,
        AT + DAY, None, None,
    )  # fmt: skip
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, along[1]).certificates(along)
    assert desk.verify(desk.sign(builder)).state is OcspState.GOOD


def test_extensions_are_passed_over_unless_they_are_critical(desk):
    nonce = x509.OCSPNonce(b"any nonce at all")
    assert desk.verify(desk.sign(desk.builder().add_extension(nonce, critical=False))).state is OcspState.GOOD
    assert desk.code(desk.sign(desk.builder().add_extension(nonce, critical=True))) == "nvidia.ocsp-extension"


def extended(form, critical=False, *purposes):
    usage = der.sequence(*(der.oid(purpose) for purpose in purposes))
    kept = tuple(extension for extension in form.extensions if extension[0] != USAGE)
    return replace(form, extensions=((USAGE, critical, usage), *kept) if purposes else kept)


def test_a_responder_is_made_for_signing_answers_and_says_so(desk):
    server = "1.3.6.1.5.5.7.3.1"
    for critical in (False, True):
        form = extended(desk.form, critical, server, OCSP_SIGNING)
        assert desk.verify(desk.with_form(form)).state is OcspState.GOOD
    for form in (extended(desk.form, False, server), extended(desk.form)):
        assert desk.code(desk.with_form(form)) == "nvidia.ocsp-responder"


def test_a_purpose_that_only_has_the_same_bytes_inside_is_another(desk):
    """06 08 2b … 09, read as the content of something else."""
    inside = der.octet_string(der.oid(OCSP_SIGNING))
    kept = tuple(extension for extension in desk.form.extensions if extension[0] != USAGE)
    form = replace(desk.form, extensions=((USAGE, False, der.sequence(inside)), *kept))
    assert desk.code(desk.with_form(form)) == "x509.der"


def test_a_responder_is_valid_at_the_time(desk):
    for window, code in ((Validity(not_before=AT - 2 * DAY, not_after=AT - DAY), "x509.expired"),
                         (Validity(not_before=AT + DAY, not_after=AT + 2 * DAY), "x509.not-yet-valid")):  # fmt: skip
        assert desk.code(desk.with_form(replace(desk.form, validity=window))) == code


def test_a_responder_is_no_ca(desk):
    extensions = (*(one for one in desk.form.extensions if one[0] not in {"2.5.29.15", "2.5.29.19"}),
                  ("2.5.29.19", True, der.sequence(der.boolean(True))))  # fmt: skip
    assert desk.code(desk.with_form(replace(desk.form, extensions=extensions))) == "x509.not-an-end-entity"


def test_a_responder_is_of_the_same_issuer(desk, gpu):
    above = gpu.vendor.identity(gpu.family)
    form = responder_form(desk.key.public_key(), issuer=above.key.public_key(), window=LONG)
    assert desk.code(desk.sign(desk.builder(named=mint_certificate(form, above)))) == "x509.issuer-name"


def test_a_responder_that_names_the_issuer_and_was_signed_by_another(desk):
    forged = replace(desk.issuer, key=new_key())
    assert desk.code(desk.sign(desk.builder(named=mint_certificate(desk.form, forged)))) == "x509.signature"


def test_whoever_signed_is_whom_the_answer_names(desk):
    form = OcspForm(certificate=desk.subject, issuer=desk.issuer_certificate)
    for key, responder in ((new_key(), desk.responder), (new_key(), None), (desk.key, None)):
        assert desk.code(mint_ocsp(form, key, responder=responder)) == "x509.signature"


def test_a_signer_that_did_not_come_along_is_not_looked_for(desk):
    responder = x509.load_der_x509_certificate(desk.responder)
    builder = ocsp.OCSPResponseBuilder().add_response(
        x509.load_der_x509_certificate(desk.subject), x509.load_der_x509_certificate(desk.issuer_certificate),
        hashes.SHA256(), ocsp.OCSPCertStatus.GOOD, AT - DAY, AT + DAY, None, None,
    )  # fmt: skip
    named = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, responder)
    assert desk.code(desk.sign(named)) == "nvidia.ocsp-responder"


def test_a_digest_that_is_not_accepted(desk):
    assert desk.code(desk.sign(desk.builder(), digest=hashes.SHA512())) == "x509.signature-algorithm"


def test_a_responder_with_an_rsa_key(desk):
    key = rsa.generate_private_key(65537, 2048)
    form = replace(desk.form, public_key=key.public_key())
    assert (
        desk.verify(desk.sign(desk.builder(named=mint_certificate(form, desk.issuer)), key)).state is OcspState.GOOD
    )


@pytest.mark.parametrize("digest", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384()], ids=lambda digest: digest.name)
def test_the_answer_is_about_this_certificate_of_this_issuer(desk, gpu, digest):
    other = "nvidia.ocsp-other-certificate"
    assert desk.code(desk.sign(desk.builder(digest=digest, subject=gpu.certificates[2]))) == other
    assert desk.code(desk.sign(desk.builder(digest=digest, issuer=gpu.certificates[3]))) == other


def test_an_issuer_of_the_same_name_with_another_key_is_another(desk, gpu):
    form = replace(read_form(gpu), public_key=new_key().public_key())
    namesake = mint_certificate(form, gpu.vendor.identity(gpu.family))
    assert read_certificate(namesake).subject.der == read_certificate(desk.issuer_certificate).subject.der
    assert desk.code(desk.sign(desk.builder(issuer=namesake))) == "nvidia.ocsp-other-certificate"


def test_an_issuer_with_the_same_key_under_another_name_is_another(desk, gpu):
    form = replace(read_form(gpu), public_key=desk.issuer.key.public_key(), subject="another name")
    renamed = mint_certificate(form, gpu.vendor.identity(gpu.family))
    assert read_certificate(renamed).public_key == read_certificate(desk.issuer_certificate).public_key
    assert desk.code(minted(desk, issuer=renamed)) == "nvidia.ocsp-other-certificate"


def test_an_answer_holds_no_longer_than_its_signer(desk):
    short = Validity(not_before=AT - 2 * DAY, not_after=AT + timedelta(hours=1))
    status = desk.verify(desk.with_form(replace(desk.form, validity=short)))
    assert status.validity == Validity(not_before=AT - DAY, not_after=short.not_after)


@pytest.mark.parametrize("number", [0, 1])
def test_an_answer_of_another_version_is_refused_and_so_is_one_that_says_what_goes_without_saying(desk, number):
    assert desk.verify(minted(desk)).state is OcspState.GOOD
    assert desk.code(minted(desk, version=der.element(0xA0, der.integer(number)))) == "nvidia.ocsp"


def read_form(gpu):
    from sealroom.testing.nvidia_certificates import provisioner_form

    issuer = gpu.vendor.identity(gpu.family)
    return provisioner_form(gpu.family, new_key().public_key(), issuer=issuer.key.public_key())


def test_the_window_of_an_answer(desk):
    raw = desk.sign(desk.builder())
    for at in (AT - DAY, AT, AT + DAY):
        assert desk.verify(raw, at).state is OcspState.GOOD
    assert desk.code(raw, AT - DAY - timedelta(seconds=1)) == "x509.not-yet-valid"
    assert desk.code(raw, AT + DAY + timedelta(seconds=1)) == "x509.expired"


def test_an_answer_that_does_not_say_its_end_holds_for_a_day(desk):
    raw = desk.sign(desk.builder(since=AT, until=None))
    assert desk.verify(raw, AT + DAY).validity == Validity(not_before=AT, not_after=AT + DAY)
    assert desk.code(raw, AT + DAY + timedelta(seconds=1)) == "x509.expired"


@pytest.mark.parametrize("status", [ocsp.OCSPResponseStatus.MALFORMED_REQUEST,
                                    ocsp.OCSPResponseStatus.INTERNAL_ERROR,
                                    ocsp.OCSPResponseStatus.TRY_LATER,
                                    ocsp.OCSPResponseStatus.UNAUTHORIZED])  # fmt: skip
def test_no_answer_is_none(desk, status):
    raw = ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
    assert desk.code(raw) == "nvidia.ocsp-no-answer"


def minted(desk, **changes):
    form = replace(OcspForm(certificate=desk.subject, issuer=desk.issuer_certificate), **changes)
    return mint_ocsp(form, desk.key, responder=desk.responder)


STATUSES = {
    "good with something in it": der.element(0x80, b"\0"),
    "unknown with something in it": der.element(0x82, b"\0"),
    "another": der.element(0x83, b""),
    "good as a structure": der.element(0xA0, b""),
    "revoked without a time": der.element(0xA1, b""),
    "revoked with a reason of two bytes": der.element(0xA1, der.generalized_time(AT) + der.element(
        0xA0, der.element(0x0A, b"\0\6"))),
    "revoked with two reasons": der.element(0xA1, der.generalized_time(AT) + der.element(
        0xA0, der.enumerated(6) + der.enumerated(1))),
    "revoked and more": der.element(0xA1, der.generalized_time(AT) + der.element(0xA0, der.enumerated(6)) + b"\5\0"),
}  # fmt: skip


@pytest.mark.parametrize("name", STATUSES)
def test_a_status_that_is_none(desk, name):
    """Signed by the responder as it stands."""
    assert desk.code(minted(desk, status=STATUSES[name])) in {"nvidia.ocsp", "x509.der"}


def test_two_answers_for_one_certificate_are_none(desk):
    assert desk.code(minted(desk, answers=2)) == "nvidia.ocsp-other-certificate"
    assert desk.code(minted(desk, answers=0)) == "nvidia.ocsp-other-certificate"


def test_every_byte_counts(desk):
    """Cut off anywhere, with a byte more, or with any one changed: our own error, or the very same verdict."""
    raw = minted(desk)
    honest = desk.verify(raw)
    for size in range(len(raw)):
        assert desk.code(raw[:size])
    assert desk.code(raw + b"\0") == "x509.der"
    for place in range(len(raw)):
        changed = raw[:place] + bytes((raw[place] ^ 0x01,)) + raw[place + 1 :]
        try:
            assert desk.verify(changed) == honest
        except SealroomError as error:
            error.diagnostics().encode()


@given(st.binary(max_size=300))
def test_any_bytes_get_our_own_error(raw):
    for wrapped in (raw, der.sequence(der.enumerated(0), der.element(0xA0, der.sequence(raw)))):
        with pytest.raises((MalformedError, UnverifiedError)):
            answers_for(wrapped, BROM)


class _Serial:
    serial = 1


BROM = _Serial()


def test_an_answer_that_is_too_large(desk):
    assert desk.code(bytes(64 * 1024 + 1)) == "nvidia.ocsp"


def test_the_digest_of_the_key_is_over_its_bits_alone(desk):
    """RFC 6960 section 4.1.1; cryptography computes it, and so does NVIDIA's responder."""
    point = x509.load_der_x509_certificate(desk.issuer_certificate).public_key()
    assert isinstance(point, ec.EllipticCurvePublicKey)
    response = ocsp.load_der_ocsp_response(minted(desk, digest="sha1"))
    numbers = point.public_numbers()
    bits = b"\4" + numbers.x.to_bytes(48, "big") + numbers.y.to_bytes(48, "big")
    assert response.issuer_key_hash == hashlib.sha1(bits, usedforsecurity=False).digest()
