"""A bundle that was made small: what comes back is what went in, and nothing grows beyond what a bundle can be."""

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.client.session import evidence_body
from sealroom.collateral.bundle import MAX_BUNDLE_SIZE
from sealroom.collateral.compression import pack, unpack
from sealroom.errors import MalformedError, SealroomError

PACKED = pack(b"a bundle" * 100)


def code(call, *arguments):
    with pytest.raises(SealroomError) as refusal:
        call(*arguments)
    assert isinstance(refusal.value, MalformedError)
    return refusal.value.code


@given(st.binary(max_size=4096))
def test_what_was_packed_comes_back_and_others_read_it(bundle):
    assert unpack(pack(bundle)) == bundle
    assert gzip.decompress(pack(bundle)) == bundle
    assert pack(bundle) == pack(bundle)


def test_the_largest_bundle_comes_through_and_one_byte_more_does_not():
    assert len(unpack(pack(bytes(MAX_BUNDLE_SIZE)))) == MAX_BUNDLE_SIZE
    assert code(unpack, pack(bytes(MAX_BUNDLE_SIZE + 1))) == "bundle.too-large"
    assert code(unpack, bytes(MAX_BUNDLE_SIZE + 1)) == "bundle.too-large"


def test_a_bomb_is_not_built_before_it_is_refused():
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join([packer.compress(bytes(1 << 20)) for _ in range(512)]) + packer.flush()
    assert len(bomb) < 1 << 20
    tracemalloc.start()
    assert code(unpack, bomb) == "bundle.too-large"
    assert tracemalloc.get_traced_memory()[1] < 4 * MAX_BUNDLE_SIZE
    tracemalloc.stop()


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x1f\x8b", PACKED[:-1], PACKED[:20], PACKED + b"\0", PACKED + PACKED, b"a bundle", zlib.compress(b"a"),
     PACKED[:-8] + bytes(4) + PACKED[-4:], PACKED[:-4] + bytes(4)],
)  # fmt: skip
def test_what_is_not_one_whole_member_is_refused(raw):
    assert code(unpack, raw) == "bundle.compression"


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_our_words(raw):
    try:
        unpack(b"\x1f\x8b\x08" + raw)
    except MalformedError as error:
        assert error.code.startswith("bundle.")  # noqa: PT017 - most raise, some need not


def test_a_caller_takes_the_two_codings_that_it_knows():
    for coding in (None, "", "identity", " Identity "):
        assert evidence_body(b"plain", coding) == b"plain"
    assert evidence_body(PACKED, "gzip") == evidence_body(PACKED, "GZIP ") == b"a bundle" * 100


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "x-gzip", "zstd", "gzip;q=1", "\u0131dentity"])
def test_a_caller_refuses_a_coding_that_it_did_not_ask_for(coding):
    assert code(evidence_body, PACKED, coding) == "client.evidence-coding"


def test_a_caller_refuses_too_much_before_it_unpacks():
    assert code(evidence_body, bytes(MAX_BUNDLE_SIZE + 1), None) == "client.evidence-too-large"
    assert code(evidence_body, bytes(MAX_BUNDLE_SIZE + 1), "gzip") == "client.evidence-too-large"
    assert code(evidence_body, pack(bytes(MAX_BUNDLE_SIZE + 1)), "gzip") == "bundle.too-large"
