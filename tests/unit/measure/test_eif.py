"""Nitro enclave images: PCRs by hand, the signature over PCR0, and images that do not hold together."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from hypothesis import given, settings
from hypothesis import strategies as st
from made_images import (
    cbor,
    eif,
    enclave_key,
    head,
    image_signer,
    metadata,
    pcr,
    refusal,
    signature_section,
    signed_payload,
    statement,
    with_checksum,
)

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.measure.eif import measure_eif
from sealroom.measure.eif_signature import read_signatures

IMAGE = eif()
KERNEL, CMDLINE, FIRST, SECOND = (1, b"kernel"), (2, b"cmdline"), (3, b"first"), (3, b"second")
PCR0 = pcr(b"kernel", b"cmdline", b"first", b"second")
SECTION = signature_section(PCR0)
CODES = {"eif.malformed", "eif.signature-section", "eif.signature"}


def signed(section):
    return eif((KERNEL, CMDLINE, FIRST, SECOND, (4, section)))


def test_the_registers_by_hand():
    measured = measure_eif(IMAGE)
    assert measured.pcr0 == PCR0
    assert measured.pcr1 == pcr(b"kernel", b"cmdline", b"first")
    assert measured.pcr2 == pcr(b"second")
    assert measured.pcr8 is None
    assert (measured.version, measured.arch, measured.image_name, measured.cmdline) == (
        4,
        "x86_64",
        "made",
        b"cmdline",
    )
    assert (measured.default_memory, measured.default_cpus) == (1 << 28, 2)


def test_one_ramdisk_gives_the_register_that_every_published_image_has():
    measured = measure_eif(eif((KERNEL, CMDLINE, FIRST)))
    assert measured.pcr0 == measured.pcr1
    assert measured.pcr2.hex().startswith("21b9efbc184807662e966d34f390821309eeac6802309798826296bf3e8bec7c")
    assert measured.image_name is None


def test_what_no_register_covers_changes_none():
    names = ("pcr0", "pcr1", "pcr2")
    expected = [getattr(measure_eif(IMAGE), name) for name in names]
    for other in (
        eif((KERNEL, CMDLINE, (5, metadata(ImageName="other", BuildTime="now")), FIRST, SECOND)),
        eif((KERNEL, CMDLINE, FIRST, SECOND), version=2),
        eif((KERNEL, CMDLINE, FIRST, SECOND), flags=1),
        eif((FIRST, SECOND, CMDLINE, KERNEL)),
        signed(SECTION),
    ):
        assert [getattr(measure_eif(other), name) for name in names] == expected
    assert measure_eif(eif((KERNEL, CMDLINE, SECOND, FIRST))).pcr0 != PCR0


@pytest.mark.parametrize(("flags", "arch"), [(0, "x86_64"), (1, "aarch64"), (0x8000, "x86_64")])
def test_the_architecture_is_a_flag(flags, arch):
    assert measure_eif(eif(flags=flags)).arch == arch


@pytest.mark.parametrize("named", [b"[]", b"{}", metadata(ImageName=7), b"null"])
def test_metadata_without_a_name_are_no_fault(named):
    assert measure_eif(eif((KERNEL, CMDLINE, (5, named), FIRST))).image_name is None


@pytest.mark.parametrize(
    "image",
    [
        b"",
        IMAGE[:547],
        eif(magic=b".elf"),
        eif(version=1),
        eif(version=5),
        eif(count=0),
        eif(count=33),
        eif(count=6),
        eif(count=4),
        eif((KERNEL, FIRST)),
        eif((CMDLINE, FIRST)),
        eif((KERNEL, CMDLINE)),
        eif((KERNEL, KERNEL, CMDLINE, FIRST)),
        eif((KERNEL, CMDLINE, CMDLINE, FIRST)),
        eif((KERNEL, CMDLINE, FIRST, (0, b"x"))),
        eif((KERNEL, CMDLINE, FIRST, (6, b"x"))),
        eif((KERNEL, CMDLINE, FIRST, (5, b"{"))),
        eif((KERNEL, CMDLINE, FIRST, (5, b"[" * 100_000))),
        eif((KERNEL, CMDLINE, FIRST, (5, b"\xff"))),
        with_checksum(IMAGE + b"\x00"),
        with_checksum(IMAGE[:-1]),
        with_checksum(IMAGE[:28] + bytes(8) + IMAGE[36:]),
        with_checksum(IMAGE[:556] + b"\xff" * 4 + IMAGE[560:]),
    ],
    ids=range(23),
)
def test_an_image_that_does_not_hold_together_is_refused(image):
    with pytest.raises(MalformedError) as refused:
        measure_eif(image)
    assert refused.value.code == "eif.malformed"
    assert refused.value.got


def test_more_sections_than_the_header_has_room_for_are_refused():
    full = ((1, b"k"), (2, b"c"), *((3, b"r"),) * 30)
    assert measure_eif(eif(full)).pcr2 == pcr(b"r" * 29)
    assert refusal(measure_eif, eif(full, count=33)) == "eif.malformed"


def test_sections_with_something_between_them_are_refused():
    """Bytes that no register covers and the image hides: the last section moved, and four bytes put before it."""
    at = int.from_bytes(IMAGE[28 + 8 * 4 : 28 + 8 * 5], "big")
    moved = IMAGE[: 28 + 8 * 4] + (at + 4).to_bytes(8, "big") + IMAGE[28 + 8 * 5 : at] + b"hide" + IMAGE[at:]
    assert refusal(measure_eif, with_checksum(moved)) == "eif.malformed"


def test_any_change_shows_in_the_checksum():
    for at in range(len(IMAGE)):
        changed = bytearray(IMAGE)
        changed[at] ^= 1
        assert refusal(measure_eif, bytes(changed)) == "eif.malformed", at


def test_cut_anywhere_it_is_refused_though_its_checksum_is_right():
    for length in range(548, len(IMAGE)):
        assert refusal(measure_eif, with_checksum(IMAGE[:length])) == "eif.malformed", length


@pytest.mark.parametrize(("curve", "algorithm"), [("secp384r1", -35), ("secp256r1", -7)])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_a_signed_image_names_its_signer_in_pcr8(curve, algorithm, as_bytes):
    section = signature_section(PCR0, curve=curve, algorithm=algorithm, as_bytes=as_bytes)
    certificate = load_pem_x509_certificate(image_signer(curve)[1])
    assert measure_eif(signed(section)).pcr8 == pcr(certificate.public_bytes(Encoding.DER))


@pytest.mark.parametrize(
    "section",
    [
        signature_section(pcr(b"other")),
        signature_section(PCR0, register=1),
        signature_section(PCR0, register=8),
        signature_section(PCR0[:-1]),
    ],
)
def test_a_signature_of_something_else_is_refused(section):
    with pytest.raises(UnverifiedError) as refused:
        measure_eif(signed(section))
    assert refused.value.code == "eif.signature"


def test_a_signature_by_another_key_is_refused():
    """The certificate decides: whoever exchanges it does not have its key."""
    _, other = image_signer("secp256r1")
    assert refusal(read_signatures, signature_section(PCR0, certificate=other)) == "eif.signature-section"
    forged = signature_section(pcr(b"other"), instead=statement(PCR0))
    assert refusal(read_signatures, forged) == "eif.signature"


def certificate(pem, **replaced):
    """The certificate with bytes exchanged, as PEM."""
    der = load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    for old, new in replaced.values():
        assert old in der
        der = der.replace(old, new)
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n".encode()


@pytest.mark.parametrize(
    "broken",
    [
        {"version": (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x06")},
        {"curve": (b"\x06\x05\x2b\x81\x04\x00\x22", b"\x06\x05\x2b\x81\x04\x00\x7e")},
        {"key": (b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01", b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x7f")},
    ],
    ids=["version", "curve", "key"],
)
def test_a_certificate_that_no_library_reads_is_refused_in_our_words(broken):
    section = signature_section(PCR0, certificate=certificate(image_signer()[1], **broken))
    with pytest.raises(MalformedError) as refused:
        read_signatures(section)
    assert refused.value.code == "eif.signature-section"


def entry(**changed):
    return cbor([{"signing_certificate": list(image_signer()[1]), "signature": list(b"\x80")} | changed])


@pytest.mark.parametrize(
    "section",
    [
        b"",
        cbor([]),
        cbor({}),
        cbor([1]),
        cbor([{}]),
        entry(signing_certificate="text"),
        entry(signing_certificate=[1, 256]),
        entry(signing_certificate=list(b"no PEM")),
        entry(signature=7),
        entry(signature=list(cbor([b"", {}, b""]))),
        entry(signature=list(cbor([b"", [], b"", b""]))),
        entry(signature=list(cbor([cbor({1: -7}), {}, cbor({}), b"s" * 64]))),
        entry(signature=list(cbor([cbor({1: -35}), {}, cbor({}), b"s" * 95]))),
        entry(signature=list(cbor([cbor({1: -257}), {}, cbor({}), b"s" * 96]))),
        entry(signature=list(cbor([cbor([]), {}, cbor({}), b"s" * 96]))),
        SECTION + b"\x00",
        SECTION.ljust(32 * 1024 + 1, b"\x00"),
        b"\x81" * 10_000,
        b"\x9b" + b"\xff" * 8,
        b"\x9f\xff",
        b"\xa2\x00\x00\x00\x00",
        b"\x81\xa1\x80\x00",
        b"\x81\xa1\x40\x00",
        b"\xfb" + bytes(8),
        b"\x5b" + b"\xff" * 8,
    ],
    ids=range(25),
)
def test_a_signature_section_that_can_not_be_read_is_refused(section):
    with pytest.raises(MalformedError) as refused:
        read_signatures(section)
    assert refused.value.code == "eif.signature-section"


def test_a_signed_statement_without_a_register_is_refused():
    """Right in everything, and the signature holds; it says nothing of a register."""
    _, pem = image_signer()
    for said in ({}, [], {"register_index": 0}, {"register_index": "0", "register_value": []}):
        section = cbor([{"signing_certificate": list(pem), "signature": list(signed_payload(cbor(said)))}])
        assert refusal(read_signatures, section) == "eif.signature-section"


def test_a_large_section_and_a_member_twice_are_refused_though_they_would_hold():
    certificate, signature = list(image_signer()[1]), list(signed_payload(statement(PCR0)))
    right = {"signing_certificate": certificate, "signature": signature}
    assert refusal(read_signatures, cbor([right | {"more": [0] * 1000}])) == ""
    assert refusal(read_signatures, cbor([right | {"more": [0] * 40_000}])) == "eif.signature-section"
    twice = head(4, 1) + head(5, 3) + b"".join(map(cbor, ("signature", signature, *sum(right.items(), ()))))
    assert refusal(read_signatures, twice) == "eif.signature-section"


def test_a_key_that_does_not_go_with_the_algorithm_is_refused():
    mixed = signature_section(PCR0, curve="secp256r1", algorithm=-35)
    assert refusal(read_signatures, mixed) == "eif.signature-section"
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "RSA")])
    at = datetime(2026, 1, 1, tzinfo=UTC)
    key = enclave_key()
    rsa = x509.CertificateBuilder(name, name, key.public_key(), 1, at, at + timedelta(days=1)).sign(key, SHA256())
    section = signature_section(PCR0, certificate=rsa.public_bytes(Encoding.PEM))
    assert refusal(read_signatures, section) == "eif.signature-section"


def test_two_signature_sections_are_refused():
    twice = eif((KERNEL, CMDLINE, FIRST, SECOND, (4, SECTION), (4, SECTION)))
    assert refusal(measure_eif, twice) == "eif.malformed"


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_change_under_a_right_checksum_raises_anything_foreign(data):
    image = bytearray(signed(SECTION))
    for _ in range(data.draw(st.integers(1, 4))):
        image[data.draw(st.integers(0, len(image) - 1))] = data.draw(st.integers(0, 255))
    assert refusal(measure_eif, with_checksum(bytes(image))) in CODES | {""}


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_in_a_signature_section_raise_anything_foreign(raw):
    assert refusal(read_signatures, raw) in CODES
