"""The gym finds nothing in our verifier, is the same each time, and can fail: a check that is taken out is missed."""

from dataclasses import replace

import pytest
from gym_samples import recorded, snp_sample

from sealroom.evidence import Validity
from sealroom.tees._dcap import collateral as dcap_collateral
from sealroom.tees._dcap import verify as dcap_verify
from sealroom.tees.snp import verify as snp_verify_function
from sealroom.testing.gym import mutations, run_gym
from sealroom.testing.gym.judges import Answer, Ours
from sealroom.testing.gym.mutation import Expectation, Level

FAMILY = ("tdx/v4-b0c06f-uptodate", "sgx/v3-00606a-swhardening")
"""One of each, so that each lends the other what is not its own."""


@pytest.fixture
def samples(shared_vectors):
    return recorded(shared_vectors, *FAMILY)


@pytest.fixture
def minted(snp_platform):
    other = snp_sample(snp_platform.at_tcb(snp=1), "other")
    return [snp_sample(snp_platform), other]


def test_ours_refuses_every_forgery_of_minted_reports_and_keeps_what_is_benign(minted):
    report = run_gym(minted, [Ours()], limit=300)
    assert report.findings == []
    assert report.answers["sealroom", "original", "accepted"] == 2
    assert report.answers["sealroom", "forgery", "refused"] > 400
    assert report.left_out == []


def test_ours_refuses_every_forgery_of_recorded_quotes_and_keeps_what_is_benign(samples):
    report = run_gym(samples, [Ours()], limit=1500)
    assert report.findings == []
    assert report.answers["sealroom", "forgery", "refused"] > 2000
    assert report.answers["sealroom", "benign", "accepted"] > 10


def test_every_level_is_reached(samples, minted):
    levels = {mutation.level for sample in samples for mutation in mutations(sample, samples)}
    assert levels == set(Level) - {Level.ORIGINAL, Level.MINTED}
    levels = {mutation.level for mutation in mutations(minted[0], minted)}
    assert levels == set(Level) - {Level.ORIGINAL, Level.MINTED, Level.JSON}


def test_the_same_seed_gives_the_same_mutations_and_another_seed_others(samples):
    first, again, other = (
        [(m.label, m.level, m.expectation, m.sample) for m in mutations(samples[0], samples, seed=seed)]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_no_label_stands_for_two_mutations_and_none_changes_nothing(samples, minted):
    for family in (samples, minted):
        labels = [mutation.label for mutation in mutations(family[0], family)]
        assert len(labels) == len(set(labels))
        for mutation in mutations(family[0], family):
            # the first may come as it was recorded: nothing may follow a quote's end
            assert mutation.sample != family[0] or mutation.expectation is Expectation.BENIGN, mutation.label


def nothing(*_arguments, **_keywords):
    return None


def findings_without(monkeypatch, module, check, samples, level, replacement=nothing):
    for cached in (dcap_verify, dcap_collateral):
        cached.forget()
    monkeypatch.setattr(module, check, replacement)
    found = run_gym(samples, [Ours()], only=None).findings
    monkeypatch.undo()
    dcap_verify.forget()
    return [finding for finding in found if finding.what == "accepted a forgery" and finding.level == level]


def snp_module():
    return __import__("sys").modules[snp_verify_function.__module__]


@pytest.mark.parametrize(
    ("check", "level"), [("_require_signature", "field"), ("_require_signature", "signature")]
)  # fmt: skip
def test_an_snp_check_that_is_taken_out_is_missed(monkeypatch, minted, check, level):
    assert findings_without(monkeypatch, snp_module(), check, minted[:1], level)


@pytest.mark.parametrize(
    ("module", "check", "level"),
    [
        (dcap_verify, "_require_signature", "field"),
        (dcap_verify, "_require_binding", "signature"),
        (dcap_collateral, "verify_signature", "json"),
    ],
)
def test_a_dcap_check_that_is_taken_out_is_missed(monkeypatch, samples, module, check, level):
    assert findings_without(monkeypatch, module, check, samples, level)


def test_a_window_that_nobody_looks_at_is_missed(monkeypatch, minted):
    monkeypatch.setattr(Validity, "holds_at", lambda *_: True)
    found = run_gym(minted[:1], [Ours()], only="time:").findings
    assert {finding.label for finding in found} == {
        "time: a second before its window", "time: ten years before", "time: a second after its window",
        "time: ten years after"}  # fmt: skip


def test_an_exception_that_is_none_of_ours_is_a_finding(monkeypatch, minted):
    def crash(*_arguments):
        raise IndexError("off the end")

    monkeypatch.setattr(snp_module(), "_require_signature", crash)
    report = run_gym(minted[:1], [Ours()], limit=5)
    assert [(finding.what, finding.word) for finding in report.findings] == [("crashed", "IndexError: off the end")]
    assert report.left_out == [("sealroom", "minted", "IndexError: off the end")]


class Scripted:
    """A judge that says what it is told."""

    name = "scripted"

    def __init__(self, answer):
        self._answer = answer

    def is_asked(self, _original, _mutation):
        return True

    def judge(self, sample):
        return self._answer(sample)


def test_one_that_accepts_all_is_found_at_every_forgery(minted):
    report = run_gym(minted[:1], [Scripted(lambda _: Answer(accepted=True, word="yes"))], limit=200)
    assert {finding.what for finding in report.findings} == {"accepted a forgery"}
    assert len(report.findings) == report.answers["scripted", "forgery", "accepted"]


def test_one_that_refuses_the_original_is_said_so_once_and_not_asked_again(minted):
    report = run_gym(minted[:1], [Scripted(lambda _: Answer(accepted=False, word="no"))], limit=200)
    assert [(finding.what, finding.label) for finding in report.findings] == [("refused", "as it was recorded")]
    assert report.left_out == [("scripted", "minted", "no")]


def test_one_that_refuses_benign_bytes_or_takes_them_for_something_else_is_found(samples):
    whole = samples[0].raw

    def refuses(sample):
        return Answer(accepted=sample.raw == whole, word="length")

    def confuses(sample):
        return Answer(accepted=True, word="yes", facts=len(sample.raw))

    for judge, what in ((refuses, "refused"), (confuses, "accepted as something else")):
        report = run_gym(samples[:1], [Scripted(judge)], only="followed by")
        assert {finding.what for finding in report.findings} == {what}
        assert {finding.expectation for finding in report.findings} == {"benign"}


def test_neutral_ones_may_be_refused_and_not_change_what_is_said(samples):
    neutral = "signature: s negated"
    quiet = run_gym(samples[:1], [Scripted(lambda s: Answer(accepted=s == samples[0], word="?"))], only=neutral)
    assert quiet.findings == []
    loud = run_gym(samples[:1], [Scripted(lambda s: Answer(accepted=True, word="?", facts=s.raw))], only=neutral)
    assert "accepted as something else" in {finding.what for finding in loud.findings}


def test_counts_say_what_was_made_and_what_came_of_it(minted):
    report = run_gym([replace(minted[0], name="one")], [Ours()], limit=50)
    summary = report.as_dict()
    assert sum(summary["made"].values()) == 50
    assert summary["verifiers"]["sealroom"]["findings"] == 0
    assert sum(summary["verifiers"]["sealroom"]["verdicts"].values()) == 51
    assert next(report.as_lines()).startswith("50 mutations, of which")
