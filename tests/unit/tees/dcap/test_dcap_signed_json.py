"""The object inside Intel's signed JSON, byte for byte, whatever surrounds it."""

import contextlib
import json
import tracemalloc
from time import process_time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from sealroom.errors import MalformedError, SealroomError, UnverifiedError
from sealroom.tees._dcap.signed_json import MAX_SIGNED_JSON, read_object, signed_body, verify_signature
from sealroom.testing.intel import raw_signature

KEY = ec.generate_private_key(ec.SECP256R1())
BODY = b'{"id":"TDX","tcbLevels":[{"tcbStatus":"UpToDate"}]}'
SIGNATURE = raw_signature(KEY, BODY)


def counted(cases):
    """Cases by number: what they hold differs from run to run, as signatures do."""
    return {"argvalues": cases, "ids": [str(number) for number in range(len(cases))]}


def signed(body=BODY, signature=SIGNATURE):
    return b'{"tcbInfo":%b,"signature":"%b"}' % (body, signature.hex().encode())


def taken(raw):
    """The object, only if the signature is over exactly what was taken."""
    body, signature = signed_body(raw, "tcbInfo", area="test.area")
    verify_signature(body, signature, KEY.public_key(), area="test.area")
    return body


def refusal(raw):
    with pytest.raises(SealroomError) as error:
        taken(raw)
    return error.value.code


def test_the_object_is_taken_as_it_stands():
    assert taken(signed()) == BODY


@pytest.mark.parametrize("space", [b" ", b"\t", b"\n", b"\r\n", b" \n "])
@pytest.mark.parametrize("place", [b"{", b'"tcbInfo"', b":", b',"sig', b'"signature"', b"}"])
def test_spaces_around_the_object_are_not_part_of_it(space, place):
    raw = signed()
    edge = raw.rindex(place) if place == b"}" else raw.index(place)
    if place == b',"sig':
        outside = raw[:edge] + space + raw[edge : edge + 1] + space + raw[edge + 1 :]
    else:
        outside = raw[:edge] + space + raw[edge : edge + len(place)] + space + raw[edge + len(place) :]
    assert taken(outside) == BODY


@pytest.mark.parametrize("space", [b"\x00", b"\x0b", b"\x0c", b"\xc2\xa0", b"\xef\xbb\xbf"])
def test_nothing_but_the_spaces_of_json_is_passed_over(space):
    for raw in (space + signed(), signed() + space, signed().replace(b":{", b":" + space + b"{", 1)):
        assert refusal(raw) == "test.area"


@pytest.mark.parametrize("space", [b" ", b"\n", b"\t"])
def test_a_space_inside_the_object_is_another_text(space):
    assert refusal(signed().replace(b'"id":', b'"id":' + space)) == "test.area-signature"


def test_hexadecimal_digits_have_either_case():
    assert taken(signed().replace(SIGNATURE.hex().encode(), SIGNATURE.hex().upper().encode())) == BODY


@pytest.mark.parametrize("raw", **counted(
    [
        b"", b"{", b"{}", b"[]", b"null", b'"tcbInfo"', b'{"tcbInfo":{}}', b'{"tcbInfo":{},"signature":""}',
        signed()[:-1], signed() + b"x", signed() + b",", b"x" + signed(),
        signed().replace(b"tcbInfo", b"tcbinfo"), signed().replace(b"tcbInfo", b"enclaveIdentity"),
        signed().replace(b"tcbInfo", b"tcb\\u0049nfo"), signed().replace(b'"signature"', b'"Signature"'),
        signed().replace(b'"signature"', b"'signature'"), signed(signature=SIGNATURE[:63]),
        signed(signature=SIGNATURE + b"\x00"), signed(BODY[:-1] + b"]"), signed(b"[]"), signed(b'"{}"'),
        signed(b"null"), signed()[:-1] + b',"more":1}', signed()[:-1] + b",}", signed(BODY + b","),
        b'{"signature":"%b","tcbInfo":%b}' % (SIGNATURE.hex().encode(), BODY),
    ]
))  # fmt: skip
def test_anything_but_the_object_and_then_its_signature_is_malformed(raw):
    assert refusal(raw) == "test.area"


OTHER = b'{"id":"TDX","tcbLevels":[]}'


@pytest.mark.parametrize(
    "raw",
    **counted(
        [
            signed() + signed(),
            signed() + b"," + signed(),
            # what is taken reaches from the first member to the last signature: no second one stands beside it
            b'{"tcbInfo":%b,"tcbInfo":%b,"signature":"%b"}' % (OTHER, BODY, SIGNATURE.hex().encode()),
            b'{"tcbInfo":%b,"tcbInfo":%b,"signature":"%b"}' % (BODY, OTHER, SIGNATURE.hex().encode()),
            b'{"tcbInfo":%b,"signature":"%b","signature":"%b"}' % (BODY, b"00" * 64, SIGNATURE.hex().encode()),
            b'{"tcbInfo":%b,"signature":"%b","tcbInfo":%b,"signature":"%b"}'
            % (BODY, SIGNATURE.hex().encode(), OTHER, SIGNATURE.hex().encode()),
            b'{"tcbInfo":{"x":"\\",\\"tcbInfo\\":"},"tcbInfo":%b,"signature":"%b"}'
            % (BODY, SIGNATURE.hex().encode()),
        ]
    ),
)
def test_members_that_stand_twice_or_inside_a_string_move_no_border(raw):
    assert refusal(raw) in {"test.area", "test.area-signature"}


