"""SIGSTRUCTs: what they say, that each byte is vouched for, and what lets an enclave be debugged."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_images import enclave_key, refusal, sigstruct

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.measure.sigstruct import read_sigstruct

RAW = sigstruct()
CODES = {"sigstruct.malformed", "sigstruct.signature", "sigstruct.quotients"}


def test_what_it_says():
    signed = read_sigstruct(RAW)
    modulus = enclave_key().public_key().public_numbers().n
    assert signed.mr_enclave == hashlib.sha256(b"enclave").digest()
    assert signed.mr_signer == hashlib.sha256(modulus.to_bytes(384, "little")).digest()
    assert (signed.isv_prod_id, signed.isv_svn, signed.date, signed.vendor) == (7, 9, "20261123", 0)
    assert (signed.attributes[0], signed.attribute_mask[0], signed.misc_select) == (4, 0xFF, 0)


@pytest.mark.parametrize(
    ("attributes", "mask", "allowed", "forbidden"),
    [(4, 0xFF, False, True), (6, 0xFF, True, False), (4, 0xFD, False, False), (6, 0xFD, True, False)],
)
def test_when_an_enclave_can_be_debugged(attributes, mask, allowed, forbidden):
    signed = read_sigstruct(sigstruct(attributes=attributes, mask=mask))
    assert (signed.debug_allowed, signed.debug_forbidden) == (allowed, forbidden)


def test_no_byte_can_be_changed():
    """Each is signed, or is the signature, or must be as it is."""
    for at in range(len(RAW)):
        changed = bytearray(RAW)
        changed[at] ^= 1 << at % 8
        assert refusal(read_sigstruct, bytes(changed)) in CODES, at


def test_no_byte_can_be_missing_or_more():
    for length in (*range(0, len(RAW), 50), 1807, 1809, 3616):
        with pytest.raises(MalformedError):
            read_sigstruct((RAW * 2)[:length])


@pytest.mark.parametrize(
    "changed",
    [
        {"at_0": b"\x07"},
        {"at_16": b"\x01"},
        {"at_24": b"\x02"},
        {"at_44": b"\x01"},
        {"at_127": b"\x01"},
        {"at_910": b"\x01"},
        {"at_992": b"\x01"},
        {"at_1007": b"\x01"},
        {"at_1028": b"\x01"},
        {"at_1039": b"\x01"},
        {"at_512": b"\x01\x00\x01\x00"},
        {"at_128": b"\x00"},
        {"at_511": b"\x00"},
    ],
    ids=str,
)
def test_what_no_processor_would_start_is_refused_though_signed(changed):
    """Signed anew after the change, so that this check alone can refuse (Intel SDM, EINIT)."""
    with pytest.raises(MalformedError) as refused:
        read_sigstruct(sigstruct(**changed))
    assert refused.value.code == "sigstruct.malformed"


def test_intel_as_vendor_and_any_word_of_the_author_are_taken():
    assert read_sigstruct(sigstruct(at_16=b"\x86\x80\x00\x00", at_40=b"\xff\xff\xff\xff")).vendor == 0x8086


@pytest.mark.parametrize("at", [1040, 1424])
def test_wrong_quotients_are_told_apart_from_a_wrong_signature(at):
    changed = bytearray(RAW)
    changed[at] ^= 1
    with pytest.raises(UnverifiedError) as refused:
        read_sigstruct(bytes(changed))
    assert refused.value.code == "sigstruct.quotients"
    changed[960] ^= 1
    assert refusal(read_sigstruct, bytes(changed)) == "sigstruct.signature"


def test_a_signature_not_less_than_the_modulus_is_refused():
    modulus = enclave_key().public_key().public_numbers().n
    for number in (modulus, modulus + 1, (1 << 3072) - 1):
        changed = RAW[:516] + number.to_bytes(384, "little") + RAW[900:]
        assert refusal(read_sigstruct, changed) == "sigstruct.malformed"


@given(st.binary(min_size=384, max_size=384), st.binary(min_size=384, max_size=384))
def test_no_key_and_no_signature_raise_anything_foreign(modulus, signature):
    raw = RAW[:128] + modulus + RAW[512:516] + signature + RAW[900:]
    assert refusal(read_sigstruct, raw) in CODES
