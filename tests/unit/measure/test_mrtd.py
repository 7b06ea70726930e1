"""MRTD of TDX firmware: both orders by hand, what is measured and what is not, and every refusal."""

import hashlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_images import (
    FOOTER,
    PAGE,
    SEV_RESET,
    TDX_DESCRIPTOR,
    TDX_OFFSET,
    TDX_SECTIONS,
    refusal,
    tdx_firmware,
    u32,
    with_table,
)

from sealroom.errors import MalformedError
from sealroom.measure.guid_table import MAX_FIRMWARE, read_guid_table
from sealroom.measure.mrtd import measure_mrtd
from sealroom.measure.tdvf import read_tdvf

FIRMWARE = tdx_firmware()
BFV = TDX_SECTIONS[0]


def add(address):
    return struct.pack("<16sQ104x", b"MEM.PAGE.ADD", address)


def extend(address, content):
    """TDH.MR.EXTEND over one page: 16 chunks."""
    chunks = [content[at : at + 256] for at in range(0, PAGE, 256)]
    return b"".join(struct.pack("<16sQ104x", b"MR.EXTEND", address + 256 * number) + chunk
                    for number, chunk in enumerate(chunks))  # fmt: skip


def test_pages_one_by_one_by_hand():
    record = add(0xFFFFE000) + extend(0xFFFFE000, FIRMWARE[:PAGE]) + add(0xFFFFF000)
    record += add(0x810000) + add(0x811000) + add(0x809000)
    assert measure_mrtd(FIRMWARE).per_page == hashlib.sha384(record).digest()


def test_a_section_of_two_pages_in_both_orders_by_hand():
    firmware = tdx_firmware([(0, 0x1800, 0xFFFFE000, 0x2000, 0, 1), *TDX_SECTIONS[2:4]])
    pages = [(0xFFFFE000, firmware[:PAGE]), (0xFFFFF000, firmware[PAGE:0x1800].ljust(PAGE, b"\x00"))]
    rest = add(0x810000) + add(0x811000) + add(0x809000)
    one_by_one = b"".join(add(address) + extend(address, page) for address, page in pages)
    all_first = b"".join(add(address) for address, _ in pages) + b"".join(extend(*page) for page in pages)
    measured = measure_mrtd(firmware)
    assert measured.per_page == hashlib.sha384(one_by_one + rest).digest()
    assert measured.two_pass == hashlib.sha384(all_first + rest).digest()


def test_every_region_measured_by_hand():
    record = b""
    for offset, raw, address, memory, _, attributes in TDX_SECTIONS:
        content = FIRMWARE[offset : offset + raw].ljust(memory, b"\x00")
        for at in range(0, memory if not attributes & 2 else 0, PAGE):
            record += add(address + at) + extend(address + at, content[at : at + PAGE])
    assert measure_mrtd(FIRMWARE).all_regions == hashlib.sha384(record).digest()


def test_what_is_not_measured_changes_nothing_and_the_rest_does():
    values = measure_mrtd(FIRMWARE)
    variables = bytearray(FIRMWARE)
    variables[0x1000] ^= 1
    code = bytearray(FIRMWARE)
    code[0xFFF] ^= 1
    assert measure_mrtd(bytes(variables)).per_page == values.per_page
    assert measure_mrtd(bytes(variables)).all_regions != values.all_regions
    assert measure_mrtd(bytes(code)).per_page != values.per_page
    assert measure_mrtd(tdx_firmware([*TDX_SECTIONS[:4], (0, 0, 0x200000, 0x5000, 4, 2)])).per_page == values.per_page
    assert measure_mrtd(tdx_firmware([*TDX_SECTIONS[1:], BFV])).per_page != values.per_page


def test_sections_are_read_as_they_stand():
    sections = read_tdvf(FIRMWARE).sections
    assert [section.type for section in sections] == ["BFV", "CFV", "TempMem", "TD_HOB", "PermMem"]
    assert [(section.extended, section.augmented) for section in sections] == [
        (True, False), (False, False), (False, False), (False, False), (False, True),
    ]  # fmt: skip
    image = read_tdvf(FIRMWARE)
    assert image.only("CFV") == sections[1]
    assert image.only("Payload") is None
    assert read_tdvf(tdx_firmware([BFV, TDX_SECTIONS[1], TDX_SECTIONS[1]])).only("CFV") is None


