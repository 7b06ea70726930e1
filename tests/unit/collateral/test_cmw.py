"""Conceptual message wrappers in all of their forms, and whatever is none."""

import json

import pytest

from sealroom.cbor import Tagged, encode_cbor
from sealroom.collateral.cmw import CmwForm, Indicator, content_format_of, read_cmw
from sealroom.errors import MalformedError

TAG = 1668612070  # content format 64999, as in the draft's example
RECORD = ["application/eat+jwt", "I0faVQ"]
VALUE = bytes.fromhex("2347da55")


def js(value):
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("raw", "form", "kind"),
    [(js(RECORD), CmwForm.JSON_RECORD, "application/eat+jwt"),
     (encode_cbor([30001, VALUE]), CmwForm.CBOR_RECORD, 30001),
     (encode_cbor(["application/eat+cwt", VALUE]), CmwForm.CBOR_RECORD, "application/eat+cwt"),
     (encode_cbor(Tagged(TAG, VALUE)), CmwForm.CBOR_TAG, 64999),
     (js(['application/eat+cwt; eat_profile="urn:x"', "I0faVQ"]), CmwForm.JSON_RECORD,
      'application/eat+cwt; eat_profile="urn:x"')],
)  # fmt: skip
def test_one_message_in_each_form(raw, form, kind):
    record = read_cmw(raw)
    assert (record.form, record.type, record.value, record.indicator) == (form, kind, VALUE, None)


def test_an_indicator_has_five_bits():
    assert read_cmw(js([*RECORD, 4])).indicator is Indicator.EVIDENCE
    assert read_cmw(encode_cbor([1, b"x", 31])).indicator == 31
    for bad in (0, 32, -1, True, "4", None, 4.0):
        with pytest.raises(MalformedError, match=r"cmw\.record"):
            read_cmw(js([*RECORD, bad]))


@pytest.mark.parametrize(("tag", "number"), [(1668546817, 0), (1668546817 + 254, 254), (1668546817 + 256, 255),
                                             (1668612095, 65024)])  # fmt: skip
def test_a_tag_stands_for_a_content_format(tag, number):
    assert content_format_of(tag) == number


@pytest.mark.parametrize("tag", [0, 18, 1668546816, 1668612096, 1668546817 + 255, 2**63])
def test_a_tag_that_stands_for_none_is_refused(tag):
    with pytest.raises(MalformedError, match=r"cmw\.tag"):
        read_cmw(encode_cbor(Tagged(tag, b"")))


def test_collections_in_both_encodings_nest():
    inner = {"gpu": RECORD, "__cmwc_t": "1.3.6.1.4.1"}
    found = read_cmw(js({"__cmwc_t": "tag:example.com,2024:x", "cpu": RECORD, "devices": inner}))
    assert (found.form, found.type, list(found.members)) == (CmwForm.JSON_COLLECTION, "tag:example.com,2024:x",
                                                             ["cpu", "devices"])  # fmt: skip
    assert found.members["devices"].type == "1.3.6.1.4.1"
    assert found.members["devices"].members["gpu"].value == VALUE
    cbor = read_cmw(encode_cbor({0: [30001, VALUE, 4], "b": Tagged(TAG, VALUE)}))
    assert cbor.type is None
    assert cbor.members[0].indicator is Indicator.EVIDENCE
    assert cbor.members["b"].form is CmwForm.CBOR_TAG


def test_a_tunnel_leads_into_the_other_encoding_and_only_from_a_collection():
    j2c = ["#cmw-j2c-tunnel", js(RECORD)]
    assert read_cmw(encode_cbor({0: j2c})).members[0].form is CmwForm.JSON_RECORD
    c2j = ["#cmw-c2j-tunnel", "ghl1MUQjR9pV"]
    assert read_cmw(js({"a": c2j})).members["a"].type == 30001
    for raw in (encode_cbor(j2c), js(c2j), js({"a": ["#cmw-c2j-tunnel", "WyJhL2IiLCIiXQ"]}),
                encode_cbor({0: ["#cmw-j2c-tunnel", encode_cbor([1, b""])]}), js({"a": [*c2j, 1]}),
                encode_cbor({0: ["#cmw-j2c-tunnel", "text"]})):  # fmt: skip
        with pytest.raises(MalformedError, match=r"cmw\.record"):
            read_cmw(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\x00", b"x", b"\x84\x01\x02\x03\x04", b"\xf6", b" []", js([]), js(["a/b"]), js(["a/b", "eA", 1, 1]),
        js(["nothing", "eA"]), js(["a/b", ""]), js(["a/b", "eA=="]), js(["a/b", "e A"]), js(["a/b", "eB"]),
        js([1, "eA"]), js(["a/b", 1]),
        js([30001, "I0faVQ"]), b'{"a":["a/b","eA"],"a":["a/b","eA"]}', js({}), js({"__cmwc_t": "urn:x"}),
        js({"__cmwc_t": "no uri", "a": RECORD}), js({"__cmwc_t": 1, "a": RECORD}), js({"": RECORD}), js({"a": "x"}),
        js({"a": None}), js({"__cmwc_t": None, "a": RECORD}), js(RECORD) + b"x", encode_cbor([1, b""]) + b"\0",
        encode_cbor([-1, b""]), encode_cbor([65536, b""]), encode_cbor([True, b""]), encode_cbor([1, "text"]),
        encode_cbor([b"a/b", b""]), encode_cbor({b"bytes": [1, b""]}), encode_cbor(Tagged(TAG, "text")),
        encode_cbor(Tagged(TAG, [1, b""])), encode_cbor({0: 1}), b"\xa2\x00\x82\x01\x40\x00\x82\x01\x40", b"[" * 3000,
        js({"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": RECORD}}}}}}}}}),
        js({str(number): RECORD for number in range(257)}),
    ],
)  # fmt: skip
def test_what_is_no_wrapper_is_refused(raw):
    with pytest.raises(MalformedError, match=r"cmw\."):
        read_cmw(raw)


def test_a_wrapper_that_is_too_large_is_refused():
    with pytest.raises(MalformedError, match=r"cmw\.too-large"):
        read_cmw(b"[" + b" " * (4 << 20))


@pytest.mark.parametrize(
    "raw", [js({"a": RECORD}), encode_cbor({0: [30001, VALUE, 4]}), encode_cbor(Tagged(TAG, VALUE))]
)
def test_each_beginning_is_refused(raw):
    for end in range(len(raw)):
        with pytest.raises(MalformedError):
            read_cmw(raw[:end])
