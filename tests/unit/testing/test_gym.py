"""The gym finds nothing in our verifier, is the same each time, and can fail: a check that is taken out is missed."""

import importlib
import random
from dataclasses import replace

import pytest
from gym_samples import recorded, snp_sample

from sealroom import x509_chain
from sealroom.evidence import Validity
from sealroom.tees._dcap import collateral as dcap_collateral
from sealroom.tees._dcap import verify as dcap_verify
from sealroom.tees.snp import certificates as snp_certificates
from sealroom.testing.gym import mutations, re_minted, run_gym
from sealroom.testing.gym.judges import Answer, Ours
from sealroom.testing.gym.mutation import Expectation, Level
from sealroom.testing.gym.report import finding_of

snp_module = importlib.import_module("sealroom.tees.snp.verify")  # the package has a function of that name
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
    assert report.answers["sealroom", "original", "accepted"] == 4  # each once more under own keys
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


def test_every_sample_is_tried_under_own_keys_too_with_one_fault_at_a_time(samples, minted):
    for family, least in ((samples, 80), (minted[:1], 40)):
        for sample in family:
            world, made = re_minted(sample)
            assert world.roots.insecure_simulated
            assert Ours().judge(world).accepted
            found = [mutation for mutation in made if mutation.expectation is Expectation.FORGERY]
            assert len(found) >= least
            assert len({mutation.label for mutation in found}) == len(found)
            assert all(mutation.sample != world for mutation in found)


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
    dcap_verify.forget()
    monkeypatch.setattr(module, check, replacement)
    found = run_gym(samples, [Ours()], re_mint=False).findings
    monkeypatch.undo()
    dcap_verify.forget()
    return [finding for finding in found if finding.what == "accepted a forgery" and finding.level == level]


@pytest.mark.parametrize(
    ("check", "level"), [("_require_signature", "field"), ("_require_signature", "signature")]
)  # fmt: skip
def test_an_snp_check_that_is_taken_out_is_missed(monkeypatch, minted, check, level):
    assert findings_without(monkeypatch, snp_module, check, minted[:1], level)


@pytest.mark.parametrize(
    ("module", "check", "level"),
    [
        (dcap_verify, "_require_quote_signature", "field"),
        (dcap_verify, "_require_binding", "signature"),
        (dcap_collateral, "verify_signature", "json"),
    ],
)
def test_a_dcap_check_that_is_taken_out_is_missed(monkeypatch, samples, module, check, level):
    assert findings_without(monkeypatch, module, check, samples, level)


def missed_in_own_world(monkeypatch, sample, module, check, replacement=nothing):
    """Labels of the re-minted faults that are accepted once a check is gone."""
    dcap_verify.forget()
    x509_chain.forget()
    monkeypatch.setattr(module, check, replacement)
    found = run_gym([sample], [Ours()], only="re-minted: ").findings
    monkeypatch.undo()
    dcap_verify.forget()
    return {finding.label.removeprefix("re-minted: ") for finding in found if finding.what == "accepted a forgery"}


DCAP_CHECKS = [
    (dcap_verify, "_require_platform", "tcb_info of another PCEID"),
    (dcap_verify, "_require_platform", "leaf of another FMSPC"),
    (dcap_verify, "_require_binding", "report that binds another key"),
    (dcap_verify, "_require_qe_report", "report signed by the root"),
    (dcap_verify, "require_not_revoked", "leaf revoked"),
    (dcap_verify, "require_not_revoked", "intermediate revoked"),
    (dcap_collateral, "require_not_revoked", "tcb_signer revoked"),
    (dcap_collateral, "_require_id", "qe_identity of the other enclave"),
    (dcap_collateral, "verify_signature", "documents signed by another key than their chain's"),
    (x509_chain, "require_in_window", "intermediate expired"),
    (x509_chain, "require_in_window", "root_crl not valid yet"),
    (x509_chain, "_require_understood", "leaf with a critical extension that nobody knows"),
]


@pytest.mark.parametrize(("module", "check", "label"), DCAP_CHECKS)
def test_each_dcap_check_alone_refuses_a_fault(monkeypatch, samples, module, check, label):
    assert label in missed_in_own_world(monkeypatch, samples[0], module, check)


SNP_CHECKS = [
    (snp_module, "_require_same_kind", "report that says it was signed by the other key"),
    (snp_module, "_require_same_product", "report of another product"),
    (snp_module, "_require_same_tcb", "report of another TCB in byte 7"),
    (snp_certificates, "_require_product_name", "leaf of another 1.3.6.1.4.1.3704.1.2"),
    (snp_certificates, "_require_struct_version", "leaf of extensions of version 9"),
    (snp_certificates, "_require_not_revoked", "intermediate revoked"),
    (x509_chain, "require_in_window", "leaf expired"),
]