@pytest.mark.parametrize("kind", [7, 8])
def test_td_shims_words_about_an_image_have_no_place_in_memory(kind):
    """td-shim specification: MemoryAddress and MemoryDataSize of TD_INFO are zero; it lies inside the BFV."""
    with_words = tdx_firmware([*TDX_SECTIONS, (0x100, 0x200, 0, 0, kind, 0)], pages=2)
    measured = measure_mrtd(with_words)
    assert measured.image.sections[-1].memory_size == 0
    record = add(0xFFFFE000) + extend(0xFFFFE000, with_words[:PAGE]) + add(0xFFFFF000)
    record += add(0x810000) + add(0x811000) + add(0x809000)
    assert measured.per_page == hashlib.sha384(record).digest()


def section(index=0, **changed):
    row = dict(zip(("offset", "raw", "address", "memory", "kind", "attributes"), TDX_SECTIONS[index], strict=True))
    return tuple((row | changed).values())


@pytest.mark.parametrize(
    ("code", "firmware"),
    [
        ("measure.firmware-size", FIRMWARE[:-1]),
        ("measure.firmware-size", b""),
        ("measure.firmware-table", FIRMWARE[:PAGE]),
        ("measure.firmware-table", with_table(b"", {}, footer=SEV_RESET)),
        ("measure.tdvf", with_table(b"", {})),
        ("measure.tdvf", with_table(b"", {SEV_RESET: u32(4)})),
        ("measure.tdvf", with_table(b"", {TDX_OFFSET: b"\x01\x00"})),
        ("measure.tdvf", with_table(b"", {TDX_OFFSET: u32(0)})),
        ("measure.tdvf", with_table(b"", {TDX_OFFSET: u32(PAGE)})),
        ("measure.tdvf", with_table(b"", {TDX_OFFSET: u32(0xFFFFFFFF)})),
        ("measure.tdvf", tdx_firmware(descriptor=TDX_OFFSET)),
        ("measure.tdvf", tdx_firmware(signature=b"TDVX")),
        ("measure.tdvf", tdx_firmware(version=2)),
        ("measure.tdvf", tdx_firmware(count=4)),
        ("measure.tdvf", tdx_firmware(count=0)),
        ("measure.tdvf", tdx_firmware([])),
        ("measure.tdvf", tdx_firmware(size=16)),
        ("measure.tdvf", tdx_firmware([section(kind=9)])),
        ("measure.tdvf", tdx_firmware([section(attributes=4)])),
        ("measure.tdvf", tdx_firmware([section(address=0xFFFFE001)])),
        ("measure.tdvf", tdx_firmware([section(memory=0x1001)])),
        ("measure.tdvf", tdx_firmware([section(memory=0)])),
        ("measure.tdvf", tdx_firmware([section(3, memory=0)])),
        ("measure.tdvf", tdx_firmware([section(raw=0x1001)])),
        ("measure.tdvf", tdx_firmware([section(offset=0x1001)])),
        ("measure.tdvf", tdx_firmware([section(offset=0xFFFFFFFF)])),
        ("measure.tdvf", tdx_firmware([section(address=(1 << 64) - PAGE)])),
        ("measure.tdvf", tdx_firmware([section(address=1 << 52)])),
        ("measure.tdvf", tdx_firmware([section(3, memory=1 << 37)])),
        ("measure.tdvf", tdx_firmware([section(3, memory=1 << 29)])),
        ("measure.tdvf", tdx_firmware([section(kind=7, address=PAGE, memory=0)])),
    ],
)
def test_a_firmware_that_does_not_hold_together_is_refused(code, firmware):
    with pytest.raises(MalformedError) as refused:
        measure_mrtd(firmware)
    assert refused.value.code == code


def test_larger_than_any_firmware_is_refused_before_it_is_read():
    assert refusal(measure_mrtd, bytes(MAX_FIRMWARE + PAGE)) == "measure.firmware-size"


