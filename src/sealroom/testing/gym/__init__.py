"""A gym for verifiers: real evidence, thousands of labelled forgeries of it, and what each verifier makes of them.

    originals           the samples: every vector that has to be accepted
    mutation            what a mutation is, and what a sound verifier makes of it
    quotes, dcap, snp   what is done to quotes, their collateral, and reports
    nvidia, nvidia_rims, cose   what is done to GPUs' reports, their reference values, and signed CBOR
    azure, gcp, tpm, vtpm, tokens, json_evidence   what is done to the evidence of clouds and TPMs, and to tokens
    certificates, signed_documents, revocation, windows   what is done to the parts that they share
    hierarchy, hierarchy_faults, snp_hierarchy, nvidia_hierarchy,
    azure_world, gcp_world, token_world, nitro_world, cca_world
                        the samples under keys of one's own, with one fault at a time
    worlds              which samples can be had so
    judges, verifiers_service, nvidia_verifier_service   this project's verifier, and other people's
    report              counts and findings

`run_gym` is the whole. The same seed and the same samples give the same mutations under the same labels.
"""

import random
from collections.abc import Callable, Iterator, Sequence

from sealroom.evidence import Tee
from sealroom.testing.gym.azure import azure_mutations
from sealroom.testing.gym.cose import cose_mutations, nitro_mutations
from sealroom.testing.gym.dcap import dcap_mutations
from sealroom.testing.gym.gcp import gcp_mutations
from sealroom.testing.gym.judges import Answer, Judge, claims_of
from sealroom.testing.gym.mutation import Expectation, Level, Mutation, Sample
from sealroom.testing.gym.nvidia import nvidia_mutations
from sealroom.testing.gym.report import Finding, GymReport, finding_of, other_status
from sealroom.testing.gym.snp import snp_mutations
from sealroom.testing.gym.tpm import tpm_mutations
from sealroom.testing.gym.windows import time_mutations
from sealroom.testing.gym.worlds import re_minted

__all__ = ["Finding", "GymReport", "mutations", "re_minted", "run_gym"]

_MAKERS: dict[Tee, Callable[[Sample, Sequence[Sample], random.Random], Iterator[Mutation]]] = {
    Tee.TDX: dcap_mutations,
    Tee.SGX: dcap_mutations,
    Tee.SNP: snp_mutations,
    Tee.NVIDIA: nvidia_mutations,
    Tee.NITRO: nitro_mutations,
    Tee.CCA: cose_mutations,
    Tee.TPM: tpm_mutations,
    Tee.AZURE_VTPM: azure_mutations,
    Tee.GCP: gcp_mutations,
}


def run_gym(
    samples: Sequence[Sample],
    judges: Sequence[Judge],
    *,
    seed: int = 0,
    limit: int | None = None,
    only: str | None = None,
    re_mint: bool = True,
    tell: Callable[[Finding], None] = lambda _finding: None,
) -> GymReport:
    """Mutate every sample and have every judge judge it.

    Args:
        samples: what has to be accepted as it is.
        judges: the first is this project's; each is asked only what it claims to judge.
        seed: which bits are flipped, and which mutations are taken where ``limit`` leaves some out.
        limit: at most so many mutations of each sample, and as many of the same re-minted.
        only: a part of the name of the mutations to make, and of no others.
        re_mint: whether to try every sample under keys of one's own too.
        tell: called with every finding as it is made.
    """
    report = GymReport()
    for sample in samples:
        _run(sample, mutations(sample, samples, seed=seed), judges, report, (seed, limit, only), tell)
        world = re_minted(sample) if re_mint else None
        if world is not None:
            _run(world[0], world[1], judges, report, (seed, limit, only), tell)
    return report


def mutations(sample: Sample, samples: Sequence[Sample], *, seed: int = 0) -> Iterator[Mutation]:
    """Every mutation of ``sample``; the other ``samples`` of its family lend what is true of them."""
    maker = _MAKERS[sample.tee]
    draw = random.Random(f"{seed} {sample.name}")  # noqa: S311 - not for secrets: it has to be the same each time
    others = [other for other in samples if other.name != sample.name and _MAKERS[other.tee] is maker]
    yield from maker(sample, others, draw)
    try:
        window = claims_of(sample).validity
    except Exception:  # noqa: BLE001 - ours refuses the sample or fails at it, which is a finding already
        return
    yield from time_mutations(sample, window)


def _run(
    sample: Sample,
    made: Iterator[Mutation],
    judges: Sequence[Judge],
    report: GymReport,
    choice: tuple[int, int | None, str | None],
    tell: Callable[[Finding], None],
) -> None:
    original = Mutation(label="as it was recorded", level=Level.ORIGINAL, expectation=Expectation.ORIGINAL,
                        sample=sample)  # fmt: skip
    first = _first_answers(original, judges, report, tell)
    for mutation in _chosen(made, *choice):
        report.made[mutation.expectation.value, mutation.level.value] += 1
        for judge in judges:
            if judge.name in first and judge.is_asked(sample, mutation):
                _ask(judge, mutation, first[judge.name], report, tell)


def _first_answers(
    original: Mutation, judges: Sequence[Judge], report: GymReport, tell: Callable[[Finding], None]
) -> dict[str, Answer]:
    """What each judge says of the sample itself. One that refuses it is not asked about what was made of it."""
    found: dict[str, Answer] = {}
    for judge in judges:
        if not judge.is_asked(original.sample, original):
            continue
        answer = judge.judge(original.sample)
        report.count(judge.name, original, answer)
        if answer.accepted:
            found[judge.name] = answer
            if finding := other_status(judge.name, original, answer, next(iter(found.values()))):
                report.findings.append(finding)
                tell(finding)
            continue
        report.left_out.append((judge.name, original.sample.name, answer.word))
        if finding := finding_of(judge.name, original, answer, answer):
            report.findings.append(finding)
            tell(finding)
    return found


def _ask(
    judge: Judge, mutation: Mutation, original: Answer, report: GymReport, tell: Callable[[Finding], None]
) -> None:
    answer = judge.judge(mutation.sample)
    report.count(judge.name, mutation, answer)
    if finding := finding_of(judge.name, mutation, answer, original):
        report.findings.append(finding)
        tell(finding)


def _chosen(found: Iterator[Mutation], seed: int, limit: int | None, only: str | None) -> Iterator[Mutation]:
    if only is not None:
        found = (mutation for mutation in found if only in mutation.name)
    if limit is None:
        return found
    every = list(found)
    draw = random.Random(f"{seed} chosen")  # noqa: S311 - as above
    return iter(every if len(every) <= limit else draw.sample(every, limit))
