"""The runner says of every vector how it came out, and passes over none."""

import json

import pytest
from typer.testing import CliRunner

from sealroom.cli.main import build
from sealroom.errors import UnavailableError, UnverifiedError
from sealroom.pem import as_pem
from sealroom.testing import conformance
from sealroom.testing.conformance import run_folder
from sealroom.testing.outcome import Outcome
from sealroom.testing.snp import SimulatedSnp


@pytest.fixture
def vector(tmp_path, snp_platform):
    """Writes a vector of simulated hardware, right unless told otherwise."""

    def write(name="case", *, report=None, expect=None, **changes):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        guest = SimulatedSnp(platform=snp_platform, measurement=b"m" * 48)
        (folder / "report.bin").write_bytes(report if report is not None else guest.report(b"r" * 64))
        (folder / "leaf.der").write_bytes(snp_platform.leaf)
        (folder / "chain.pem").write_bytes(snp_platform.vendor.chain())
        (folder / "root.pem").write_bytes(as_pem(snp_platform.vendor.ark.certificate))
        document = {
            "kind": "snp-report-v3",
            "evidence": "report.bin",
            "collateral": {"leaf": "leaf.der", "chain": "chain.pem"},
            "trust_root": "root.pem",
            "verify_at": "2026-06-01T00:00:00Z",
            "expect": {"verdict": "valid"} | (expect or {}),
        } | changes
        (folder / "vector.json").write_text(
            json.dumps({key: value for key, value in document.items() if value is not None})
        )
        return folder

    return write


def only(folder):
    (result,) = run_folder(folder)
    return result


def test_a_valid_vector_passes_alone_in_a_folder_and_nested(vector, tmp_path):
    assert only(vector("deep/er/case")).vector == "case"
    assert only(tmp_path).vector == "deep/er/case"


def test_an_unexpected_verdict_fails_both_ways(vector):
    assert not only(vector("a", expect={"verdict": "invalid"})).passed
    result = only(vector("b", verify_at="2060-01-01T00:00:00Z"))
    assert (result.passed, result.verdict, result.code) == (False, "invalid", "x509.expired")


def test_implementation_defined_passes_both_ways(vector):
    assert only(vector("a", expect={"verdict": "implementation_defined"})).passed
    refused = vector("b", expect={"verdict": "implementation_defined"}, verify_at="2060-01-01T00:00:00Z")
    assert only(refused).passed


def test_fields_are_exact_to_the_type(vector):
    expect = {"fields": {"measurement": (b"m" * 48).hex(), "vmpl": 0, "policy": "0x30000"}}
    assert only(vector("a", expect=expect)).passed
    expect = {"fields": {"measurement": "00", "vmpl": False, "no_such_field": None, "sig_algo": 1}}
    assert only(vector("b", expect=expect)).fields_differ == ("measurement", "vmpl", "no_such_field")


def test_a_missing_flag_fails_and_one_more_does_not(vector):
    assert only(vector("a", expect={"policy_flags": []})).passed
    result = only(vector("b", expect={"policy_flags": ["guest_debug", "smt_allowed"]}))
    assert (result.passed, result.flags_missing) == (False, ("guest_debug",))


def test_a_tcb_status_that_did_not_come_out_fails(vector):
    assert not only(vector(expect={"tcb_status": "UpToDate"})).passed


def test_trailing_bytes_are_ignored_as_many_as_the_vector_says(vector, snp_platform):
    raw = SimulatedSnp(platform=snp_platform).report(bytes(64))
    assert only(vector("a", report=raw + b"tail", trailing_bytes=4)).passed
    assert not only(vector("b", report=raw + b"tail")).passed
    assert not only(vector("c", report=raw + b"tail", trailing_bytes=5)).passed


def test_a_bare_report_is_taken_where_the_evidence_is_something_larger(vector):
    folder = vector(evidence="blob.bin", report_file=None)
    document = json.loads((folder / "vector.json").read_text()) | {"report": "report.bin"}
    (folder / "vector.json").write_text(json.dumps(document))
    assert only(folder).passed


