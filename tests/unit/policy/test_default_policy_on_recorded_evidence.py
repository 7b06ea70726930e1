"""Recorded evidence of real machines under the built-in default: sound ones pass, dangerous ones do not."""

import base64
import hashlib
import json
from datetime import datetime
from pathlib import Path

from sealroom.evidence import Appraisal, Collateral, Tee
from sealroom.policy import default_policy
from sealroom.verifier import appraise_evidence


def _root_of(pem: bytes) -> bytes:
    body = b"".join(line for line in pem.splitlines() if b"-----" not in line)
    return hashlib.sha256(base64.b64decode(body)).digest()


def _judge(folder: Path, case: dict) -> Appraisal:
    anchor = case.get("trust_root")
    policy = default_policy(insecure_simulated=[_root_of((folder / anchor).read_bytes())] if anchor else ())
    items = {name: (folder / file).read_bytes() for name, file in case["collateral"].items()}
    raw, at = (folder / case["evidence"]).read_bytes(), datetime.fromisoformat(case["verify_at"])
    return appraise_evidence(tee=Tee.SNP, raw=raw, collateral=Collateral(items=items), policy=policy, at=at)


def _sound_cases(vectors: Path) -> list[tuple[Path, dict]]:
    folders = sorted(path.parent for path in (vectors / "snp").glob("*/vector.json"))
    cases = [(folder, json.loads((folder / "vector.json").read_text("utf-8"))) for folder in folders]
    sound = [
        (folder, case)
        for folder, case in cases
        if case["expect"]["verdict"] == "valid" and case["kind"].startswith("snp-report")
    ]
    assert any("trust_root" in case for _, case in sound)
    assert any("trust_root" not in case for _, case in sound)
    return sound


def test_the_default_refuses_exactly_the_authentic_evidence_that_it_must(shared_vectors: Path) -> None:
    wrong = []
    cases = _sound_cases(shared_vectors)
    for folder, case in cases:
        appraisal = _judge(folder, case)
        if appraisal.accepted is (case["expect"].get("default_policy") == "refuse"):
            wrong.append((folder.name, [check.code for check in appraisal.failures]))

    assert wrong == []
    assert any(case["expect"].get("default_policy") == "refuse" for _, case in cases)


def test_every_flag_that_a_policy_has_to_see_is_seen(shared_vectors: Path) -> None:
    for folder, case in _sound_cases(shared_vectors):
        assert set(case["expect"]["policy_flags"]) <= _judge(folder, case).claims.flags, folder.name


def test_verdicts_under_throwaway_roots_are_simulated_and_under_amds_are_not(shared_vectors: Path) -> None:
    for folder, case in _sound_cases(shared_vectors):
        assert _judge(folder, case).simulated is ("trust_root" in case), folder.name
