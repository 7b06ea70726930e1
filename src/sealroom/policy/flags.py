"""Facts that weaken protection: each refused unless the policy names it, and none passes that is not known here."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from sealroom.evidence import Check, Claims

__all__ = ["Flag", "flag_checks", "other_flags"]


@dataclass(frozen=True, slots=True)
class Flag:
    """A fact that weakens protection."""

    allowance: str | None
    """What a policy must name to let it pass; None: nothing does."""
    fix: str


def flag_checks(
    tee: str,
    known: Mapping[str, Flag],
    allowed: Collection[str],
    claims: Claims,
    *,
    named: Collection[str] | None = None,
) -> Iterator[Check]:
    """A check for each known flag, and one that there is no other.

    Args:
        tee: name of the table.
        known: every flag of these claims for which there is a rule.
        allowed: what is let pass.
        claims: of the evidence.
        named: what the document's ``allow`` itself names, if that is less than ``allowed``.
    """
    for name, flag in known.items():
        yield _check(tee, name, flag, name in claims.flags, flag.allowance in allowed,
                     by_policy=flag.allowance in (allowed if named is None else named))  # fmt: skip
    yield other_flags(tee, known, claims)


def other_flags(tee: str, known: Collection[str], claims: Claims) -> Check:
    """A fact that weakens protection and that this release does not know is refused, not overlooked."""
    unknown = sorted(claims.flags - set(known))
    return Check(name=f"{tee}.other-flags", got=", ".join(unknown) or "none", wanted="none", passed=not unknown,
                 source="default", code=f"{tee}.flag-not-known",
                 fix="this release can not judge these facts: use one that can")  # fmt: skip


def _check(tee: str, name: str, flag: Flag, found: bool, lets_pass: bool, *, by_policy: bool) -> Check:
    return Check(
        name=f"{tee}.{name.replace('_', '-')}",
        got="yes" if found else "no",
        wanted="either" if lets_pass else "no",
        passed=not found or lets_pass,
        source=f"policy: [{tee}] allow" if by_policy else "default",
        code=f"{tee}.{name.replace('_', '-')}",
        fix=flag.fix + (f', or accept it: [{tee}] allow = ["{flag.allowance}"]' if flag.allowance else ""),
    )
