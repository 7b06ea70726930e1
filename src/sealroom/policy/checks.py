"""How one check is made: the same few shapes for everything that a policy asks."""

import hmac
from collections.abc import Sequence

from sealroom.evidence import Check
from sealroom.policy.model import Policy

__all__ = [
    "NOT_CHECKED",
    "accepted_bytes",
    "accepted_word",
    "asked",
    "hex_or_none",
    "is_left_open",
    "left_open",
    "one_of",
]

NOT_CHECKED = "not checked, by the policy's own word"


def accepted_bytes(
    name: str, got: bytes | None, accepted: Sequence[bytes], *, source: str, fix: str, code: str | None = None
) -> Check:
    """``got`` is one of ``accepted``; None equals nothing."""
    return Check(
        name=name,
        got=hex_or_none(got),
        wanted=one_of([value.hex() for value in accepted]),
        passed=got is not None and any(hmac.compare_digest(got, value) for value in accepted),
        source=source,
        code=code or f"{name}-not-accepted",
        fix=fix,
    )


def accepted_word(name: str, got: str, accepted: Sequence[str], *, source: str, fix: str) -> Check:
    """``got`` is one of the words ``accepted``."""
    return Check(
        name=name,
        got=got,
        wanted=one_of(accepted),
        passed=got in accepted,
        source=source,
        code=f"{name}-not-accepted",
        fix=fix,
    )


def asked(name: str, got: str, wanted: str, *, passed: bool, source: str, fix: str) -> Check:
    """A check whose code is its name with ``-not-accepted``."""
    return Check(
        name=name, got=got, wanted=wanted, passed=passed, source=source, code=f"{name}-not-accepted", fix=fix
    )


def left_open(policy: Policy, key: str, name: str, got: str) -> Check:
    """The passed check that says aloud what the policy does not look at."""
    table, reason = policy.reason_for(key)
    return Check(
        name=name,
        got=got,
        wanted=f"{NOT_CHECKED}: {reason}",
        passed=True,
        source=f"policy: [{table}] {key}",
        code="policy.unchecked",
        fix=f"take {key} out of [unchecked] and name what is accepted",
    )


def is_left_open(check: Check) -> bool:
    """Whether ``check`` was made by `left_open`."""
    return check.code == "policy.unchecked"


def hex_or_none(value: bytes | None) -> str:
    """Bytes for a reader."""
    return "none" if value is None else value.hex()


def one_of(values: Sequence[str]) -> str:
    """What is accepted, in words."""
    if not values:
        return "a value of a reference file that counts, and there is none"
    return values[0] if len(values) == 1 else "one of: " + ", ".join(values)
