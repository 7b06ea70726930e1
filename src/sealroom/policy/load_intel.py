"""What the tables ``[tdx]`` and ``[sgx]`` of a policy share (``spec/policy.md`` section 2.3.4)."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from sealroom.policy.document import Table
from sealroom.policy.model import INTEL_STATUSES, IntelRules
from sealroom.policy.scope import Scope

__all__ = ["PLATFORM", "measurements", "platform_rules"]

PLATFORM = ("tcb_status", "minimum_tcb_date", "accepted_advisories", "minimum_tcb_evaluation_number", "fmspc",
            "ppid", "allow")  # fmt: skip
"""The keys of section 2.3.4."""
_CURRENT = ("UpToDate",)


def platform_rules(table: Table, allowances: Sequence[str]) -> IntelRules:
    """Read the keys that say how current a platform must be, and which platforms are meant.

    Args:
        table: ``[tdx]`` or ``[sgx]``.
        allowances: what ``allow`` may name there.

    Raises:
        MalformedError: ``policy.*``.
    """
    return IntelRules(
        tcb_status=table.choices("tcb_status", INTEL_STATUSES) or _CURRENT,
        minimum_tcb_date=table.day("minimum_tcb_date"),
        accepted_advisories=table.texts("accepted_advisories"),
        minimum_evaluation_number=table.integer("minimum_tcb_evaluation_number", low=0, high=2**31, default=0),
        fmspc=table.hexes("fmspc", 6),
        ppid=table.hexes("ppid", 16),
        allow=frozenset(table.choices("allow", allowances)),
        named=frozenset(table),
    )


def measurements(
    table: Table, sizes: Mapping[str, int | tuple[int, ...]], scope: Scope
) -> Mapping[str, tuple[bytes, ...]]:
    """Those of ``sizes`` (bytes) that the table names, and those that it leaves to reference files alone."""
    return MappingProxyType(
        {
            name: table.hexes(name, *(size if isinstance(size, tuple) else (size,)))
            for name, size in sizes.items()
            if name in table or name in scope.supplied
        }
    )
