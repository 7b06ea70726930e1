"""Authenticode digests: by hand, with and without a signature, and of images that do not hold together."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_images import pe_image, refusal

from sealroom.errors import MalformedError
from sealroom.measure.authenticode import authenticode

OPTIONAL = 64 + 24
CHECKSUM = OPTIONAL + 64
IMAGE = pe_image()


def certificate_entry(plus=True):
    return OPTIONAL + (112 if plus else 96) + 8 * 4


@pytest.mark.parametrize("plus", [True, False])
@pytest.mark.parametrize("algorithm", ["sha256", "sha384"])
def test_the_whole_file_less_checksum_and_certificate_entry_by_hand(plus, algorithm):
    image = pe_image(plus=plus, trailing=b"after the sections")
    entry = certificate_entry(plus)
    parts = (image[:CHECKSUM], image[CHECKSUM + 4 : entry], image[entry + 8 : 0x200], image[0x200:0x500],
             image[0x600:0x700])  # fmt: skip
    hashed = 0x200 + 0x300 + 0x100
    assert authenticode(image, algorithm) == hashlib.new(algorithm, b"".join(parts) + image[hashed:]).digest()


def test_checksum_and_signature_change_nothing():
    changed = bytearray(IMAGE)
    changed[CHECKSUM : CHECKSUM + 4] = b"\xff" * 4
    assert authenticode(bytes(changed)) == authenticode(IMAGE)
    sections = ((0x200, 0x300), (0x500, 0x100))
    assert authenticode(pe_image(sections=sections, signature=b"s" * 64)) == authenticode(pe_image(sections=sections))


def test_every_other_byte_of_header_and_sections_counts():
    """Where sections follow each other: what lies between them is nobody's, and not hashed."""
    image = pe_image(sections=((0x200, 0x300), (0x500, 0x100)))
    digest = authenticode(image)
    outside = {*range(CHECKSUM, CHECKSUM + 4), *range(certificate_entry(), certificate_entry() + 4)}
    size_of_certificates = range(certificate_entry() + 4, certificate_entry() + 8)
    for at in (at for at in range(len(image)) if at not in size_of_certificates):
        changed = bytearray(image)
        changed[at] ^= 0x80
        same = refusal(authenticode, bytes(changed)) == "" and authenticode(bytes(changed)) == digest
        assert same == (at in outside), hex(at)


def test_sections_count_in_order_of_their_place():
    assert authenticode(pe_image(sections=((0x200, 0x100), (0x300, 0x100)))) != authenticode(IMAGE)
    forward = bytearray(pe_image(sections=((0x200, 0x100), (0x300, 0x100))))
    rows = OPTIONAL + 240
    forward[rows : rows + 80] = forward[rows + 40 : rows + 80] + forward[rows : rows + 40]
    # by hand: the header differs, and the data are in order of place all the same
    entry = certificate_entry()
    parts = forward[:CHECKSUM] + forward[CHECKSUM + 4 : entry] + forward[entry + 8 :]
    assert authenticode(bytes(forward)) == hashlib.sha384(parts).digest()


@pytest.mark.parametrize("directories", [0, 4])
def test_without_an_entry_for_certificates_nothing_but_the_checksum_is_left_out(directories):
    image = pe_image(directories=directories)
    parts = image[:CHECKSUM] + image[CHECKSUM + 4 : 0x500] + image[0x600:]
    assert authenticode(image) == hashlib.sha384(parts + image[0x600:]).digest()


def put(at, number, size=4, image=IMAGE):
    changed = bytearray(image)
    changed[at : at + size] = number.to_bytes(size, "little")
    return bytes(changed)


@pytest.mark.parametrize(
    "image",
    [
        b"",
        b"MZ",
        b"\x7fELF" + bytes(1000),
        put(0, 0x4D5A, 2)[:64],
        put(0, 0x5A4E, 2),
        put(64, 0x4551),
        put(0x3C, 0xFFFFFFF0),
        put(0x3C, 0),
        put(OPTIONAL, 0x30B, 2),
        put(OPTIONAL + 60, 0xFFFFFFFF),
        put(OPTIONAL + 60, CHECKSUM),
        put(OPTIONAL + 60, certificate_entry() + 7),
        put(OPTIONAL + 240 + 16, 0xFFFFFFFF),
        put(OPTIONAL + 240 + 20, 0xFFFFFFFF),
        put(certificate_entry() + 4, 0xFFFFFFFF),
        put(certificate_entry() + 4, len(IMAGE)),
        put(70, 0xFFFF, 2),
        IMAGE[:-1],
        IMAGE[: OPTIONAL + 250],
    ],
    ids=str,
)
def test_an_image_that_does_not_hold_together_is_refused(image):
    with pytest.raises(MalformedError) as refused:
        authenticode(image)
    assert refused.value.code == "measure.not-pe"
    assert refused.value.hint


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_change_to_the_headers_raises_anything_foreign(data):
    image = bytearray(IMAGE)
    for _ in range(data.draw(st.integers(1, 4))):
        image[data.draw(st.integers(0, 0x1FF))] = data.draw(st.integers(0, 255))
    assert refusal(authenticode, bytes(image[: data.draw(st.integers(0, len(image)))])) in {"", "measure.not-pe"}


def test_an_image_larger_than_any_is_refused_before_it_is_hashed(monkeypatch):
    monkeypatch.setattr("sealroom.measure.authenticode.MAX_IMAGE", len(IMAGE) - 1)
    assert refusal(authenticode, IMAGE) == "measure.not-pe"
