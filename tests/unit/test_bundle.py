"""An evidence bundle has one encoding; nothing unread can ride along."""

import hashlib
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.collateral import EvidenceBundle, parse_bundle
from sealroom.collateral.bundle import MAX_BUNDLE_SIZE
from sealroom.collateral.deterministic_cbor import CborValue, decode, encode
from sealroom.errors import MalformedError
from sealroom.evidence import Collateral, CollectedEvidence, Tee

_BUNDLE = EvidenceBundle(
    statement=b'{"said":"by the room"}',
    cpu=CollectedEvidence(
        tee=Tee.SNP,
        raw=b"report",
        collateral=Collateral(items={"leaf": b"leaf", "chain": b"chain", "crl": b"crl", "other_1": b"?"}),
    ),
)
_RAW = _BUNDLE.encode()


def _code_of(raw: bytes) -> str:
    with pytest.raises(MalformedError) as refused:
        parse_bundle(raw)
    return refused.value.code


def _changed(**members: Any) -> bytes:
    return cbor2.dumps({**cbor2.loads(_RAW), **members}, canonical=True)


def _cpu_with(**records: Any) -> bytes:
    return _changed(cpu={**cbor2.loads(_RAW)["cpu"], **records})


def test_a_bundle_comes_back_as_it_was_written() -> None:
    assert parse_bundle(_RAW) == _BUNDLE
    assert parse_bundle(_RAW).encode() == _RAW


def test_an_independent_decoder_reads_the_vendors_own_bytes_under_their_labels() -> None:
    read = cbor2.loads(_RAW)

    assert list(read) == ["cpu", "__cmwc_t", "statement"]
    assert read["cpu"]["evidence"] == ["application/vnd.sealroom.evidence.snp", b"report", 4]
    assert read["cpu"]["leaf"] == ["application/pkix-cert", b"leaf", 2]
    assert read["cpu"]["other_1"] == ["application/octet-stream", b"?", 2]
    assert read["statement"][1:] == [_BUNDLE.statement, 4]
    assert cbor2.dumps(read, canonical=True) == _RAW


def _device(name: bytes, **items: bytes) -> CollectedEvidence:
    return CollectedEvidence(tee=Tee.NVIDIA, raw=name, collateral=Collateral(items=items))


_DEVICES = {
    "gpu0": _device(b"first", cert_chain=b"chain 0", driver_rim=b"driver"),
    "gpu1": _device(b"second", cert_chain=b"chain 1", driver_rim=b"driver"),
}
_WITH_DEVICES = EvidenceBundle.of(_BUNDLE.statement, _BUNDLE.cpu, _DEVICES)


def test_devices_come_back_and_what_they_share_is_there_once() -> None:
    read = parse_bundle(_WITH_DEVICES.encode())

    assert read == _WITH_DEVICES
    assert {name: device.raw for name, device in read.devices.items()} == {"gpu0": b"first", "gpu1": b"second"}
    assert sorted(read.endorsements.values()) == [b"chain 0", b"chain 1", b"driver"]
    assert all(hashlib.sha256(value).digest() == digest for digest, value in read.endorsements.items())


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        ("devices", {}, "bundle.empty-value"),
        ("devices", [], "bundle.bad-record"),
        ("devices", {"GPU": ["application/vnd.sealroom.evidence.nvidia", b"x", 4]}, "bundle.bad-name"),
        ("devices", {"gpu0": ["application/vnd.sealroom.evidence.gpu", b"x", 4]}, "bundle.wrong-type"),
        ("devices", {"gpu0": ["application/vnd.sealroom.evidence.nvidia", b"x", 2]}, "bundle.wrong-type"),
        ("devices", {f"g{n}": ["application/vnd.sealroom.evidence.nvidia", b"x", 4] for n in range(65)},
         "bundle.too-large"),
        ("endorsements", {}, "bundle.empty-value"),
        ("endorsements", {"ab": ["application/octet-stream", b"x", 2]}, "bundle.bad-name"),
        ("endorsements", {"ab" * 32: ["application/octet-stream", b"x", 2]}, "bundle.wrong-digest"),
    ],
)  # fmt: skip
def test_devices_and_endorsements_in_another_form_are_refused(member: str, value: object, code: str) -> None:
    assert _code_of(_changed(**{member: value})) == code


def test_a_bundle_cut_at_any_byte_is_refused() -> None:
    assert {_code_of(_RAW[:size]) for size in range(len(_RAW))} == {"cbor.truncated"}


@pytest.mark.parametrize("extra", [b"\x00", b"\xa0", b"\xff", _RAW])
def test_bytes_after_the_bundle_are_refused(extra: bytes) -> None:
    assert _code_of(_RAW + extra) == "cbor.trailing"


