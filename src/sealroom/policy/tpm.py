"""Checks on claims of TPM quotes, and what Azure's and Google's vTPMs share with them (``spec/policy.md`` 2.3.8)."""

from collections.abc import Iterator, Mapping

from sealroom.evidence import Check, Claims
from sealroom.policy.checks import asked, hex_or_none, left_open
from sealroom.policy.flags import Flag, flag_checks
from sealroom.policy.intel import measurement_checks
from sealroom.policy.load_tpm import KERNEL_PCRS
from sealroom.policy.model import Policy
from sealroom.policy.model_others import PcrRules

__all__ = ["FLAGS", "bank_check", "log_check", "measurements", "tpm_checks"]

FLAGS: Mapping[str, Flag] = {
    "secure_boot_off": Flag("secure_boot_off", "turn on Secure Boot: without it firmware starts unsigned software"),
    "ak_unrestricted": Flag("ak_unrestricted", "use a restricted key: another one signs quotes that no TPM made"),
    "sha1_bank": Flag(None, "have the TPM quote a bank of SHA-256 or stronger: two logs can give one SHA-1"),
}
"""Every flag of a TPM's claims."""
_SECURE_BOOT_PCR = "pcr07"
"""Which keys may sign what the firmware starts, and whether it asks."""


def tpm_checks(policy: Policy, claims: Claims) -> Iterator[Check]:
    """Every check on a quote; none under a policy without ``[tpm]``."""
    if (rules := policy.tpm) is None:
        return
    yield from flag_checks("tpm", FLAGS, rules.pcrs.allow, claims)
    yield bank_check("tpm", rules.pcrs, claims)
    yield log_check("tpm", rules.pcrs, claims)
    yield from measurements(policy, "tpm", rules.pcrs, claims)


def measurements(policy: Policy, tee: str, rules: PcrRules, claims: Claims) -> Iterator[Check]:
    """What each register is, and that the software is left open where it is."""
    if policy.leaves_open("measurement"):
        found = next((claims.measurements[pcr] for pcr in KERNEL_PCRS if pcr in claims.measurements), None)
        yield left_open(policy, "measurement", f"{tee}.measurement", hex_or_none(found))
    yield from measurement_checks(tee, rules.measurements, claims)


def bank_check(tee: str, rules: PcrRules, claims: Claims) -> Check:
    """Which hash the registers were extended by."""
    got = str(claims.details.get("pcr_bank", "not said"))
    return asked(f"{tee}.bank", got, ", ".join(rules.bank), passed=got in rules.bank,
                 source=_source(tee, rules, "bank"), fix="have the TPM quote an accepted bank")  # fmt: skip


def log_check(tee: str, rules: PcrRules, claims: Claims) -> Check:
    """Whether a log came that leads to the registers. One that leads elsewhere was refused before.

    A policy that says ``secure_boot = true`` asks for one too: without a log nothing says whether it is on, unless
    the policy pins the register of it, or the hardware vouches for a configuration that says so, as Azure's does.
    """
    got = str(claims.details.get("event_log", "none"))
    proved = _SECURE_BOOT_PCR in rules.measurements or "secure_boot" in claims.details
    for_secure_boot = "secure_boot" in rules.named and not rules.event_log_required and not proved
    required = rules.event_log_required or for_secure_boot
    return Check(
        name=f"{tee}.event-log",
        got=got,
        wanted="replayed" if required else "either",
        passed=got == "replayed" or not required,
        source=_source(tee, rules, "secure_boot" if for_secure_boot else "event_log"),
        code=f"{tee}.no-event-log",
        fix="have the machine's event log sent along",
    )


def _source(tee: str, rules: PcrRules, key: str) -> str:
    return f"policy: [{tee}] {key}" if key in rules.named else "default"