def test_the_table_gives_each_entry_once_and_none_that_does_not_fit():
    first, second = TDX_OFFSET, SEV_RESET
    assert read_guid_table(with_table(b"", {first: b"1234", second: b""})) == {first: b"1234", second: b""}
    for wrong in (0, 17, 23, 0xFFFF):
        image = bytearray(with_table(b"", {TDX_OFFSET: b"data"}))
        image[-32 - 18 - 18 : -32 - 18 - 16] = wrong.to_bytes(2, "little")
        assert refusal(read_guid_table, bytes(image)) == "measure.firmware-table"
    for wrong in (0, 17, 19, 41, 0xFFFF):
        image = bytearray(with_table(b"", {TDX_OFFSET: b"data"}))
        image[-32 - 18 : -32 - 16] = wrong.to_bytes(2, "little")
        assert refusal(read_guid_table, bytes(image)) == "measure.firmware-table", wrong


def test_an_entry_twice_is_refused():
    once = with_table(b"", {TDX_OFFSET: b"data", SEV_RESET: b"data"})
    twice = once.replace(with_guid(SEV_RESET), with_guid(TDX_OFFSET))
    assert refusal(read_guid_table, twice) == "measure.firmware-table"


def with_guid(text):
    first, second, third, *rest = text.split("-")
    return struct.pack("<IHH", int(first, 16), int(second, 16), int(third, 16)) + bytes.fromhex("".join(rest))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_change_to_the_metadata_raises_anything_foreign(data):
    image = bytearray(FIRMWARE)
    for _ in range(data.draw(st.integers(1, 3))):
        image[data.draw(st.integers(len(image) - 1040, len(image) - 1))] = data.draw(st.integers(0, 255))
    assert refusal(read_tdvf, bytes(image)) in {"", "measure.tdvf", "measure.firmware-table"}


def test_as_many_sections_as_there_may_be():
    assert len(measure_mrtd(tdx_firmware([BFV, *TDX_SECTIONS[1:2] * 63])).image.sections) == 64
    with pytest.raises(MalformedError) as refused:
        measure_mrtd(tdx_firmware([BFV, *TDX_SECTIONS[1:2] * 64]))
    assert str(refused.value.got).startswith("65 sections")


def test_tables_that_claim_more_than_the_image_has_before_them():
    """Entries that fill the image to its first byte, and a table that goes on; or that leaves less than an entry."""
    for claimed, filled in ((0xFFFF, PAGE - 50), (PAGE - 32, PAGE - 50 - 5)):
        image = bytearray(PAGE)
        image[-50:-32] = struct.pack("<H", claimed) + with_guid(FOOTER)
        image[-68:-50] = struct.pack("<H", filled) + with_guid(TDX_OFFSET)
        assert refusal(read_guid_table, bytes(image)) == "measure.firmware-table"


def with_tail(offset, tail):
    """An image that ends with ``tail``, behind the table, and whose metadata are said to be ``offset`` before it."""
    image = with_table(b"", {TDX_OFFSET: u32(offset)})
    return image[: -len(tail)] + tail


@pytest.mark.parametrize(
    "firmware",
    [
        with_tail(8, with_guid(TDX_DESCRIPTOR) + b"TDVF" + u32(48)),
        with_tail(16, with_guid(TDX_DESCRIPTOR) + struct.pack("<4sIII", b"TDVF", 48, 1, 1)),
        with_table(FIRMWARE[:-0x400], {TDX_OFFSET: u32(0x400) + bytes(4)}),
    ],
    ids=["head", "sections", "offset"],
)
def test_metadata_that_end_behind_the_image_are_refused(firmware):
    assert refusal(read_tdvf, firmware) == "measure.tdvf"


def test_an_offset_larger_than_the_image_does_not_count_from_its_other_end():
    entry = FIRMWARE[-50 - 18 - 4 : -50 - 18]
    offset = int.from_bytes(entry, "little")
    assert refusal(read_tdvf, FIRMWARE) == ""
    assert refusal(read_tdvf, FIRMWARE[:-72] + u32(offset + len(FIRMWARE)) + FIRMWARE[-68:]) == "measure.tdvf"
