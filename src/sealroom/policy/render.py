"""An appraisal for people and for programs."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from sealroom.evidence import Appraisal, Check
from sealroom.policy.checks import is_left_open

__all__ = ["appraisal_as_dict", "render_appraisal"]

_SIMULATED = "SIMULATED hardware: nothing here is protected from the machine's owner"
_WIDTH = 72


def appraisal_as_dict(appraisal: Appraisal) -> dict[str, Any]:
    """The verdict as the JSON object that every command prints."""
    return {
        "accepted": appraisal.accepted,
        "simulated": appraisal.simulated,
        "checks": [
            {
                "check": check.name,
                "got": check.got,
                "wanted": check.wanted,
                "passed": check.passed,
                "source": check.source,
                "code": check.code,
                "fix": check.fix,
            }
            for check in appraisal.checks
        ],
    }


def render_appraisal(appraisal: Appraisal) -> str:
    """The verdict as a readable tree in plain text; refusals in full, the rest in a line each."""
    return "\n".join(_lines(appraisal)) + "\n"


def _lines(appraisal: Appraisal) -> Iterator[str]:
    verdict = "ACCEPTED" if appraisal.accepted else f"REFUSED for {_count(len(appraisal.failures), 'reason')}"
    yield f'{verdict} by policy "{appraisal.policy_name}" (sha256:{appraisal.policy_digest.hex()[:16]}…)'
    if appraisal.simulated:
        yield _SIMULATED
    for area, checks in groupby(appraisal.checks, key=lambda check: check.name.partition(".")[0]):
        yield area
        for check in checks:
            yield from _check(check)
    if left_open := sum(map(is_left_open, appraisal.checks)):
        yield f"{_count(left_open, 'thing')} not checked, by the policy's own word"


def _check(check: Check) -> Iterator[str]:
    name = check.name.partition(".")[2] or check.name
    if is_left_open(check):
        yield f"  not checked  {name}: {_short(check.got)}"
    elif check.passed:
        yield f"  ok           {name}: {_short(check.got)}"
    else:
        yield f"  REFUSED      {name} [{check.code}]"
        for label, value in (
            ("got", check.got),
            ("wanted", check.wanted),
            ("from", check.source),
            ("fix", check.fix),
        ):
            yield f"                 {label + ':':<8}{value}"


def _short(value: str) -> str:
    return value if len(value) <= _WIDTH else f"{value[:48]}…{value[-8:]}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
