"""Claims made by hand, for checks that ask for facts and not for signatures."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sealroom.evidence import CLAIMED, Appraisal, Claims, Tee, Validity
from sealroom.policy import Policy, Subject, appraise, load_policy

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
DATA = bytes(range(64))
ROOT = b"\x0e" * 32


def made(tee: Tee, **changes: Any) -> Claims:
    """Claims of genuine silicon, with these members."""
    members: dict[str, Any] = {
        "tee": tee, "hardware_model": "one", "measurements": {}, "report_data": DATA, "tcb": {}, "debug": False,
        "migratable": False, "tcb_status": None, "tcb_date": None, "advisories": (), "flags": frozenset(),
        "signer": "AK", "device_id": b"\x01", "details": {}, "root": ROOT, "simulated": False,
        "validity": Validity(not_before=AT.replace(year=2020), not_after=AT.replace(year=2030)),
    }  # fmt: skip
    return Claims(**(members | changes), warrant=CLAIMED)


def changed(claims: Claims, **changes: Any) -> Claims:
    """``claims`` with other members; ``details`` and ``measurements`` are added to."""
    for name in ("details", "measurements"):
        if name in changes:
            found = {**getattr(claims, name), **changes[name]}
            changes[name] = {key: value for key, value in found.items() if value is not None}
    return replace(claims, **changes, warrant=CLAIMED)


def document(tee: Tee, tables: str, *, trust: str = "", unchecked: str = "") -> str:
    """A policy for evidence of ``tee``; ``tables`` begin with its own."""
    return f"""\
policy = 1
name = "test"
[trust]
tees = ["{tee}"]
{trust}
{tables}
[unchecked]
init_data = "these tests ask about the machine"
{unchecked}
"""


def policy_for(tee: Tee, tables: str, *, trust: str = "", unchecked: str = "") -> Policy:
    """That policy, read."""
    return load_policy(document(tee, tables, trust=trust, unchecked=unchecked), source="test.toml")


def judged(policy: Policy, claims: Claims, *, devices: Sequence[Claims] = (), at: datetime = AT) -> Appraisal:
    """The verdict on a guest with these claims."""
    subject = Subject.guest(expected_report_data=claims.report_data, init_data=None)
    return appraise(policy, claims, subject=subject, at=at, devices=devices)


def codes(appraisal: Appraisal) -> list[str]:
    """Of the checks that failed."""
    return [check.code for check in appraisal.failures]
