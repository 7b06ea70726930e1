"""The reader of other people's CBOR, held against cbor2: what both take means the same, and ours takes no more."""

import math
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.cbor import Tagged, encode_cbor, is_encoding, read_cbor, read_cbor_prefix
from sealroom.errors import MalformedError

_KEYS = st.integers(-(2**64), 2**64 - 1) | st.text(max_size=8) | st.binary(max_size=8)
_LEAVES = st.none() | st.booleans() | _KEYS
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4), max_leaves=12
)


@given(_VALUES, st.binary(min_size=1, max_size=3))
def test_an_encoding_is_the_whole_of_it_and_no_more(value: Any, more: bytes) -> None:
    raw = encode_cbor(value)
    assert is_encoding(raw, value)
    assert not is_encoding(raw + more, value)
    assert not is_encoding(raw[:-1], value)
    assert not is_encoding(bytes((raw[0] ^ 1,)) + raw[1:], value)


@given(_VALUES)
def test_what_cbor2_writes_is_read_as_it_was_meant(value: Any) -> None:
    assert read_cbor(cbor2.dumps(value)) == value


@given(_VALUES)
def test_what_is_written_is_cbor2s_canonical_form(value: Any) -> None:
    """RFC 8949 orders keys by their bytes; cbor2's older order agrees where all have one length, so it reads ours."""
    assert cbor2.loads(encode_cbor(value)) == value
    assert read_cbor(encode_cbor(value)) == value


@given(st.binary(max_size=48))
def test_any_bytes_that_are_read_mean_to_cbor2_the_same(raw: bytes) -> None:
    try:
        value, rest = read_cbor_prefix(raw)
    except MalformedError:
        return
    if not _has_tag(value):  # cbor2 makes dates, numbers and sets of tags; ours leaves them to the format's reader
        assert _same(cbor2.loads(raw[: len(raw) - len(rest)]), value)


@pytest.mark.parametrize("raw", ["a2010102", "a201010102", "a1f501", "a1810001", "a1f90000" + "01"])
def test_maps_that_two_readers_could_read_differently_are_refused(raw: str) -> None:
    with pytest.raises(MalformedError):
        read_cbor(bytes.fromhex(raw))


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("", "cbor.cbor-truncated"),
        ("18", "cbor.cbor-truncated"),
        ("5b7fffffffffffffff", "cbor.cbor-truncated"),
        ("9b7fffffffffffffff", "cbor.cbor-too-many"),
        ("bb7fffffffffffffff", "cbor.cbor-too-many"),
        ("9f" + "00" * 4096 + "ff", "cbor.cbor-too-many"),
        ("bf" + "".join(f"19{key:04x}00" for key in range(2048)) + "ff", "cbor.cbor-too-many"),
        ("82" + 2 * ("9f" + "00" * 2047 + "ff"), "cbor.cbor-too-many"),
        ("0000", "cbor.cbor-trailing"),
        ("81" * 200 + "00", "cbor.cbor-too-deep"),
        ("61ff", "cbor.cbor-not-utf8"),
        ("7f61c361a9ff", "cbor.cbor-not-utf8"),
        ("5f6100ff", "cbor.cbor-chunk"),
        ("5f5f4100ffff", "cbor.cbor-chunk"),
        ("1c", "cbor.cbor-reserved"),
        ("ff", "cbor.cbor-simple-value"),
        ("f7", "cbor.cbor-simple-value"),
        ("f820", "cbor.cbor-simple-value"),
        ("f97e00", "cbor.cbor-simple-value"),
        ("fb7ff0000000000000", "cbor.cbor-simple-value"),
        ("a1f600", "cbor.cbor-key-type"),
        ("a201000100", "cbor.cbor-duplicate-key"),
        ("a201001801" + "00", "cbor.cbor-duplicate-key"),
        ("bf01000100ff", "cbor.cbor-duplicate-key"),
    ],
)
def test_each_fault_has_its_own_code(raw: str, code: str) -> None:
    with pytest.raises(MalformedError) as caught:
        read_cbor(bytes.fromhex(raw))
    assert caught.value.code == code


def test_indefinite_lengths_are_read() -> None:
    raw = bytes.fromhex("bf 61 61 9f 02 03 ff 61 62 5f 42 01 02 41 03 ff ff")
    assert read_cbor(raw) == {"a": [2, 3], "b": b"\1\2\3"}


def test_fault_gpu_cloud_23_a_map_under_a_tag_is_a_map_like_any_other() -> None:
    tagged = read_cbor(bytes.fromhex("d9018f a1 01 a1 02 03"))
    assert isinstance(tagged, Tagged)
    assert type(tagged.value) is dict
    assert tagged == Tagged(399, {1: {2: 3}})


def _has_tag(value: Any) -> bool:
    if isinstance(value, Tagged):
        return True
    if isinstance(value, dict):
        return any(map(_has_tag, value.values()))
    return isinstance(value, list) and any(map(_has_tag, value))


def _same(theirs: Any, ours: Any) -> bool:
    if isinstance(ours, float):
        return isinstance(theirs, float) and math.isclose(theirs, ours, rel_tol=0)
    if isinstance(ours, dict):
        return set(theirs) == set(ours) and all(_same(theirs[key], ours[key]) for key in ours)
    if isinstance(ours, list):
        return len(theirs) == len(ours) and all(map(_same, theirs, ours))
    return bool(theirs == ours and type(theirs) is type(ours))