def test_a_certificate_chain_alone_is_a_kind_of_its_own(vector):
    folder = vector(kind="snp-cert-chain", evidence="leaf.der", collateral={"chain": "chain.pem"})
    assert only(folder).passed


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "abacus"},
        {"evidence": "not-there.bin"},
        {"evidence": 7},
        {"verify_at": "noon"},
        {"verify_at": "2026-06-01T00:00:00"},
        {"trailing_bytes": -1},
        {"collateral": "none"},
        {"collateral": {"leaf": "leaf.der", "chain": "chain.pem", "moon_phase": "full"}},
        {"kind": None},
        {"expect": {"verdict": "perhaps"}},
        {"expect": {"verdict": ["valid"]}},
        {"expect": {"verdict": "valid", "tcb_status": 7}},
        {"expect": {"verdict": "valid", "if_accepted": "yes"}},
        {"expect": {"verdict": "valid", "nonce_file": "not-there.bin"}},
        {"expect": {"verdict": "valid", "fields": []}},
        {"expect": {"verdict": "invalid", "policy_flags": "all"}},
    ],
)
def test_what_can_not_be_run_is_counted_as_not_supported_and_never_as_a_pass(vector, changes):
    result = only(vector(**changes))
    assert (result.verdict, result.passed) == ("unsupported", False)


def test_an_expectation_that_nothing_answers_keeps_the_verdict_and_does_not_pass(vector):
    result = only(vector("a", expect={"feilds": {"vmpl": 3}}))
    assert (result.verdict, result.passed, result.supported) == ("valid", False, False)
    assert "feilds" in result.message
    result = only(vector("b", expect={"default_policy": "shrug"}))
    assert (result.verdict, result.supported) == ("valid", False)
    result = only(vector("c", expect={"verdict": "invalid", "feilds": {}}))
    assert (result.passed, result.supported) == (False, True)  # a wrong verdict is a failure before all else


def test_the_default_policy_must_refuse_what_the_vector_says(vector, snp_platform):
    debug = SimulatedSnp(platform=snp_platform, policy=0xB0000).report(bytes(64))
    assert only(vector("a", expect={"default_policy": "refuse"}, report=debug)).passed
    result = only(vector("b", expect={"default_policy": "refuse"}))
    assert (result.verdict, result.passed, result.fields_differ) == ("valid", False, ("default_policy",))
    assert not only(vector("c", expect={"default_policy": "accept"}, report=debug)).passed
    assert only(vector("d", expect={"default_policy": "accept"})).passed
    assert only(vector("e", expect={"default_policy": "operator decides"}, report=debug)).passed


def test_the_report_data_is_the_nonce_zero_filled(vector, snp_platform):
    nonce = b"n" * 32
    report = SimulatedSnp(platform=snp_platform).report(nonce.ljust(64, b"\0"))
    for number, (content, passes) in enumerate([(nonce, True), (nonce + b"\0", True), (nonce[:-1], False)]):
        folder = vector(str(number), report=report, expect={"nonce_file": "nonce.bin"})
        (folder / "nonce.bin").write_bytes(content)
        assert only(folder).passed is passes
    (folder / "nonce.bin").write_bytes(b"n" * 65)
    assert not only(folder).supported


def test_where_both_verdicts_are_sound_an_acceptance_must_still_be_the_right_one(vector):
    both = {"verdict": "implementation_defined"}
    assert only(vector("a", expect=both | {"if_accepted": {"policy_flags": ["smt_allowed"]}})).passed
    assert not only(vector("b", expect=both | {"if_accepted": {"policy_flags": ["guest_debug"]}})).passed
    assert not only(vector("c", expect=both | {"if_accepted": {"tcb_status": "UpToDate"}})).passed
    late = "2060-01-01T00:00:00Z"
    assert only(vector("d", expect=both | {"if_accepted": {"tcb_status": "UpToDate"}}, verify_at=late)).passed


def answer(monkeypatch, outcome):
    monkeypatch.setattr(conformance, "KINDS", {"snp-report-": lambda _case, _roots: outcome})


