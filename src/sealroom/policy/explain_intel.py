"""``[tdx]`` and ``[sgx]`` in words."""

from collections.abc import Iterator, Mapping

from sealroom.policy.allowances import INTEL_WARNINGS
from sealroom.policy.model import SGX_ALLOWANCES, TDX_ALLOWANCES, IntelRules, Policy

__all__ = ["explain_intel"]


def explain_intel(policy: Policy) -> Iterator[str]:
    """The lines on TDX and SGX; none where the policy has no such table."""
    if policy.tdx is not None:
        yield from ("", "TDX: accepts")
        yield from _pinned(policy.tdx.measurements)
        yield from _platform(policy.tdx.platform, TDX_ALLOWANCES)
    if policy.sgx is not None:
        yield from ("", "SGX: accepts")
        yield from _pinned(policy.sgx.measurements)
        if policy.sgx.isv_prod_id:
            yield f"  product: {', '.join(map(str, policy.sgx.isv_prod_id))}"
        if policy.sgx.minimum_isv_svn is not None:
            yield f"  security version from {policy.sgx.minimum_isv_svn}"
        yield from _platform(policy.sgx.platform, SGX_ALLOWANCES)


def _pinned(measurements: Mapping[str, tuple[bytes, ...]]) -> Iterator[str]:
    for name, accepted in measurements.items():
        yield from (f"  {name}: {value.hex()}{_emptiness(name, value)}" for value in accepted)


def _emptiness(name: str, value: bytes) -> str:
    """A register of zeros took no measurement: pinning it keeps out nothing that is measured nowhere."""
    return "" if any(value) or not name.startswith("rtmr") else " (zero: nothing was measured into it)"


def _platform(rules: IntelRules, allowances: tuple[str, ...]) -> Iterator[str]:
    yield f"  platforms that Intel calls: {', '.join(rules.tcb_status)}"
    if rules.accepted_advisories:
        yield f"  open to no advisory but: {', '.join(rules.accepted_advisories)}"
    if rules.minimum_tcb_date is not None:
        yield f"  at a TCB level of {rules.minimum_tcb_date.isoformat()} or later"
    if rules.minimum_evaluation_number:
        yield f"  by collateral with evaluation number {rules.minimum_evaluation_number} or later"
    yield from (f"  family and model: {value.hex()}" for value in rules.fmspc)
    yield from (f"  machine: {value.hex()}" for value in rules.ppid)
    for allowance in allowances:
        yield f"  {INTEL_WARNINGS[allowance]}" if allowance in rules.allow else f"  refuses: {allowance}"
