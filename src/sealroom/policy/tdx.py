"""Checks on TDX claims (``spec/policy.md`` section 2.3.2).

Offsets and bits are the matter of ``tees/tdx``; here are only the facts that it hands on, by name.
"""

from collections.abc import Iterator

from sealroom.evidence import Check, Claims
from sealroom.policy.checks import hex_or_none, left_open
from sealroom.policy.flags import Flag, flag_checks
from sealroom.policy.intel import measurement_checks, platform_checks
from sealroom.policy.model import Policy, TdxRules

__all__ = ["FLAGS", "tdx_checks"]

FLAGS = {
    "td_debug": Flag("debug", "start the TD without DEBUG: with it, the host reads its memory"),
    "migratable": Flag("migratable", "start the TD without MIGRATABLE"),
    "sept_ve_disable_off": Flag(
        "sept_ve_disable_off", "start the TD with SEPT_VE_DISABLE (Azure's paravisor leaves it off)"
    ),
    "perfmon": Flag("perfmon", "start the TD without PERFMON"),
    "mr_service_td_nonzero": Flag("service_td", "start the TD without a service TD, or name mr_service_td"),
    "xfam_unknown_bit": Flag("xfam_unknown_bit", "use a release that knows this processor's features"),
    "td_attributes_reserved": Flag(None, "start the TD without attributes for testing"),
    "xfam_required_bit_clear": Flag(None, "no TDX module makes such a TD: find out what this is"),
}
"""Every flag of TDX claims."""

_MUST = ("mr_td", "rtmr1", "rtmr2")
"""What a policy pins, or says why not."""


def tdx_checks(policy: Policy, claims: Claims) -> Iterator[Check]:
    """Every check on a TD and its platform; none under a policy without ``[tdx]``."""
    if (rules := policy.tdx) is None:
        return
    yield from flag_checks("tdx", FLAGS, _allowed(rules, claims), claims, named=rules.platform.allow)
    for name in _MUST:
        if name not in rules.measurements:
            key = "rtmr" if name != "mr_td" and policy.leaves_open("rtmr") else "measurement"
            yield left_open(policy, key, f"tdx.{name.replace('_', '-')}", hex_or_none(claims.measurements.get(name)))
    yield from measurement_checks("tdx", rules.measurements, claims)
    yield from platform_checks("tdx", rules.platform, claims)


def _allowed(rules: TdxRules, claims: Claims) -> frozenset[str]:
    """A service TD that the policy names needs no allowance beside."""
    named = claims.measurements.get("mr_service_td") in rules.measurements.get("mr_service_td", ())
    return rules.platform.allow | ({"service_td"} if named else frozenset())
