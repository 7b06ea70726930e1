"""Whether a document pins something, leaves it open with a reason, or does neither, which is an error."""

from collections.abc import Mapping

from sealroom.errors import MalformedError
from sealroom.policy.document import Table

__all__ = ["not_both", "pinned_or_unchecked"]


def pinned_or_unchecked(table: Table, key: str, unchecked: Mapping[str, str], *, by: str | None = None) -> None:
    """Refuse a document that neither pins ``key`` nor leaves it open under ``by`` (``key`` itself).

    Raises:
        MalformedError: ``policy.nothing-pinned``, ``policy.contradiction``.
    """
    by = by or key
    if key in table:
        not_both(table, key, unchecked, by=by)
    elif by not in unchecked:
        raise MalformedError("policy.nothing-pinned", f"the policy pins no {key}: any software would be accepted",
                             where=table.where(key),
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
