"""The table ``[tpm]`` of a policy, and what ``[azure-vtpm]`` and ``[gcp]`` share with it (sections 2.3.8, 2.3.9)."""

from collections.abc import Sequence

from sealroom.policy.document import Table
from sealroom.policy.load_intel import measurements
from sealroom.policy.model_others import PCRS, TPM_ALLOWANCES, PcrRules, TpmRules
from sealroom.policy.pinning import not_both, one_pinned_or_unchecked
from sealroom.policy.scope import Scope

__all__ = ["BANKS", "KERNEL_PCRS", "SHARED", "pcr_rules", "tpm_rules"]

BANKS = ("sha256", "sha384", "sha512")
"""Never SHA-1."""
SHARED = (*PCRS, "bank", "secure_boot", "event_log", "allow")
"""Keys of all three tables."""
KERNEL_PCRS = ("pcr04", "pcr08", "pcr09", "pcr11")
"""What says which kernel runs: boot applications, and what GRUB, the Linux stub and unified images measure."""


def tpm_rules(top: Table, scope: Scope) -> TpmRules:
    """Read ``[tpm]``.

    Raises:
        MalformedError: ``policy.*``.
    """
    table = top.table("tpm", SHARED)
    return TpmRules(pcrs=pcr_rules(table, scope, TPM_ALLOWANCES))


def pcr_rules(
    table: Table, scope: Scope, allowances: Sequence[str], *, or_else: Sequence[tuple[str, ...]] = ()
) -> PcrRules:
    """Read what a TPM's registers must be.

    Args:
        table: ``[tpm]``, ``[azure-vtpm]`` or ``[gcp]``.
        scope: of that table.
        allowances: what ``allow`` may name there.
        or_else: what would say which software runs in place of a kernel's registers.

    Raises:
        MalformedError: ``policy.*``.
    """
    one_pinned_or_unchecked(table, (*((pcr,) for pcr in KERNEL_PCRS), *or_else), scope, by="measurement")
    pins = measurements(table, dict.fromkeys(PCRS, (32, 48, 64)), scope)
    for pcr in set(KERNEL_PCRS) & pins.keys():
        not_both(table, pcr, scope, by="measurement")
    if "secure_boot" in table and not table.flag("secure_boot"):
        raise table.bad_value("secure_boot", False, "true, which is what holds without the key",
                              'to accept machines without it: allow = ["secure_boot_off"]')  # fmt: skip
    return PcrRules(
        measurements=pins,
        bank=table.choices("bank", BANKS) or BANKS,
        event_log_required=_event_log(table),
        allow=frozenset(table.choices("allow", allowances)),
        named=frozenset(table),
    )


def _event_log(table: Table) -> bool:
    if "event_log" not in table:
        return False
    if (wish := table.text("event_log")) != "required":
        raise table.bad_value("event_log", wish, '"required"', "to do without one, leave the key out")
    return True
