"""Runs test vectors and says of each whether it came out as it must. Knows kinds of evidence, and no case by name.

A vector passes if the verdict is the expected one and everything that it expects besides is exactly so. Each expected
policy flag has to be there; more flags than a vector knew of are no failure, they only say more. Where the vector
leaves the verdict to the implementation, both answers pass, and a crash does not. A vector that can not be run, or
that expects something that no runner answers, is neither: it is counted as not supported. To add a TEE, add a line to
`KINDS`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sealroom.errors import MalformedError, SealroomError, UnavailableError, UnverifiedError
from sealroom.evidence import TrustRoots
from sealroom.testing import (
    conformance_azure,
    conformance_cca,
    conformance_cmw,
    conformance_dcap,
    conformance_ear,
    conformance_eventlog,
    conformance_gcp,
    conformance_measure,
    conformance_nitro,
    conformance_nvidia,
    conformance_snp,
    conformance_tpm,
)
from sealroom.testing.comparison import Comparison, compare_accepted, compare_refused
from sealroom.testing.outcome import Outcome, UnsupportedCaseError
from sealroom.testing.vector_store import VectorCase, find_cases, read_case
from sealroom.x509_reader import read_certificates

__all__ = ["KINDS", "CaseResult", "run_case", "run_folder", "summary"]

Runner = Callable[[VectorCase, TrustRoots], Outcome]

KINDS: Mapping[str, Runner] = {
    "sgx-quote-": conformance_dcap.run_sgx,
    "snp-report-": conformance_snp.run_report,
    "snp-cert-chain": conformance_snp.run_certificates,
    "tdx-quote-": conformance_dcap.run_tdx,
    "tdx-ccel": conformance_eventlog.run_ccel,
    "tcg2-eventlog": conformance_eventlog.run_tcg2,
    "ima": conformance_eventlog.run_ima,
    "cca": conformance_cca.run,
    "cmw": conformance_cmw.run,
    "ear-claims": conformance_ear.run_claims,
    "ear-claims-cbor": conformance_ear.run_claims_cbor,
    "ear-cwt": conformance_ear.run_cwt,
    "ear-jwt": conformance_ear.run_jwt,
    "azure": conformance_azure.run,
    "gcp": conformance_gcp.run,
    "tpm": conformance_tpm.run,
    "nitro": conformance_nitro.run,
    "nvidia": conformance_nvidia.run,
    "snp-launch": conformance_measure.run_snp_launch,
    "tdx-mrtd": conformance_measure.run_mrtd,
    "tdx-direct-boot": conformance_measure.run_direct_boot,
    "sgx-sigstruct": conformance_measure.run_sigstruct,
    "nitro-eif": conformance_measure.run_eif,
}
"""Who runs which kinds, by how the kind begins; the longest beginning wins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """What came of one vector."""

    vector: str
    kind: str
    expected: str
    verdict: str
    """``valid``, ``invalid``, ``crash``, or ``unsupported`` where there is none."""
    passed: bool
    supported: bool = True
    """False: it could not be run, or it expects something that no runner answers."""
    code: str | None = None
    """The error code behind ``invalid``."""
    message: str | None = None
    tcb_status: str | None = None
    flags: tuple[str, ...] = ()
    flags_missing: tuple[str, ...] = ()
    fields_differ: tuple[str, ...] = ()
    """Fields, and other expectations by their names, that came out otherwise."""

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
        mark = "pass" if self.passed else "FAIL" if self.supported else "unsupported"
        facts = [self.verdict if self.verdict == self.expected else f"{self.verdict}, expected {self.expected}"]
        facts += [str(fact) for fact in (self.code, self.tcb_status, " ".join(self.flags)) if fact]
        facts += [f"flags missing: {' '.join(self.flags_missing)}"] if self.flags_missing else []
        facts += [f"fields differ: {' '.join(self.fields_differ)}"] if self.fields_differ else []
        facts += [self.message] if self.message and not self.passed else []
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
                             supported=False, code=error.code, message=error.message)  # fmt: skip
        else:
            yield run_case(case)


def run_case(case: VectorCase) -> CaseResult:
    """Run one vector."""
    runners = [(start, runner) for start, runner in KINDS.items() if case.kind.startswith(start)]
    if not runners:
        return _not_supported(case, f"no TEE of this release has vectors of the kind {case.kind}")
    runner = max(runners)[1]
    try:
        return _judged(case, _outcome(runner, case))
    except UnsupportedCaseError as reason:
        return _not_supported(case, str(reason))
    except SealroomError as error:  # not the evidence is at fault: the vector is, or something lacks here
        return _not_supported(case, str(error))
    except Exception as error:  # noqa: BLE001 - a crash on a vector is what this tool is there to find and to report
        return CaseResult(vector=case.name, kind=case.kind, expected=case.expect.verdict, verdict="crash",
                          passed=False, code="internal.unexpected", message=f"{type(error).__name__}: {error}",
                          )  # fmt: skip


def summary(results: Iterable[CaseResult]) -> dict[str, int]:
    """How many passed, failed, and could not be run."""
    counts = {"passed": 0, "failed": 0, "unsupported": 0}
    for result in results:
        key = "passed" if result.passed else "failed" if result.supported else "unsupported"
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


def _outcome(runner: Runner, case: VectorCase) -> Outcome:
    try:
        return runner(case, _roots(case))
    except SealroomError as error:
        if error.code.startswith("conformance.") or isinstance(error, UnavailableError):
            raise  # no verdict on the evidence
        return Outcome(refusal=error)


def _not_supported(case: VectorCase, why: str) -> CaseResult:
    return CaseResult(vector=case.name, kind=case.kind, expected=case.expect.verdict, verdict="unsupported",
                      passed=False, supported=False, message=why)  # fmt: skip


def _judged(case: VectorCase, outcome: Outcome) -> CaseResult:
    refusal = outcome.refusal
    compared = compare_refused(case, outcome) if refusal else compare_accepted(case, outcome)
    verdict = "invalid" if refusal else "valid"
    # a vector with an anchor of its own is not to be judged by the vendor's
    own_root_only = "trust_root" not in case.document or outcome.simulated or refusal is not None
    right = case.expect.verdict in {verdict, "implementation_defined"} and own_root_only
    right = right and not compared.flags_missing and not compared.differ
    return CaseResult(
        vector=case.name, kind=case.kind, expected=case.expect.verdict, verdict=verdict,
        passed=right and not compared.unanswered, supported=not (right and compared.unanswered),
        code=refusal.code if refusal else None,
        message=_message(refusal, compared, own_root_only=own_root_only),
        tcb_status=outcome.tcb_status, flags=tuple(sorted(outcome.flags)), flags_missing=compared.flags_missing,
        fields_differ=compared.differ,
    )  # fmt: skip


def _message(refusal: SealroomError | None, compared: Comparison, *, own_root_only: bool) -> str | None:
    if refusal is not None:
        return str(refusal)
    if not own_root_only:
        return "ends in the vendor's root, and the vector trusts its own only"
    if compared.unanswered:
        return f"nothing here answers what the vector expects under {', '.join(compared.unanswered)}"
    return None
