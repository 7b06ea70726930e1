"""Checks by ``[[require]]``: what an expression may name, and what becomes of its answer (``spec/policy.md`` 2.6)."""

from collections.abc import Iterator, Sequence
from typing import Any

from sealroom.evidence import Check, Claims
from sealroom.policy.model import Policy
from sealroom.policy.subject import Subject
from sealroom.statement import statement_members

__all__ = ["requirement_checks"]


def requirement_checks(
    policy: Policy, claims: Claims, devices: Sequence[Claims], subject: Subject
) -> Iterator[Check]:
    """A check for each requirement."""
    if not policy.require:
        return
    variables = _variables(claims, devices, subject)
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


def _variables(claims: Claims, devices: Sequence[Claims], subject: Subject) -> dict[str, Any]:
    variables: dict[str, Any] = {
        "claims": {**_members(claims), "inner": None if claims.inner is None else _members(claims.inner)},
        "devices": [_members(device) for device in devices],
    }
    if subject.statement is not None:
        variables["statement"] = statement_members(subject.statement)
    if subject.init_data is not None:
        variables["init_data"] = dict(subject.init_data.facts)
    return variables


def _members(claims: Claims) -> dict[str, Any]:
    """Plain values only, bytes as hexadecimal."""
    return {
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
