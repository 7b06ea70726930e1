"""Checks that TDX and SGX share: measurements, and how current the platform is (``spec/policy.md`` 2.3.4)."""

from collections.abc import Iterator, Mapping

from sealroom.evidence import Check, Claims
from sealroom.policy.checks import accepted_bytes, accepted_word, asked
from sealroom.policy.model import IntelRules

__all__ = ["accepted_for_part", "measurement_checks", "platform_checks"]

_UP_TO_DATE, _OUT_OF_DATE = "UpToDate", "OutOfDate"
_RELAUNCH = ("TDRelaunchAdvised", "TDRelaunchAdvisedConfigurationNeeded")
_SAY_OUT_OF_DATE = {
    "qe_status": frozenset({"OutOfDateConfigurationNeeded"}),
    "tdx_module_status": frozenset({"OutOfDateConfigurationNeeded", *_RELAUNCH}),
}
"""Words on the whole that say, by another name than its own, that this part may be out of date."""
_MEND = {
    "qe_status": "update the platform's quoting enclave",
    "tdx_module_status": "update the platform's TDX module",
}


def measurement_checks(tee: str, pinned: Mapping[str, tuple[bytes, ...]], claims: Claims) -> Iterator[Check]:
    """A check for each measurement that the policy names."""
    for name, accepted in pinned.items():
        yield accepted_bytes(f"{tee}.{name.replace('_', '-')}", claims.measurements.get(name), accepted,
                             source=f"policy: [{tee}] {name}",
                             fix="run the software that the policy names, or measure this one and add it",
                             )  # fmt: skip


def platform_checks(tee: str, rules: IntelRules, claims: Claims) -> Iterator[Check]:
    """How current the platform and its parts are, and whether it is one of those that are meant."""
    yield accepted_word(f"{tee}.tcb-status", claims.tcb_status or "none", rules.tcb_status,
                        source=_status_source(tee, rules),
                        fix=f"update the platform's firmware and software, or accept it: [{tee}] tcb_status",
                        )  # fmt: skip
    yield from _part_statuses(tee, rules, claims)
    yield from _advisories(tee, rules, claims)
    yield from _floors(tee, rules, claims)
    yield from _machines(tee, rules, claims)


def accepted_for_part(part: str, accepted: tuple[str, ...], whole: str | None) -> tuple[str, ...]:
    """The words that ``part`` (``qe_status``, ``tdx_module_status``) may have.

    Args:
        part: as `Claims.details` names it.
        accepted: the policy's ``tcb_status``.
        whole: the converged status of the platform.
    """
    words = dict.fromkeys((_UP_TO_DATE, *accepted))
    if whole in accepted and whole in _SAY_OUT_OF_DATE[part]:
        words |= {_OUT_OF_DATE: None}
    return tuple(words)


def _part_statuses(tee: str, rules: IntelRules, claims: Claims) -> Iterator[Check]:
    """The quoting enclave and the module by themselves: of their words the whole's shows `OutOfDate` alone."""
    for part, fix in _MEND.items():
        got = claims.details.get(part)
        if got is None and part != "qe_status":  # SGX, and TDX modules that have no levels
            continue
        accepted = accepted_for_part(part, rules.tcb_status, claims.tcb_status)
        yield accepted_word(f"{tee}.{part.replace('_', '-')}", str(got), accepted,
                            source=_status_source(tee, rules), fix=fix)  # fmt: skip


def _advisories(tee: str, rules: IntelRules, claims: Claims) -> Iterator[Check]:
    if rules.accepted_advisories:
        others = sorted(set(claims.advisories) - set(rules.accepted_advisories))
        yield asked(f"{tee}.advisories", ", ".join(claims.advisories) or "none",
                    "none but " + ", ".join(rules.accepted_advisories), passed=not others,
                    source=f"policy: [{tee}] accepted_advisories",
                    fix=f"mend what {', '.join(others)} describe, or accept them" if others else "")  # fmt: skip


def _floors(tee: str, rules: IntelRules, claims: Claims) -> Iterator[Check]:
    if rules.minimum_tcb_date is not None:
        got = claims.tcb_date
        yield asked(f"{tee}.tcb-date", "none" if got is None else got.date().isoformat(),
                    f"{rules.minimum_tcb_date.isoformat()} or later",
                    passed=got is not None and got.date() >= rules.minimum_tcb_date,
                    source=f"policy: [{tee}] minimum_tcb_date", fix="update the platform")  # fmt: skip
    if least := rules.minimum_evaluation_number:
        numbers = [claims.details.get(f"{part}_evaluation_data_number") for part in ("tcb", "qe")]
        yield asked(f"{tee}.evaluation-number", f"{numbers[0]} (TCB info), {numbers[1]} (QE identity)",
                    f"at least {least}", passed=all(isinstance(one, int) and one >= least for one in numbers),
                    source=f"policy: [{tee}] minimum_tcb_evaluation_number",
                    fix="fetch current collateral")  # fmt: skip


def _machines(tee: str, rules: IntelRules, claims: Claims) -> Iterator[Check]:
    if rules.fmspc:
        got = claims.details.get("fmspc")
        yield accepted_bytes(f"{tee}.fmspc", None if got is None else bytes.fromhex(str(got)), rules.fmspc,
                             source=f"policy: [{tee}] fmspc", fix="use a platform of an accepted kind")  # fmt: skip
    if rules.ppid:
        yield accepted_bytes(f"{tee}.ppid", claims.device_id, rules.ppid, source=f"policy: [{tee}] ppid",
                             fix="use one of the named machines")  # fmt: skip


def _status_source(tee: str, rules: IntelRules) -> str:
    return f"policy: [{tee}] tcb_status" if "tcb_status" in rules.named else "default"