def test_the_name_of_the_member_may_stand_inside_a_string():
    body = b'{"id":"x","note":"\\",\\"signature\\":\\"' + b"00" * 64 + b'\\"}, {\\"tcbInfo\\":{}"}'
    assert taken(signed(body, raw_signature(KEY, body))) == body
    assert read_object(body, area="test.area")["id"] == "x"


@pytest.mark.parametrize(
    "signature",
    **counted(
        [
            bytes(64),
            bytes(32) + SIGNATURE[32:],
            SIGNATURE[:32] + bytes(32),
            b"\xff" * 64,
            SIGNATURE[32:] + SIGNATURE[:32],
        ]
    ),
)
def test_a_signature_of_zero_or_of_more_than_the_order_or_swapped_holds_for_nothing(signature):
    with pytest.raises(UnverifiedError, match="signature"):
        verify_signature(BODY, signature, KEY.public_key(), area="test.area")


@pytest.mark.parametrize("bit", [0, 255, 256, 511])
def test_every_bit_of_the_signature_counts(bit):
    flipped = (int.from_bytes(SIGNATURE, "big") ^ 1 << bit).to_bytes(64, "big")
    assert refusal(signed(signature=flipped)) == "test.area-signature"


def test_fault_08_written_again_by_a_json_library_it_is_another_text():
    body = b'{"tcbLevels":[], "id":"TDX"}'
    raw = signed(body, raw_signature(KEY, body))
    assert taken(raw) == body
    assert refusal(json.dumps(json.loads(raw)).encode()) == "test.area-signature"
    assert refusal(json.dumps(json.loads(raw), separators=(",", ":")).encode()) == "test.area-signature"
    assert refusal(signed(json.dumps(json.loads(body), sort_keys=True).encode())) == "test.area-signature"


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}', '{"a":[{"b":{"c":1,"c":2}}]}', '{"a":1,"\\u0061":2}',  # twice, at any depth, however spelt
        '{"a":NaN}', '{"a":Infinity}', '{"a":-Infinity}', '{"a":1.5}', '{"a":1e3}', '{"a":1E400}',
        '{"a":1234567890123456789}', '{"a":-1234567890123456789}', '{"a":' + "9" * 5000 + "}",
        "[]", '"x"', "1", "null", "", "{", '{"a":01}', '{"a":1,}', "{'a':1}", '{"a":1}x', '{"a":"\t"}',
        '\ufeff{"a":1}',
    ],
)  # fmt: skip
def test_what_is_no_plain_object_with_whole_numbers_is_malformed(text):
    with pytest.raises(MalformedError) as error:
        read_object(text.encode(), area="test.area")
    assert error.value.code == "test.area"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-32", "utf-8-sig", "latin-1"])
def test_only_utf_8_is_read(encoding):
    with pytest.raises(MalformedError):
        read_object('{"a":"é"}'.encode(encoding), area="test.area")


def test_half_a_surrogate_in_the_bytes_is_malformed():
    with pytest.raises(MalformedError):
        read_object(b'{"a":"\xed\xa0\x80"}', area="test.area")


def test_members_that_nobody_asks_for_are_let_be():
    assert read_object(b'{"a":null,"b":true,"c":[{}],"d":-3,"e":"\\u00e9"}', area="x")["d"] == -3


@pytest.mark.parametrize("size", [1000, 10_000, MAX_SIGNED_JSON // 2])
@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
def test_a_bomb_of_brackets_is_malformed(size, opening):
    with pytest.raises(MalformedError):
        read_object(('{"a":' + opening * size).encode(), area="test.area")
    with pytest.raises(MalformedError):
        read_object(('{"a":' + "[" * size + "]" * size + "}").encode(), area="test.area")


FLOODS = [b"[", b"9", b"\\", b'\\"', b'"', b",", b" ", b"{", b'{"tcbInfo":', b'"signature":"00",', b"\x00", b"\xff"]


@pytest.mark.parametrize("flood", FLOODS)
@pytest.mark.parametrize("size", [MAX_SIGNED_JSON - 400, 4 * 1024 * 1024])
def test_a_flood_of_any_kind_costs_little_time_and_memory(flood, size):
    filling = (flood * (size // len(flood) + 1))[:size]
    raws = (filling, b'{"tcbInfo":' + filling, signed(b'{"a":' + filling + b"}"), signed() + b"x" + filling,
            signed().replace(b'"signature":"', b'"signature":"' + filling))  # fmt: skip
    for raw in raws:
        tracemalloc.start()
        began = process_time()
        with contextlib.suppress(SealroomError):
            signed_body(raw, "tcbInfo", area="test.area")
        assert process_time() - began < 2
        assert tracemalloc.get_traced_memory()[1] < 4 * size  # a slice, and what the last error holds
        tracemalloc.stop()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_refused_or_read(raw):
    for text in (raw, b'{"tcbInfo":' + raw, signed(b"{" + raw + b"}"), signed() + raw):
        try:
            taken(text)
        except SealroomError:
            continue
    try:
        read_object(raw, area="test.area")
    except MalformedError:
        return


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(max_size=8), plain, max_size=5), st.booleans(), st.sampled_from([None, 1]))
def test_every_object_that_is_signed_comes_back_as_it_was(value, plain_ascii, indent):
    try:
        body = json.dumps(value, ensure_ascii=plain_ascii, indent=indent).encode()
    except UnicodeEncodeError:
        return
    assert taken(signed(body, raw_signature(KEY, body))) == body
    assert read_object(body, area="test.area") == value
