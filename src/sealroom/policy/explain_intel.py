"""``[tdx]`` and ``[sgx]`` in words."""

from collections.abc import Iterator, Mapping

from sealroom.policy.model import SGX_ALLOWANCES, TDX_ALLOWANCES, IntelRules, Policy

__all__ = ["explain_intel"]

_WARNINGS = {
    "debug": "LETS PASS debugging: the host can read everything",
    "migratable": "LETS PASS TDs that may move to machines that are not checked here",
    "sept_ve_disable_off": "lets pass TDs that see exceptions when the host takes pages away",
    "perfmon": "LETS PASS TDs that share performance counters with the host",
    "service_td": "LETS PASS TDs that another TD may reach into",
    "xfam_unknown_bit": "lets pass processor features that this release does not know",
    "provision_key": "LETS PASS enclaves that can derive keys naming the platform",
    "einittoken_key": "LETS PASS enclaves that license others",
}


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
        yield from (f"  {name}: {value.hex()}" for value in accepted)


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
        yield f"  {_WARNINGS[allowance]}" if allowance in rules.allow else f"  refuses: {allowance}"
