"""What is remembered of evidence met before changes no verdict: not of changed bytes, other roots, or another time.

Cold: nothing is remembered. Warm: the honest evidence was just verified, so that all that can be remembered is.
"""

import importlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealroom import x509_chain
from sealroom.errors import SealroomError
from sealroom.evidence import Collateral, TrustRoots
from sealroom.tees import nvidia
from sealroom.tees._remembered import Remembered
from sealroom.tees.nvidia import certificates, layout, ocsp_response, revocation, rim, standing
from sealroom.testing.nvidia import SimulatedGpu
from sealroom.testing.nvidia_cases import AT, NONCE
from sealroom.testing.nvidia_ocsp import GOOD, UNKNOWN

claims = importlib.import_module("sealroom.tees.nvidia.claims")  # the package has a function of that name
PARTS = ("report", "cert_chain", "driver_rim", "vbios_rim", "ocsp")


@pytest.fixture(scope="module")
def honest(gpu):
    """A report and all that goes along with it."""
    return {"report": gpu.report(NONCE), **gpu.items()}


def judge(parts, roots, at=AT):
    """The claims, or the code of the refusal."""
    items = {name: value for name, value in parts.items() if name != "report"}
    try:
        evidence = nvidia.parse(parts["report"])
        return nvidia.claims(nvidia.verify(evidence, roots=roots, collateral=Collateral(items=items), at=at))
    except SealroomError as error:
        return error.code


def forget():
    nvidia.forget()
    x509_chain.forget()


def judged_cold(parts, roots, at=AT):
    forget()
    return judge(parts, roots, at)


def judged_warm(honest, parts, roots, at=AT):
    assert judge(honest, roots).simulated
    return judge(parts, roots, at)


@pytest.fixture(scope="module")
def roots(anchors):
    return TrustRoots(insecure_simulated=anchors)


def test_what_is_remembered_is_as_good_as_new(honest, roots):
    cold = judged_cold(honest, roots)
    assert not isinstance(cold, str)
    assert judged_warm(honest, honest, roots) == cold


@pytest.mark.parametrize("part", PARTS)
@settings(deadline=None)  # a busy machine is no finding
@given(data=st.data())
def test_a_changed_byte_gets_the_same_verdict_from_a_warm_memory_as_from_a_cold_one(part, data, honest, roots):
    place = data.draw(st.integers(0, len(honest[part]) - 1))
    raw = bytearray(honest[part])
    raw[place] ^= data.draw(st.integers(1, 255))
    changed = honest | {part: bytes(raw)}
    assert judged_warm(honest, changed, roots) == judged_cold(changed, roots)


@pytest.mark.parametrize("part", PARTS)
@settings(deadline=None)  # a busy machine is no finding
@given(data=st.data())
def test_a_cut_or_lengthened_part_does_too(part, data, honest, roots):
    size = data.draw(st.integers(0, len(honest[part]) - 1))
    changed = honest | {part: honest[part][:size] + data.draw(st.binary(max_size=3))}
    assert judged_warm(honest, changed, roots) == judged_cold(changed, roots)


@pytest.mark.parametrize("part", PARTS[1:])
def test_a_part_that_is_not_there_is_told_from_one_that_is_empty(part, honest, roots):
    absent = {name: value for name, value in honest.items() if name != part}
    empty = honest | {part: b""}
    gone, nothing = judged_cold(absent, roots), judged_cold(empty, roots)
    assert isinstance(nothing, str)
    for first, second in ((absent, empty), (empty, absent)):  # the one does not leave behind what the other finds
        assert judged_warm(honest, first, roots) == (gone if first is absent else nothing)
        assert judge(second, roots) == (gone if second is absent else nothing)


def test_reports_that_differ_in_their_nonces_alone_are_judged_once_and_signed_each(gpu, honest, roots):
    """What is remembered of the one is no reason to believe the other: its signature is."""
    forget()
    first = judge(honest, roots)
    other = honest | {"report": gpu.report(bytes(32))}
    second = judge(other, roots)
    assert second.report_data == bytes(32)
    assert (first.measurements, first.details, first.flags) == (second.measurements, second.details, second.flags)
    sample = judge(honest | {"report": gpu.report(claims.SAMPLE_NONCE)}, roots)
    assert sample.flags - first.flags == {"sample_nonce"}
    for nonce in (NONCE, bytes(31) + b"\x01"):  # another's signature, and a nonce put into a signed report
        raw = other["report"][:4] + nonce + other["report"][36:]
        assert judge(honest | {"report": raw}, roots) == "nvidia.signature"
    responder = other["report"].index(nvidia.parse_report(other["report"]).report.responder_nonce)
    raw = other["report"][:responder] + bytes(32) + other["report"][responder + 32 :]
    assert judge(honest | {"report": raw}, roots) == "nvidia.signature"


@pytest.mark.parametrize("part", ["report", "cert_chain", "vbios_rim", "ocsp"])
def test_a_part_of_another_device_is_not_taken_for_it(part, honest, roots, switch):
    other = {"report": switch.report(NONCE), **switch.items()}
    changed = honest | {part: other[part]}
    cold = judged_cold(changed, roots)
    assert not isinstance(judge(other, roots), str)
    verdict = judged_warm(honest, changed, roots)
    assert verdict == cold
    # answers about others are none about this one
    assert "revocation_not_checked" in verdict.flags if part == "ocsp" else isinstance(verdict, str)


