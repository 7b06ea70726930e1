"""Recorded evidence of real machines under the built-in default: sound ones pass, dangerous ones do not."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sealroom.evidence import Appraisal, Collateral, Tee
from sealroom.policy import Policy, default_policy
from sealroom.verifier import appraise_evidence
from sealroom.x509_reader import read_certificates

_TEES = (Tee.SNP, Tee.TDX, Tee.SGX)
_DECIDES = "operator decides"


@dataclass(frozen=True)
class Recorded:
    """Authentic evidence, and what the vector says of it."""

    folder: Path
    tee: Tee
    document: dict[str, Any]

    @property
    def expected(self) -> dict[str, Any]:
        return self.document["expect"]

    @property
    def refused_by_default(self) -> bool:
        # of Intel's platforms the word has to be UpToDate; AMD says none
        current = self.expected.get("tcb_status") in {None, "UpToDate"}
        return self.expected.get("default_policy") in {"refuse", _DECIDES} or not current

    @property
    def roots(self) -> tuple[bytes, ...]:
        anchor = self.document.get("trust_root")
        return () if anchor is None else (read_certificates((self.folder / anchor).read_bytes())[0].fingerprint,)

    def judge(self, policy: Policy | None = None) -> Appraisal:
        items = {name: (self.folder / file).read_bytes() for name, file in self.document["collateral"].items()}
        return appraise_evidence(
            tee=self.tee,
            raw=(self.folder / self.document["evidence"]).read_bytes(),
            collateral=Collateral(items=items),
            policy=policy or default_policy(insecure_simulated=self.roots),
            at=datetime.fromisoformat(self.document["verify_at"]),
        )


def recorded(vectors: Path, *tees: Tee) -> Iterator[Recorded]:
    """Every authentic report or quote among the vectors."""
    for tee in tees or _TEES:
        for path in sorted((vectors / tee).glob("*/vector.json")):
            case = json.loads(path.read_text("utf-8"))
            if case["expect"]["verdict"] == "valid" and case["kind"].startswith((f"{tee}-report", f"{tee}-quote")):
                yield Recorded(path.parent, tee, case)


@pytest.mark.parametrize("tee", _TEES)
def test_the_default_refuses_exactly_the_authentic_evidence_that_it_must(shared_vectors: Path, tee: Tee) -> None:
    cases = list(recorded(shared_vectors, tee))
    wrong = [case.folder.name for case in cases if case.judge().accepted is case.refused_by_default]

    assert wrong == []
    assert any(case.refused_by_default for case in cases)
    assert any(not case.refused_by_default for case in cases)
    assert any("trust_root" in case.document for case in cases)
    assert any("trust_root" not in case.document for case in cases)


@pytest.mark.parametrize("tee", _TEES)
def test_what_is_dangerous_is_refused_for_its_flag_and_not_by_chance(shared_vectors: Path, tee: Tee) -> None:
    """Were the platform current, the software alone would still be refused: by the check of that very fact."""
    dangerous = [case for case in recorded(shared_vectors, tee) if case.expected.get("default_policy")]
    assert dangerous
    for case in dangerous:
        names = {check.name for check in case.judge().failures} - {f"{tee}.tcb-status", f"{tee}.tdx-module-status"}
        assert names, case.folder.name
        if tee is not Tee.SNP:  # whose checks have names of their own
            assert names == {f"{tee}.{flag.replace('_', '-')}" for flag in case.expected["policy_flags"]}


def test_every_flag_that_a_policy_has_to_see_is_seen(shared_vectors: Path) -> None:
    for case in recorded(shared_vectors):
        assert set(case.expected["policy_flags"]) <= case.judge().claims.flags, case.folder.name


def test_verdicts_under_throwaway_roots_are_simulated_and_under_the_vendors_are_not(shared_vectors: Path) -> None:
    for case in recorded(shared_vectors):
        assert case.judge().simulated is ("trust_root" in case.document), case.folder.name
