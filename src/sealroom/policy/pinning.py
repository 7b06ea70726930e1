"""Whether a document pins something, leaves it open with a reason, or does neither, which is an error."""

from collections.abc import Iterable, Mapping

from sealroom.errors import MalformedError
from sealroom.policy.document import Table
from sealroom.policy.scope import Scope

__all__ = ["not_both", "one_pinned_or_unchecked", "pinned_or_unchecked"]


def pinned_or_unchecked(table: Table, key: str, scope: Scope, *, by: str | None = None) -> None:
    """Refuse a document that neither pins ``key``, nor takes it from reference files, nor leaves it open.

    Args:
        table: that ought to name it.
        key: what is to be pinned.
        scope: of the table.
        by: the key of ``[unchecked]``; None: ``key`` itself.

    Raises:
        MalformedError: ``policy.nothing-pinned``, ``policy.contradiction``.
    """
    by = by or key
    if key in table or key in scope.supplied:
        not_both(table, key, scope, by=by)
    elif by not in scope:
        raise MalformedError("policy.nothing-pinned", f"the policy pins no {key}: any software would be accepted",
                             where=table.where(key),
                             hint=f'name it, or give a reason: [unchecked] {by} = "why"')  # fmt: skip


def one_pinned_or_unchecked(table: Table, ways: Iterable[tuple[str, ...]], scope: Scope, *, by: str) -> None:
    """Refuse a document that has none of ``ways`` whole and does not leave it open under ``by``.

    Raises:
        MalformedError: ``policy.nothing-pinned``, ``policy.contradiction``.
    """
    ways = tuple(ways)
    if any(all(key in table or key in scope.supplied for key in way) for way in ways):
        not_both(table, ways[0][0], scope, by=by)
    elif by not in scope:
        wanted = "; or ".join(" and ".join(way) for way in ways)
        raise MalformedError("policy.nothing-pinned", "the policy pins nothing that says which software runs",
                             where=table.where(ways[0][0]), expected=wanted,
                             hint=f'name it, or give a reason: [unchecked] {by} = "why"')  # fmt: skip


def not_both(table: Table, key: str, unchecked: Mapping[str, str], *, by: str | None = None) -> None:
    """Refuse a document that names ``key`` and says that it is not checked.

    Raises:
        MalformedError: ``policy.contradiction``.
    """
    by = by or key
    if by in unchecked:
        raise MalformedError("policy.contradiction", f"the policy names {key} and says that it is not checked",
                             where=table.where(key), hint=f"take {by} out of [unchecked]")  # fmt: skip
