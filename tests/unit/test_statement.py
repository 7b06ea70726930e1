"""The room statement has one encoding; whatever differs from it is refused."""

import hashlib
import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from sealroom.errors import MalformedError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.policy.subject import statement_window
from sealroom.statement import MAX_STATEMENT_SIZE, RoomStatement, _canonical, parse_statement, statement_members

_DEVICE = {"name": "gpu0", "tee": "nvidia", "evidence": "sha256:" + "11" * 32,
           "collateral": {"cert_chain": "sha256:" + "22" * 32}}  # fmt: skip
_MADE = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
STATEMENT = RoomStatement(
    nonce=bytes(range(32)),
    key_configs=b"\x00\x01\x02",
    model_name="SmolLM2-135M-Instruct",
    model_version=3,
    model_digest=b"\x11" * 32,
    package_digest=b"\x22" * 32,
    engine_name="llama.cpp",
    engine_version="b11549",
    engine_config_digest=b"\x33" * 32,
    sandbox_layers=("landlock", "seccomp"),
    software_version="0.1.0",
    created_at=_MADE,
    not_after=_MADE + timedelta(hours=1),
)
_RAW = STATEMENT.encode()


def _with(**members: Any) -> bytes:
    return rfc8785.dumps({**json.loads(_RAW), **members})


def _code_of(raw: bytes) -> str:
    with pytest.raises(MalformedError) as refused:
        parse_statement(raw)
    return refused.value.code


def test_a_statement_comes_back_as_it_was_written() -> None:
    assert parse_statement(_RAW) == STATEMENT


def test_every_field_is_a_member_so_that_none_goes_unbound() -> None:
    assert set(statement_members(STATEMENT)) == {"version", *(member.name for member in fields(RoomStatement))}


def test_a_time_of_another_zone_is_written_in_utc() -> None:
    elsewhere = timezone(timedelta(hours=2))
    moved = replace(STATEMENT, created_at=_MADE.astimezone(elsewhere))

    assert moved.encode() == _RAW


def test_a_statement_cut_at_any_byte_is_refused() -> None:
    assert {_code_of(_RAW[:size]) for size in range(len(_RAW))} == {"statement.not-json"}


@pytest.mark.parametrize("extra", [b" ", b"\n", b"x", b"\x00", b"{}"])
def test_one_byte_too_many_is_refused(extra: bytes) -> None:
    assert _code_of(_RAW + extra) in {"statement.not-json", "statement.not-canonical"}


@given(st.integers(0, len(_RAW) - 1), st.integers(1, 255))
def test_no_changed_byte_reads_as_the_same_statement(index: int, difference: int) -> None:
    changed = bytearray(_RAW)
    changed[index] ^= difference
    try:
        read = parse_statement(bytes(changed))
    except MalformedError:
        return
    assert read != STATEMENT


@pytest.mark.parametrize("name", sorted(json.loads(_RAW)))
def test_a_missing_member_is_refused(name: str) -> None:
    members = json.loads(_RAW)
    del members[name]

    assert _code_of(rfc8785.dumps(members)) == "statement.missing-member"


def test_a_member_that_the_version_does_not_know_is_refused() -> None:
    assert _code_of(_with(gpu="spliced in")) == "statement.unknown-member"


def test_a_member_given_twice_is_refused_whichever_value_a_reader_would_take() -> None:
    twice = _RAW.replace(b'"model_version":3', b'"model_version":3,"model_version":4')

    assert _code_of(twice) == "statement.duplicate-member"


@pytest.mark.parametrize("version", [0, 1, 3, "2", True, None])
def test_another_version_is_refused(version: object) -> None:
    assert _code_of(_with(version=version)) == "statement.version"


@pytest.mark.parametrize("number", ["3.0", "3e0", "NaN", "Infinity", "1e999"])
def test_a_number_that_is_no_plain_integer_is_refused(number: str) -> None:
    assert _code_of(_RAW.replace(b'"model_version":3', f'"model_version":{number}'.encode())) == "statement.not-json"


def test_a_number_of_ten_thousand_digits_is_refused_and_no_foreign_error_escapes() -> None:
    assert _code_of(_RAW.replace(b":3,", b":" + b"3" * 10_000 + b",")) == "statement.not-json"


def test_nesting_without_end_is_refused() -> None:
    assert _code_of(b"[" * 60_000) == "statement.not-json"


def test_white_space_and_another_order_are_refused() -> None:
    members = json.loads(_RAW)
    shuffled = json.dumps(dict(reversed(members.items())), separators=(",", ":")).encode()

    assert _code_of(json.dumps(members, sort_keys=True).encode()) == "statement.not-canonical"
    assert _code_of(shuffled) == "statement.not-canonical"
    assert _code_of(_RAW.replace(b"llama", b"\\u006clama")) == "statement.not-canonical"


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"1", b"null", b'"x"', b"\xef\xbb\xbf" + _RAW, _RAW.decode().encode("utf-16")]
)
def test_what_is_no_object_in_utf8_is_refused(raw: bytes) -> None:
    assert _code_of(raw) == "statement.not-json"


def test_a_lone_surrogate_is_refused() -> None:
    assert _code_of(_RAW.replace(b"llama.cpp", b"\\ud800")).startswith("statement.")