@given(st.integers(0, len(_RAW) - 1), st.integers(1, 255))
def test_no_changed_byte_reads_as_the_same_bundle(index: int, difference: int) -> None:
    changed = bytearray(_RAW)
    changed[index] ^= difference
    try:
        read = parse_bundle(bytes(changed))
    except MalformedError:
        return
    assert read != _BUNDLE


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"\xbf\xff", "cbor.unexpected-type"),
        (b"\x5f\xff", "cbor.unexpected-type"),
        (b"\xc0\x60", "cbor.unexpected-type"),
        (b"\xf6", "cbor.unexpected-type"),
        (b"\xf9\x00\x00", "cbor.unexpected-type"),
        (b"\x20", "cbor.unexpected-type"),
        (b"\x1c", "cbor.unexpected-type"),
        (b"\x18\x17", "cbor.not-shortest"),
        (b"\x58\x01a", "cbor.not-shortest"),
        (b"\x19\x00\xff", "cbor.not-shortest"),
        (b"\xa2\x61a\x00\x61a\x00", "cbor.key-order"),
        (b"\xa2\x61b\x00\x61a\x00", "cbor.key-order"),
        (b"\xa1\x00\x00", "cbor.key-type"),
        (b"\x61\xff", "cbor.not-utf8"),
        (b"\x81\x81\x81\x81\x00", "cbor.too-deep"),
        (b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", "cbor.truncated"),
        (b"\xbb\x00\x00\x00\x01\x00\x00\x00\x00", "cbor.truncated"),
        (b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff", "cbor.truncated"),
        (b"", "cbor.truncated"),
        (b"\x00", "bundle.not-a-bundle"),
        (b"\x80", "bundle.not-a-bundle"),
        (b"\xa0", "bundle.not-a-bundle"),
    ],
)
def test_cbor_that_is_not_deterministic_or_not_ours_is_refused(raw: bytes, code: str) -> None:
    assert _code_of(raw) == code


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (_changed(__cmwc_t="tag:sealroom.example,2026:evidence-bundle:1"), "bundle.version"),
        (_changed(__cmwc_t=1), "bundle.not-a-bundle"),
        (_changed(gpu0={"evidence": ["application/vnd.sealroom.evidence.nvidia", b"x", 4]}), "bundle.unknown-member"),
        (_changed(cpu=[b"x"]), "bundle.bad-record"),
        (_changed(cpu={}), "bundle.missing-member"),
        (_changed(statement=b"x"), "bundle.bad-record"),
        (_changed(statement=["application/json", b"x", 4]), "bundle.wrong-type"),
        (_changed(statement=["application/vnd.sealroom.room-statement+json", b"x", 2]), "bundle.wrong-type"),
        (_changed(statement=["application/vnd.sealroom.room-statement+json", b"", 4]), "bundle.empty-value"),
        (_changed(statement=["application/vnd.sealroom.room-statement+json", b"x" * 65537, 4]), "bundle.too-large"),
        (_cpu_with(evidence=["application/vnd.sealroom.evidence.psp", b"x", 4]), "bundle.wrong-type"),
        (_cpu_with(evidence=["snp", b"x", 4]), "bundle.wrong-type"),
        (_cpu_with(evidence=["application/vnd.sealroom.evidence.snp", b"x", 2]), "bundle.wrong-type"),
        (_cpu_with(evidence=["application/vnd.sealroom.evidence.snp", b"", 4]), "bundle.empty-value"),
        (_cpu_with(evidence=["application/vnd.sealroom.evidence.snp", b"x", 4, 0]), "bundle.bad-record"),
        (_cpu_with(leaf=["application/octet-stream", b"x", 2]), "bundle.wrong-type"),
        (_cpu_with(leaf=["application/pkix-cert", b"x", 4]), "bundle.wrong-type"),
        (_cpu_with(leaf=["application/pkix-cert", b"x" * (1024 * 1024 + 1), 2]), "bundle.too-large"),
        (_cpu_with(Leaf=["application/octet-stream", b"x", 2]), "bundle.bad-name"),
        (_cpu_with(**{f"item_{n}": ["application/octet-stream", b"x", 2] for n in range(17)}), "bundle.too-large"),
        (b"\xa0" + b"x" * MAX_BUNDLE_SIZE, "bundle.too-large"),
    ],
)
def test_each_row_of_the_refusals_has_its_code(raw: bytes, code: str) -> None:
    assert _code_of(raw) == code


@pytest.mark.parametrize("member", ["cpu", "statement"])
def test_a_bundle_without_one_of_its_members_is_refused(member: str) -> None:
    members = cbor2.loads(_RAW)
    del members[member]

    assert _code_of(cbor2.dumps(members, canonical=True)) == "bundle.missing-member"


def test_a_writer_refuses_what_its_reader_would_refuse() -> None:
    empty = CollectedEvidence(tee=Tee.SNP, raw=b"", collateral=Collateral(items={}))
    named_evidence = CollectedEvidence(tee=Tee.SNP, raw=b"x", collateral=Collateral(items={"evidence": b"x"}))

    for cpu in (empty, named_evidence):
        with pytest.raises(MalformedError):
            EvidenceBundle(statement=b"x", cpu=cpu).encode()


@given(st.binary(max_size=120))
def test_no_bytes_at_all_raise_anything_but_our_own_refusal(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_bundle(raw)


_SCALARS: st.SearchStrategy[CborValue] = st.integers(0, 2**64 - 1) | st.binary(max_size=300) | st.text(max_size=40)
_VALUES: st.SearchStrategy[CborValue] = st.dictionaries(
    st.text(max_size=30), _SCALARS | st.dictionaries(st.text(max_size=5), st.lists(_SCALARS, max_size=3), max_size=3)
)


@given(_VALUES)
def test_our_encoding_is_the_canonical_one_of_an_independent_library(value: CborValue) -> None:
    assert encode(value) == cbor2.dumps(value, canonical=True)
    assert decode(encode(value)) == value


@given(st.binary(max_size=60))
def test_whatever_is_read_has_exactly_the_bytes_that_it_would_be_written_in(raw: bytes) -> None:
    try:
        value = decode(raw)
    except MalformedError:
        return
    assert encode(value) == raw
