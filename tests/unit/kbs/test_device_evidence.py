"""Evidence of devices in the protocol's JSON: recorded forms read, ours read back, everything else refused."""

import contextlib
import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealroom.errors import MalformedError, MisuseError, RefusedError, SealroomError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.kbs.device_evidence import device_nonce, parse_device_evidence, write_device_evidence
from sealroom.kbs.json_text import b64_encode
from sealroom.tees.registry import for_tee
from sealroom.testing.nvidia import GpuMachine

NONCE = bytes(range(32))


@pytest.fixture(scope="module")
def devices() -> list[CollectedEvidence]:
    return list(GpuMachine.preset("h100x8").collect(NONCE).values())


@pytest.fixture
def document(devices: list[CollectedEvidence]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(write_device_evidence(devices[:2]))
    return found


def test_a_recorded_report_of_a_stock_guest_is_read(shared_vectors: Path) -> None:
    folder = shared_vectors / "kbs" / "evidence-nvidia-hopper-case1"
    evidence, expect = (json.loads((folder / name).read_bytes()) for name in ("evidence.json", "vector.json"))
    (device,) = parse_device_evidence(json.dumps({"nvidia": evidence}))
    assert list(device.collateral.items) == ["cert_chain"]
    parsed: Any = for_tee(Tee.NVIDIA).parse(device.raw)
    assert parsed.report.request_nonce.hex() == expect["expect"]["spdm_nonce_in_request_hex"]


def test_devices_answer_the_first_half_of_what_a_handshake_binds(shared_vectors: Path) -> None:
    folder = shared_vectors / "kbs" / "rcar-sample-with-device"
    expect = json.loads((folder / "vector.json").read_text())["expect"]
    attest = json.loads((folder / "transcript.json").read_text())[1]["request"]["json"]
    assert device_nonce(attest["runtime-data"]).hex() == expect["device_report_data_sha384"][:64]


def test_what_is_written_is_read_back(devices: list[CollectedEvidence]) -> None:
    text = write_device_evidence(devices)
    again = parse_device_evidence(text)
    assert [(one.tee, one.raw, one.collateral.items) for one in again] == [
        (one.tee, one.raw, one.collateral.items) for one in devices
    ]
    stated = json.loads(text)["nvidia"]["device_evidence_list"]
    assert [one["arch"] for one in stated] == ["HOPPER"] * 8 + ["LS10"] * 4
    assert len(json.loads(text)["nvidia"]["collateral"]) == 3 + 12, "reference values once, answers for each"
    assert write_device_evidence([]) == ""
    assert parse_device_evidence("") == ()


def test_a_stock_broker_finds_the_members_that_it_knows(document: dict[str, Any]) -> None:
    for device in document["nvidia"]["device_evidence_list"]:
        assert {"arch", "uuid", "evidence", "certificate"} <= set(device)
        assert all(isinstance(device[name], str) for name in ("arch", "uuid", "evidence", "certificate"))


def test_hexadecimal_digits_and_a_buffer_longer_than_the_chain_are_read(devices: list[CollectedEvidence]) -> None:
    chain = devices[0].collateral.items["cert_chain"]
    entry = {"arch": "HOPPER", "uuid": "GPU-1", "evidence": devices[0].raw.hex().upper(), "further": 1,
             "certificate": b64_encode(chain + bytes(40))}  # fmt: skip
    (device,) = parse_device_evidence(json.dumps({"nvidia": {"device_evidence_list": [entry]}}))
    assert (device.raw, device.collateral.items) == (devices[0].raw, {"cert_chain": chain})


@pytest.mark.parametrize("kinds", [["nvidia", "sampledevice"], ["sampledevice"], ["nvidia-dpu"], []])
def test_devices_that_nobody_here_verifies_are_refused(document: dict[str, Any], kinds: list[str]) -> None:
    with pytest.raises(RefusedError, match=r"broker\.device-evidence-not-supported"):
        parse_device_evidence(json.dumps(dict.fromkeys(kinds, document["nvidia"])))


def _first(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["nvidia"]["device_evidence_list"][0]
    return found


def _pool(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["nvidia"]["collateral"]
    return found


@pytest.mark.parametrize(
    "spoil",
    [
        lambda one: one.update(nvidia=[]),
        lambda one: one["nvidia"].update(device_evidence_list={}),
        lambda one: one["nvidia"].update(device_evidence_list=[]),
        lambda one: one["nvidia"].update(device_evidence_list=one["nvidia"]["device_evidence_list"] * 33),
        lambda one: one["nvidia"]["device_evidence_list"].append("text"),
        lambda one: _first(one).pop("evidence"),
        lambda one: _first(one).update(evidence=""),
        lambda one: _first(one).update(evidence="abc"),
        lambda one: _first(one).update(evidence="_-==?"),
        lambda one: _first(one).update(evidence=[1, 2]),
        lambda one: _first(one).pop("certificate"),
        lambda one: _first(one).update(collateral=[]),
        lambda one: _first(one).update(collateral={"Bad Name": next(iter(_pool(one)))}),
        lambda one: _first(one).update(collateral={"cert_chain": next(iter(_pool(one)))}),
        lambda one: _first(one)["collateral"].update(cert_chain=next(iter(_pool(one)))),  # a chain beside its own
        lambda one: _first(one).update(collateral={"ocsp": "00" * 32}),
        lambda one: _first(one).update(collateral={"ocsp": 1}),
        lambda one: _first(one).update(collateral={f"item_{count}": next(iter(_pool(one))) for count in range(17)}),
        lambda one: one["nvidia"].update(collateral=[]),
        lambda one: _pool(one).update({"zz": "AA=="}),
        lambda one: _pool(one).update({"00" * 32: "AA=="}),
        lambda one: _pool(one).update({next(iter(_pool(one))): 1}),
        lambda one: _pool(one).update(
            {next(iter(_pool(one))): "AA=="}
        ),  # another value under a name that is asked for
        lambda one: _pool(one).update({hashlib.sha256(b"").hexdigest(): ""}),
        lambda one: _pool(one).update({hashlib.sha256(b"\x00").hexdigest(): "AA=="}),  # nobody asks for it
    ],
)
def test_what_can_be_read_in_two_ways_or_in_none_is_refused(
    document: dict[str, Any], spoil: Callable[[dict[str, Any]], object]
) -> None:
    assert len(parse_device_evidence(json.dumps(document))) == 2
    changed = copy.deepcopy(document)
    spoil(changed)
    with pytest.raises(MalformedError, match=r"kbs\.(device-evidence|base64)"):
        parse_device_evidence(json.dumps(changed))


@pytest.mark.parametrize("text", ["null", "[]", '"x"', "{", '{"nvidia":{},"nvidia":{}}', '{"nvidia":NaN}', "\ud800"])
def test_text_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(SealroomError):
        parse_device_evidence(text)


def test_what_the_protocol_has_no_name_for_is_not_sent(devices: list[CollectedEvidence]) -> None:
    with pytest.raises(MisuseError, match=r"kbs\.no-name"):
        write_device_evidence([replace(devices[0], tee=Tee.TPM)])
    with pytest.raises(SealroomError, match=r"collateral\.missing"):
        write_device_evidence([replace(devices[0], collateral=Collateral(items={}))])


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_strangers_text_raises_our_own_errors_and_no_others(document: dict[str, Any], data: st.DataObject) -> None:
    honest = json.dumps(document)[:400] + json.dumps(document)[-400:]
    at = data.draw(st.integers(0, len(honest)))
    text = honest[:at] + data.draw(st.text(max_size=12)) + honest[at + data.draw(st.integers(0, 12)) :]
    for one in (text, data.draw(st.text(max_size=60)), json.dumps({"nvidia": data.draw(_JSON)})):
        with contextlib.suppress(SealroomError):
            parse_device_evidence(one)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["device_evidence_list", "collateral", "evidence", "certificate"]), inner)
    ),
    max_leaves=12,
)
