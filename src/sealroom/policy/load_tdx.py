"""The table ``[tdx]`` of a policy (``spec/policy.md`` section 2.3.2)."""

from sealroom.policy.document import Table
from sealroom.policy.load_intel import PLATFORM, measurements, platform_rules
from sealroom.policy.model import TDX_ALLOWANCES, TDX_MEASUREMENTS, TdxRules
from sealroom.policy.pinning import not_both, pinned_or_unchecked
from sealroom.policy.scope import Scope

__all__ = ["tdx_rules"]


def tdx_rules(top: Table, scope: Scope) -> TdxRules:
    """Read ``[tdx]``.

    A TD is its firmware and everything that this starts: MRTD alone would let any kernel in.

    Raises:
        MalformedError: ``policy.*``.
    """
    table = top.table("tdx", (*TDX_MEASUREMENTS, *PLATFORM))
    pinned_or_unchecked(table, "mr_td", scope, by="measurement")
    for register in ("rtmr1", "rtmr2"):
        pinned_or_unchecked(table, register, scope, by="rtmr" if "rtmr" in scope else "measurement")
    for register in ("rtmr0", "rtmr3"):
        if register in table:
            not_both(table, register, scope, by="rtmr")
            not_both(table, register, scope, by="measurement")
    return TdxRules(
        measurements=measurements(table, TDX_MEASUREMENTS, scope), platform=platform_rules(table, TDX_ALLOWANCES)
    )
