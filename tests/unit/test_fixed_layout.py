"""A binary format declared as a table: nothing of it is skipped, nothing beside it is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.errors import MalformedError, MisuseError
from sealroom.fixed_layout import Field, Kind, Layout


def row(name, offset, size, kind, since=0):
    return Field(name=name, offset=offset, size=size, kind=kind, section="1.2", meaning="for tests", since=since)


FIELDS = (
    row("version", 0, 2, Kind.U16),
    row("gap", 2, 2, Kind.RESERVED),
    row("count", 4, 4, Kind.U32),
    row("name", 8, 4, Kind.BYTES),
    row("late", 12, 1, Kind.U8, since=3),
    row("tail", 13, 3, Kind.RESERVED),
)
LAYOUT = Layout("the thing", area="thing", size=16, fields=FIELDS)
RAW = bytes.fromhex("0200 0000 04030201 61626364 07 000000")


def test_integers_are_little_endian_and_octets_are_as_they_stand():
    values = LAYOUT.parse(RAW)
    assert dict(values) == {"version": 2, "count": 0x01020304, "name": b"abcd", "late": 7}


def test_every_length_but_the_right_one_is_refused():
    for size in range(40):
        if size == len(RAW):
            continue
        with pytest.raises(MalformedError) as error:
            LAYOUT.parse((RAW + bytes(40))[:size])
        assert error.value.code == "thing.wrong-length"


@pytest.mark.parametrize("offset", [2, 3, 13, 14, 15])
def test_a_reserved_byte_that_is_set_is_named_with_its_offset(offset):
    damaged = bytearray(RAW)
    damaged[offset] = 0x80
    with pytest.raises(MalformedError) as error:
        LAYOUT.parse(bytes(damaged))
    assert error.value.code == "thing.reserved-not-zero"
    assert error.value.where.startswith(f"0x{offset:03x}")
    assert error.value.got == "0x80"


def test_what_a_later_version_added_is_reserved_before_it():
    with pytest.raises(MalformedError):
        LAYOUT.at_version(2).parse(RAW)
    assert LAYOUT.at_version(3).parse(RAW)["late"] == 7


@given(st.binary(min_size=16, max_size=16))
def test_what_is_read_is_written_back_to_the_byte_or_refused(raw):
    try:
        values = LAYOUT.parse(raw)
    except MalformedError:
        assert any(raw[2:4] + raw[13:])
    else:
        assert LAYOUT.pack(values) == raw


@pytest.mark.parametrize(
    "fields",
    [
        FIELDS[:-1],  # does not reach the end
        (*FIELDS[:1], *FIELDS[2:]),  # a gap
        (*FIELDS[:2], row("count", 3, 5, Kind.BYTES), *FIELDS[3:]),  # an overlap
        (*FIELDS[:2], row("count", 4, 4, Kind.U64), *FIELDS[3:]),  # a size that its kind has not
        (*FIELDS[:5], row("name", 13, 3, Kind.BYTES)),  # one name twice
    ],
)
def test_a_table_that_does_not_cover_every_byte_once_can_not_be_made(fields):
    with pytest.raises(MisuseError):
        Layout("the thing", area="thing", size=16, fields=fields)


def test_a_field_asked_for_as_what_it_is_not_is_a_mistake_of_ours():
    values = LAYOUT.parse(RAW)
    with pytest.raises(MisuseError):
        values.octets("version")
    with pytest.raises(MisuseError):
        values.integer("name")
    with pytest.raises(MisuseError):
        LAYOUT.where("no such field")


@pytest.mark.parametrize(
    "change", [{"name": b"abc"}, {"count": 1 << 32}, {"count": -1}, {"unknown": 1}, {"version": b"xx"}]
)
def test_values_that_do_not_fit_can_not_be_packed(change):
    with pytest.raises(MisuseError):
        LAYOUT.pack(dict(LAYOUT.parse(RAW)) | change)


def test_the_reference_page_has_a_row_for_every_field():
    lines = LAYOUT.markdown().splitlines()
    assert len(lines) == 2 + len(FIELDS)
    assert "| 0x00C | 1 | `late` | u8 | v3 | 1.2 | for tests |" in lines
