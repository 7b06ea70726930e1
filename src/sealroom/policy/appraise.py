"""The verdict: every check that a policy asks for, made on claims of verified evidence.

The one holder of the right to make an `Appraisal`. It never stops early: a person who is refused learns every reason
at once (``spec/policy.md`` section 4).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sealroom.errors import MisuseError
from sealroom.evidence import APPRAISED, Appraisal, Check, Claims, Tee
from sealroom.policy.model import Policy
from sealroom.policy.room import room_checks
from sealroom.policy.sgx import sgx_checks
from sealroom.policy.snp import snp_checks
from sealroom.policy.subject import Subject
from sealroom.policy.tdx import tdx_checks
from sealroom.policy.trust import binding_checks, init_data_checks, trust_checks
from sealroom.statement import statement_members

__all__ = ["appraise"]

_TEE_CHECKS: Mapping[Tee, Callable[[Policy, Claims], Iterator[Check]]] = {
    Tee.SNP: snp_checks,
    Tee.TDX: tdx_checks,
    Tee.SGX: sgx_checks,
}
"""What is asked of each TEE: no checks where the policy does not accept it, which ``trust.tee`` refuses."""


def appraise(
    policy: Policy, claims: Claims, *, subject: Subject, at: datetime, devices: Sequence[Claims] = ()
) -> Appraisal:
    """Appraise ``claims`` about ``subject``, and its ``devices``, under ``policy`` at ``at`` (timezone-aware).

    The result may be a refusal; `Appraisal.require_accepted` turns that into an error.
    """
    if at.tzinfo is None:
        raise MisuseError("policy.naive-time", "a time without a timezone", got=at.isoformat())
    return Appraisal(
        checks=tuple(_checks(policy, claims, tuple(devices), subject, at)),
        simulated=any(one.simulated for one in (claims, *devices)),
        policy_name=policy.name,
        policy_digest=policy.digest,
        claims=claims,
        devices=tuple(devices),
        warrant=APPRAISED,
    )


def _checks(
    policy: Policy, claims: Claims, devices: tuple[Claims, ...], subject: Subject, at: datetime
) -> Iterator[Check]:
    yield from trust_checks(policy, claims, at)
    yield from binding_checks(policy, claims, subject)
    if claims.tee in _TEE_CHECKS:
        yield from _TEE_CHECKS[claims.tee](policy, claims)
    yield from init_data_checks(policy, claims, subject)
    if subject.statement is not None:
        yield from room_checks(policy, subject.statement, at)
    yield from _requirements(policy, _variables(claims, subject))


def _requirements(policy: Policy, variables: Mapping[str, Any]) -> Iterator[Check]:
    for requirement in policy.require:
        outcome = requirement.evaluate(variables)
        yield Check(
            name=f"require.{requirement.number}",
            got=outcome.got,
            wanted=f"{requirement.when} ({requirement.because})",
            passed=outcome.passed,
            source=f"policy: [[require]] number {requirement.number}",
            code="policy.requirement",
            fix=requirement.fix,
        )


def _variables(claims: Claims, subject: Subject) -> dict[str, Any]:
    """What an expression may name: plain values only, bytes as hexadecimal."""
    variables: dict[str, Any] = {
        "claims": {
            "tee": claims.tee.value,
            "hardware_model": claims.hardware_model,
            "signer": claims.signer,
            "device_id": None if claims.device_id is None else claims.device_id.hex(),
            "root": claims.root.hex(),
            "simulated": claims.simulated,
            "report_data": claims.report_data.hex(),
            "measurements": {name: value.hex() for name, value in claims.measurements.items()},
            "tcb": {kind: dict(parts) for kind, parts in claims.tcb.items()},
            "debug": claims.debug,
            "migratable": claims.migratable,
            "tcb_status": claims.tcb_status,
            "tcb_date": None if claims.tcb_date is None else claims.tcb_date.isoformat(),
            "advisories": list(claims.advisories),
            "flags": sorted(claims.flags),
            "details": dict(claims.details),
        }
    }
    if subject.statement is not None:
        variables["statement"] = statement_members(subject.statement)
    if subject.init_data is not None:
        variables["init_data"] = dict(subject.init_data.facts)
    return variables
