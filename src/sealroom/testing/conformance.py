"""Runs test vectors and says of each whether it came out as it must. Knows kinds of evidence, and no case by name.

A vector passes if the verdict is the expected one, every expected field and the TCB status are exactly as expected,
and every expected policy flag is there; more flags than a vector knew of are no failure, they only say more. Where
the vector leaves the verdict to the implementation, both answers pass, and a crash does not. A vector that can not be
run is neither: it is counted as not supported. To add a TEE, add a line to `KINDS`.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sealroom.errors import MalformedError, SealroomError, UnavailableError, UnverifiedError
from sealroom.evidence import TrustRoots
from sealroom.testing import conformance_snp
from sealroom.testing.outcome import Outcome, UnsupportedCaseError
from sealroom.testing.vector_store import Expectation, VectorCase, find_cases, read_case
from sealroom.x509_reader import read_certificates

__all__ = ["KINDS", "CaseResult", "run_case", "run_folder", "summary"]

Runner = Callable[[VectorCase, TrustRoots], Outcome]

KINDS: Mapping[str, Runner] = {
    "snp-report-": conformance_snp.run_report,
    "snp-cert-chain": conformance_snp.run_certificates,
}
"""Who runs which kinds, by how the kind begins; the longest beginning wins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """What came of one vector."""

    vector: str
    kind: str
    expected: str
    verdict: str
    """``valid``, ``invalid``, ``unsupported``, or ``crash``."""
    passed: bool
    code: str | None = None
    """The error code behind ``invalid``."""
    message: str | None = None
    tcb_status: str | None = None
    flags: tuple[str, ...] = ()
    flags_missing: tuple[str, ...] = ()
    fields_differ: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, object]:
        """The result for a program."""
        return {
            "vector": self.vector,
            "kind": self.kind,
            "expected": self.expected,
            "verdict": self.verdict,
            "code": self.code,
            "message": self.message,
            "tcb_status": self.tcb_status,
            "flags": list(self.flags),
            "flags_missing": list(self.flags_missing),
            "fields_differ": list(self.fields_differ),
            "pass": self.passed,
        }

    def as_line(self) -> str:
        """The result for a person."""
        mark = "pass" if self.passed else "unsupported" if self.verdict == "unsupported" else "FAIL"
        facts = [self.verdict if self.verdict == self.expected else f"{self.verdict}, expected {self.expected}"]
        facts += [str(fact) for fact in (self.code, self.tcb_status, " ".join(self.flags)) if fact]
        facts += [f"flags missing: {' '.join(self.flags_missing)}"] if self.flags_missing else []
        facts += [f"fields differ: {' '.join(self.fields_differ)}"] if self.fields_differ else []
        return f"{mark:<11} {self.vector}: {'; '.join(facts)}"


def run_folder(directory: Path) -> Iterator[CaseResult]:
    """Run every vector at or below ``directory``.

    Raises:
        UnavailableError: ``conformance.no-vectors``.
    """
    for name, folder in find_cases(directory):
        try:
            case = read_case(name, folder)
        except (MalformedError, UnavailableError) as error:
            # a folder that breaks the schema can not be run, and must not be passed over either
            yield CaseResult(vector=name, kind="?", expected="?", verdict="unsupported", passed=False,
                             code=error.code, message=error.message)  # fmt: skip
        else:
            yield run_case(case)


def run_case(case: VectorCase) -> CaseResult:
    """Run one vector."""
    runners = [(start, runner) for start, runner in KINDS.items() if case.kind.startswith(start)]
    if not runners:
        return _not_supported(case, f"no TEE of this release has vectors of the kind {case.kind}")
    runner = max(runners)[1]
    try:
        outcome = runner(case, _roots(case))
    except UnsupportedCaseError as reason:
        return _not_supported(case, str(reason))
    except SealroomError as error:
        if error.code.startswith("conformance."):  # the vector is at fault, not the evidence in it
            return _not_supported(case, str(error))
        return _refused(case, error.code, str(error), "invalid")
    except Exception as error:  # noqa: BLE001 - a crash on a vector is what this tool is there to find and to report
        return _refused(case, "internal.unexpected", f"{type(error).__name__}: {error}", "crash")
    return _accepted(case, outcome)


def summary(results: Iterable[CaseResult]) -> dict[str, int]:
    """How many passed, failed, and could not be run."""
    counts = {"passed": 0, "failed": 0, "unsupported": 0}
    for result in results:
        key = "passed" if result.passed else "unsupported" if result.verdict == "unsupported" else "failed"
        counts[key] += 1
    return counts


def _roots(case: VectorCase) -> TrustRoots:
    """The vector's own anchor, to be trusted for this vector only, if it has one."""
    if "trust_root" not in case.document:
        return TrustRoots()
    try:
        certificates = read_certificates(case.file(case.document["trust_root"]))
    except (
        MalformedError,
        UnverifiedError,
    ) as reason:
        # a broken anchor is no refusal of the evidence
        raise case.malformed("trust_root is no certificate") from reason
    return TrustRoots(insecure_simulated=frozenset(certificate.fingerprint for certificate in certificates))


def _not_supported(case: VectorCase, why: str) -> CaseResult:
    return CaseResult(vector=case.name, kind=case.kind, expected=case.expect.verdict, verdict="unsupported",
                      passed=False, message=why)  # fmt: skip


def _refused(case: VectorCase, code: str, message: str, verdict: str) -> CaseResult:
    passed = verdict == "invalid" and case.expect.verdict in {"invalid", "implementation_defined"}
    return CaseResult(vector=case.name, kind=case.kind, expected=case.expect.verdict, verdict=verdict,
                      passed=passed, code=code, message=message)  # fmt: skip


def _accepted(case: VectorCase, outcome: Outcome) -> CaseResult:
    expect = case.expect
    own_root_only = "trust_root" not in case.document or outcome.simulated
    missing = tuple(sorted((expect.policy_flags or frozenset()) - outcome.flags))
    differ = tuple(_differing(expect, outcome))
    status_right = expect.tcb_status is None or expect.tcb_status == outcome.tcb_status
    passed = (
        expect.verdict in {"valid", "implementation_defined"}
        and own_root_only
        and not missing
        and not differ
        and status_right
    )
    return CaseResult(
        vector=case.name, kind=case.kind, expected=expect.verdict, verdict="valid", passed=passed,
        message=None if own_root_only else "ends in the vendor's root, and the vector trusts its own only",
        tcb_status=outcome.tcb_status, flags=tuple(sorted(outcome.flags)), flags_missing=missing,
        fields_differ=differ,
    )  # fmt: skip


def _differing(expect: Expectation, outcome: Outcome) -> Iterator[str]:
    absent = object()
    for name, wanted in (expect.fields or {}).items():
        got = outcome.fields.get(name, absent)
        # compared as JSON: 1 is not true, and a list is a list
        if got is absent or json.dumps(got, sort_keys=True) != json.dumps(wanted, sort_keys=True):
            yield name