def test_further_facts_are_compared_by_their_names_and_identifiers_as_sets(vector, monkeypatch):
    answer(monkeypatch, Outcome(simulated=True, facts={"advisory_ids": ["B", "A"], "events": [1, 2]}))
    assert only(vector("a", expect={"advisory_ids": ["A", "B"], "events": [1, 2]})).passed
    result = only(vector("b", expect={"advisory_ids": ["A"], "events": [2, 1]}))
    assert (result.passed, result.fields_differ) == (False, ("advisory_ids", "events"))


def test_what_a_runner_states_beside_a_refusal_is_compared_too(vector, monkeypatch):
    refusal = UnverifiedError("dcap.tcb-revoked", "revoked")
    answer(monkeypatch, Outcome(refusal=refusal, tcb_status="Revoked", fields={"version": 4}))
    result = only(vector("a", expect={"verdict": "invalid", "tcb_status": "Revoked", "fields": {"version": 4}}))
    assert (result.verdict, result.code, result.tcb_status, result.passed) == (
        "invalid", "dcap.tcb-revoked", "Revoked", True)  # fmt: skip
    assert not only(vector("b", expect={"verdict": "invalid", "tcb_status": "UpToDate"})).passed
    assert not only(vector("c", expect={"verdict": "invalid", "fields": {"version": 5}})).passed


def test_something_that_lacks_here_is_no_verdict(vector, monkeypatch):
    def lacking(_case, _roots):
        raise UnavailableError("measure.library", "a library lacks")

    monkeypatch.setattr(conformance, "KINDS", {"snp-report-": lacking})
    assert only(vector(expect={"verdict": "invalid"})).verdict == "unsupported"


def test_a_vector_that_is_no_json_is_counted_too(vector):
    folder = vector()
    (folder / "vector.json").write_text("{")
    assert only(folder).verdict == "unsupported"


def test_a_crash_is_a_failure_whatever_was_expected(vector, monkeypatch):
    def crash(_case, _roots):
        raise RuntimeError("on purpose")

    monkeypatch.setattr(conformance, "KINDS", {"snp-report-": crash})
    for number, verdict in enumerate(("valid", "invalid", "implementation_defined")):
        result = only(vector(str(number), expect={"verdict": verdict}))
        assert (result.verdict, result.passed) == ("crash", False)


def test_a_folder_without_vectors_is_an_error_and_not_a_success(tmp_path):
    with pytest.raises(UnavailableError):
        list(run_folder(tmp_path))


def run(*arguments):
    result = CliRunner().invoke(build(["conformance"]), ["conformance", *map(str, arguments)])
    return result.exit_code, result.stdout.splitlines()


def test_the_command_prints_a_line_per_vector_and_a_summary(vector, tmp_path):
    vector("a")
    vector("b")
    status, lines = run(tmp_path)
    assert status == 0
    assert lines == ["pass        a: valid; smt_allowed", "pass        b: valid; smt_allowed",
                     "2 passed, 0 failed, 0 not supported"]  # fmt: skip


def test_the_command_writes_json_lines_and_the_summary_last(vector, tmp_path):
    vector("a")
    vector("b", expect={"verdict": "invalid"})
    vector("c", kind="abacus")
    status, lines = run(tmp_path, "--json")
    *results, last = map(json.loads, lines)
    assert status == 1
    assert last == {"summary": {"passed": 1, "failed": 1, "unsupported": 1}}
    assert [(result["vector"], result["verdict"], result["pass"]) for result in results] == [
        ("a", "valid", True), ("b", "valid", False), ("c", "unsupported", False)]  # fmt: skip
    assert {"kind", "expected", "code", "tcb_status", "flags", "fields_differ"} <= set(results[0])


@pytest.mark.parametrize("changes", [{"expect": {"verdict": "invalid"}}, {"kind": "abacus"}])
def test_the_exit_status_is_0_only_if_nothing_failed_and_nothing_was_left_out(vector, tmp_path, changes):
    vector(**changes)
    assert run(tmp_path)[0] == 1


def test_a_broken_anchor_is_no_refusal_of_the_evidence(vector):
    folder = vector(expect={"verdict": "invalid"}, trust_root="empty.pem")
    (folder / "empty.pem").write_bytes(b"")
    result = only(folder)
    assert (result.verdict, result.passed) == ("unsupported", False)