@pytest.mark.parametrize(("module", "check", "label"), SNP_CHECKS)
def test_each_snp_check_alone_refuses_a_fault(monkeypatch, minted, module, check, label):
    assert label in missed_in_own_world(monkeypatch, minted[0], module, check)


def test_a_window_that_nobody_looks_at_is_missed(monkeypatch, minted):
    monkeypatch.setattr(Validity, "holds_at", lambda *_: True)
    found = run_gym(minted[:1], [Ours()], only="time:").findings
    assert {finding.label for finding in found} == {
        "time: a second before its window", "time: ten years before", "time: a second after its window",
        "time: ten years after"}  # fmt: skip


def test_an_exception_that_is_none_of_ours_is_a_finding(monkeypatch, minted):
    def crash(*_arguments):
        raise IndexError("off the end")

    monkeypatch.setattr(snp_module, "_require_signature", crash)
    report = run_gym(minted[:1], re_mint=False, judges=[Ours()], limit=5)
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
    report = run_gym(
        minted[:1], re_mint=False, judges=[Scripted(lambda _: Answer(accepted=True, word="yes"))], limit=200
    )
    assert {finding.what for finding in report.findings} == {"accepted a forgery"}
    assert len(report.findings) == report.answers["scripted", "forgery", "accepted"]


def test_one_that_refuses_the_original_is_said_so_once_and_not_asked_again(minted):
    report = run_gym(
        minted[:1], re_mint=False, judges=[Scripted(lambda _: Answer(accepted=False, word="no"))], limit=200
    )
    assert [(finding.what, finding.label) for finding in report.findings] == [("refused", "as it was recorded")]
    assert report.left_out == [("scripted", "minted", "no")]


def test_one_that_refuses_benign_bytes_or_takes_them_for_something_else_is_found(samples):
    whole = samples[0].raw

    def refuses(sample):
        return Answer(accepted=sample.raw == whole, word="length")

    def confuses(sample):
        return Answer(accepted=True, word="yes", facts=len(sample.raw))

    for judge, what in ((refuses, "refused"), (confuses, "accepted as something else")):
        report = run_gym(samples[:1], re_mint=False, judges=[Scripted(judge)], only="followed by")
        assert {finding.what for finding in report.findings} == {what}
        assert {finding.expectation for finding in report.findings} == {"benign"}


def test_another_status_for_the_same_sample_is_found(samples):
    other = Scripted(lambda _: Answer(accepted=True, word="?", status="Fine"))
    report = run_gym(samples[:1], [Ours(), other], limit=1, re_mint=False)
    assert ("scripted", "another status") in {(finding.verifier, finding.what) for finding in report.findings}
    same = Scripted(lambda _: Answer(accepted=True, word="?", status="UpToDate"))
    assert "another status" not in {f.what for f in run_gym(samples[:1], [Ours(), same], limit=1).findings}


def test_neutral_ones_may_be_refused_and_not_change_what_is_said(samples):
    neutral = "signature: s negated"
    quiet = run_gym(
        samples[:1],
        re_mint=False,
        judges=[Scripted(lambda s: Answer(accepted=s == samples[0], word="?"))],
        only=neutral,
    )
    assert quiet.findings == []
    loud = run_gym(
        samples[:1],
        re_mint=False,
        judges=[Scripted(lambda s: Answer(accepted=True, word="?", facts=s.raw))],
        only=neutral,
    )
    assert "accepted as something else" in {finding.what for finding in loud.findings}


def test_counts_say_what_was_made_and_what_came_of_it(minted):
    report = run_gym([replace(minted[0], name="one")], re_mint=False, judges=[Ours()], limit=50)
    summary = report.as_dict()
    assert sum(summary["made"].values()) == 50
    assert summary["verifiers"]["sealroom"]["findings"] == 0
    assert sum(summary["verifiers"]["sealroom"]["verdicts"].values()) == 51
    assert next(report.as_lines()).startswith("50 mutations, of which")


def test_what_is_remembered_of_one_quote_changes_no_verdict_on_another(samples):
    """In one shuffled order, twice, from an empty memory: forgeries come before and after what they were made of."""
    made = [(sample, mutation) for sample in samples for mutation in mutations(sample, samples)]
    for sample in samples:
        world, faults = re_minted(sample)
        made += [(world, mutation) for mutation in faults]
    draw, ours = random.Random(5), Ours()
    made = draw.sample(made, 2500)
    dcap_verify.forget()
    x509_chain.forget()
    for _ in range(2):
        draw.shuffle(made)
        for sample, mutation in made:
            answer = ours.judge(mutation.sample)
            assert finding_of("sealroom", mutation, answer, answer) is None, mutation.label
            if answer.accepted:
                assert answer.facts == ours.judge(sample).facts, mutation.label
