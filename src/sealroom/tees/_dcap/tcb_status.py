"""Intel's words for how current a platform is, and how those of its parts make one."""

from enum import StrEnum

from sealroom.tees._dcap.members import Members

__all__ = ["TcbStatus", "converge", "read_status", "relaunch"]


class TcbStatus(StrEnum):
    """As Intel spells them. The last two are computed, and stand in no collateral."""

    UP_TO_DATE = "UpToDate"
    SW_HARDENING_NEEDED = "SWHardeningNeeded"
    CONFIGURATION_NEEDED = "ConfigurationNeeded"
    CONFIGURATION_AND_SW_HARDENING_NEEDED = "ConfigurationAndSWHardeningNeeded"
    OUT_OF_DATE = "OutOfDate"
    OUT_OF_DATE_CONFIGURATION_NEEDED = "OutOfDateConfigurationNeeded"
    REVOKED = "Revoked"
    TD_RELAUNCH_ADVISED = "TDRelaunchAdvised"
    TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED = "TDRelaunchAdvisedConfigurationNeeded"


_COMPUTED = frozenset({TcbStatus.TD_RELAUNCH_ADVISED, TcbStatus.TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED})
_IN_COLLATERAL = {status.value: status for status in TcbStatus if status not in _COMPUTED}

_OUTDATED = {
    TcbStatus.UP_TO_DATE: TcbStatus.OUT_OF_DATE,
    TcbStatus.SW_HARDENING_NEEDED: TcbStatus.OUT_OF_DATE,
    TcbStatus.CONFIGURATION_NEEDED: TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED,
    TcbStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED: TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED,
}
_RELAUNCHED = {
    TcbStatus.UP_TO_DATE: TcbStatus.TD_RELAUNCH_ADVISED,
    TcbStatus.SW_HARDENING_NEEDED: TcbStatus.TD_RELAUNCH_ADVISED,
    TcbStatus.CONFIGURATION_NEEDED: TcbStatus.TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED,
    TcbStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED: TcbStatus.TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED,
}


def read_status(text: str, level: Members) -> TcbStatus:
    """The status that ``text`` names.

    Raises:
        MalformedError: an unknown word; nobody can say what it would have meant.
    """
    status = _IN_COLLATERAL.get(text)
    if status is None:
        raise level.malformed("is a status that is not known here", "tcbStatus", text, ", ".join(_IN_COLLATERAL))
    return status


def converge(platform: TcbStatus, *parts: TcbStatus) -> TcbStatus:
    """One status of the platform's and those of its TDX module and quoting enclave.

    Revoked anywhere wins. A part that is out of date makes the platform so, and what else was needed of it stays
    needed. Any other status of a part is for a policy to see.
    """
    if TcbStatus.REVOKED in (platform, *parts):
        return TcbStatus.REVOKED
    if TcbStatus.OUT_OF_DATE not in parts:
        return platform
    return _OUTDATED.get(platform, platform)


def relaunch(now: TcbStatus, *, qe: TcbStatus, launched_today: TcbStatus | None) -> TcbStatus:
    """``now``, or that a relaunch of the TD would mend it.

    Args:
        now: the converged status at launch (TEE_TCB_SVN).
        qe: the quoting enclave's; a relaunch does not change it.
        launched_today: the converged status of the same platform with what is loaded now (TEE_TCB_SVN_2); None if no
            level or module fits that.
    """
    outdated = now in (TcbStatus.OUT_OF_DATE, TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED)
    if not outdated or qe is not TcbStatus.UP_TO_DATE or launched_today is None:
        return now
    return _RELAUNCHED.get(launched_today, now)