def test_a_statement_made_at_the_end_of_time_overflows_nobodys_clock() -> None:
    # every genuine guest may sign such a time, and whoever adds an age to it would fail in an unforeseen way
    assert (
        _code_of(_with(created_at="9999-12-31T23:59:58Z", not_after="9999-12-31T23:59:59Z")) == "statement.bad-value"
    )
    far = parse_statement(_with(created_at="2999-12-31T23:59:58Z", not_after="2999-12-31T23:59:59Z"))
    assert statement_window(far, timedelta(days=31)).not_after == far.not_after


def test_a_huge_statement_is_refused_before_it_is_read() -> None:
    assert _code_of(b" " * (MAX_STATEMENT_SIZE + 1)) == "statement.too-large"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nonce", "00" * 31),
        ("nonce", "AB" * 32),
        ("nonce", 7),
        ("nonce", "\u0660" * 64),
        ("key_configs", ""),
        ("key_configs", "AAE="),
        ("key_configs", "AAF"),
        ("key_configs", "A"),
        ("key_configs", "A" * 12_000),
        ("key_configs", "+/+/"),
        ("model_name", ""),
        ("model_name", "x" * 201),
        ("model_name", "\x1b[2J"),
        ("model_name", "a\nb"),
        ("model_name", "a\u202eb"),
        ("model_version", 0),
        ("model_version", -1),
        ("model_version", True),
        ("model_version", "3"),
        ("model_digest", "11" * 32),
        ("model_digest", "sha256:" + "11" * 31),
        ("package_digest", "sha512:" + "11" * 32),
        ("engine_config_digest", None),
        ("sandbox_layers", "landlock"),
        ("sandbox_layers", ["landlock", "landlock"]),
        ("sandbox_layers", [1]),
        ("sandbox_layers", [f"layer {number}" for number in range(33)]),
        ("created_at", "2026-11-23T12:00:00+00:00"),
        ("created_at", "2026-11-23T12:00:00.5Z"),
        ("created_at", "2026-02-30T12:00:00Z"),
        ("created_at", "1999-11-23T12:00:00Z"),
        ("not_after", "2026-11-23T12:00:00Z"),
        ("not_after", 1_800_000_000),
        ("devices", [{"label": "gpu0"}]),
        ("devices", [_DEVICE | {"name": "GPU0"}]),
        ("devices", [_DEVICE | {"tee": "snp"}]),
        ("devices", [_DEVICE | {"evidence": "sha256:00"}]),
        ("devices", [_DEVICE | {"collateral": []}]),
        ("devices", [_DEVICE | {"collateral": {"Chain": _DEVICE["evidence"]}}]),
        ("devices", [_DEVICE | {"more": 1}]),
        ("devices", [_DEVICE, _DEVICE]),
        ("devices", [_DEVICE, _DEVICE | {"name": "a"}]),
        ("devices", [_DEVICE | {"name": f"g{number:02d}"} for number in range(65)]),
        ("devices", {}),
        ("devices", None),
    ],
)
def test_a_value_of_another_form_is_refused_by_its_member(name: str, value: object) -> None:
    with pytest.raises(MalformedError) as refused:
        parse_statement(_with(**{name: value}))

    assert refused.value.code == "statement.bad-value"
    assert str(refused.value.where).split(".")[0] == name


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": bytes(31)},
        {"model_name": "a\tb"},
        {"model_version": 2**53},
        {"not_after": _MADE},
        {"created_at": datetime(2026, 11, 23, 12)},  # noqa: DTZ001 - a time without a zone is the point
        {"created_at": _MADE + timedelta(microseconds=1)},
        {"key_configs": b""},
    ],
)
def test_a_writer_refuses_what_its_reader_would_refuse(change: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        replace(STATEMENT, **change).encode()


@given(st.binary(max_size=200))
def test_no_bytes_at_all_raise_anything_but_our_own_refusal(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_statement(raw)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(json.loads(_RAW))), _JSON)
def test_any_json_in_any_member_is_read_back_exactly_or_refused(name: str, value: object) -> None:
    try:
        raw = _with(**{name: value})
        read = parse_statement(raw)
    except (MalformedError, rfc8785.CanonicalizationError, UnicodeEncodeError):
        return
    assert read.encode() == raw


def test_devices_come_back_in_the_order_of_their_names() -> None:
    collected = {
        name: CollectedEvidence(tee=Tee.NVIDIA, raw=name.encode(), collateral=Collateral(items={"cert_chain": b"c"}))
        for name in ("switch0", "gpu1", "gpu0")
    }
    stated = STATEMENT.with_devices(collected)

    assert parse_statement(stated.encode()) == stated
    assert [device.name for device in stated.devices] == ["gpu0", "gpu1", "switch0"]
    assert stated.devices[0].evidence == hashlib.sha256(b"gpu0").digest()
    assert stated.devices[0].collateral == {"cert_chain": hashlib.sha256(b"c").digest()}
    assert stated.without_devices() == STATEMENT.encode()


@given(
    st.dictionaries(
        st.sampled_from(["nonce", "devices", "a", "Z", "model_name"]),
        st.recursive(
            st.text() | st.integers(-(2**53) + 1, 2**53 - 1) | st.booleans() | st.none(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(max_codepoint=0x7F)), inner),
        ),
    )
)
def test_our_writer_writes_what_rfc_8785_says_for_all_that_a_statement_can_have(document):
    assert _canonical(document) == rfc8785.dumps(document)