@pytest.mark.parametrize("family", ["hopper", "ls10"])
def test_answers_that_were_found_good_of_one_device_say_nothing_of_another_s_certificates(
    family, vendor, honest, roots
):
    """The same bytes of answers, and another chain: what was remembered is about the chain too."""
    neighbour = SimulatedGpu.create(family, vendor=vendor)
    theirs = {"report": neighbour.report(NONCE), **neighbour.items(), "ocsp": honest["ocsp"]}
    cold = judged_cold(theirs, roots)
    assert "revocation_not_checked" not in judge(honest, roots).flags
    assert "revocation_not_checked" in cold.flags
    assert judged_warm(honest, theirs, roots) == cold


def test_other_roots_do_not_profit_from_what_was_remembered(honest, roots):
    judge(honest, roots)
    assert judge(honest, TrustRoots()) == "x509.untrusted-root"
    assert judge(honest, roots).simulated
    for one in roots.insecure_simulated:  # the device's root, or that of the reference values
        assert judge(honest, TrustRoots(insecure_simulated=frozenset({one}))) == "x509.untrusted-root"


def test_a_warm_memory_refuses_what_has_run_out_and_what_is_not_valid_yet(honest, roots):
    window = judged_cold(honest, roots).validity
    second = timedelta(seconds=1)
    for at, wanted in (
        (window.not_after + second, "x509.expired"),
        (window.not_before - second, "x509.not-yet-valid"),
    ):
        assert judged_warm(honest, honest, roots, at) == judged_cold(honest, roots, at) == wanted
    for at in (window.not_after, window.not_before):
        assert judged_warm(honest, honest, roots, at) == judged_cold(honest, roots, at)
        assert judge(honest, roots, at).validity == window


def test_a_warm_memory_of_a_chain_alone_refuses_it_before_its_time(honest, roots):
    bare = {"report": honest["report"], "cert_chain": honest["cert_chain"]}
    start = judged_cold(bare, roots).validity.not_before
    assert judged_warm(bare, bare, roots, start - timedelta(seconds=1)) == "x509.not-yet-valid"


def test_a_time_without_a_zone_is_refused_from_a_warm_memory_too(honest, roots):
    naive = AT.replace(tzinfo=None)
    assert judged_warm(honest, honest, roots, naive) == judged_cold(honest, roots, naive) == "time.naive"


def test_a_refusal_is_not_remembered(honest, roots):
    forget()
    early = datetime(2000, 1, 1, tzinfo=UTC)
    assert isinstance(judge(honest, roots, early), str)
    changed = honest | {"report": honest["report"][:-1] + bytes([honest["report"][-1] ^ 1])}
    for _ in range(2):
        assert judge(changed, roots) == "nvidia.signature"
    assert not isinstance(judge(honest, roots), str)


def test_every_memory_is_bounded_whoever_fills_it(honest, roots):
    forget()
    for number in range(200):
        judge(honest | {"ocsp": honest["ocsp"] + bytes([number])}, roots)
        judge(honest | {"driver_rim": honest["driver_rim"] + b" " * number}, roots)
    for memory in (certificates._REMEMBERED, revocation._REMEMBERED, rim._REMEMBERED, standing._REMEMBERED):
        assert len(memory._verdicts) <= 64
    caches = (layout._said, claims._said, ocsp_response._response)
    assert [cache.cache_info().maxsize for cache in caches] == [64, 64, 64]


def test_the_oldest_goes_first():
    class Verdict:
        validity = None

    memory = Remembered(2)
    for name in "abc":
        memory.keep(name, Verdict())
    assert list(memory._verdicts) == ["b", "c"]


@pytest.mark.parametrize(("status", "checked", "flag"), [(GOOD, 6, None), (UNKNOWN, 5, "revocation_not_checked")])
def test_an_answer_that_knows_nothing_counts_as_none(status, checked, flag, gpu, honest, roots):
    """Cold and warm: the count of certificates that somebody called good is in what a policy sees."""
    parts = honest | {"ocsp": gpu.ocsp({2: status})}
    for verdict in (judged_cold(parts, roots), judge(parts, roots)):
        assert verdict.details["certificates_checked"] == checked
        assert ("revocation_not_checked" in verdict.flags) is (flag is not None)


@pytest.mark.parametrize(("device", "references"), [(True, False), (False, True), (True, True), (False, False)])
def test_a_verdict_is_simulated_if_anything_in_it_is(device, references, honest, roots):
    """A genuine device with reference values of one's own making is no genuine verdict."""
    items = Collateral(items={name: value for name, value in honest.items() if name != "report"})
    found = nvidia.verify(nvidia.parse(honest["report"]), roots=roots, collateral=items, at=AT).standing
    made = replace(found, device=replace(found.device, simulated=device),
                   references=replace(found.references, simulated=references))  # fmt: skip
    assert found.simulated
    assert made.simulated is (device or references)
