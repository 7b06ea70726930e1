"""What a table of a policy may take for granted: what is left open for it, and what reference files give it.

``[unchecked]`` holds for every table, ``[unchecked.TABLE]`` for one: whoever pins the software of three clouds and
leaves that of a fourth open says so of the fourth alone.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from sealroom.policy.document import Table
from sealroom.policy.model import UNCHECKABLE, UNCHECKABLE_IN

__all__ = ["Scope", "read_unchecked", "scope_of"]

_WRAPPERS = ("azure-vtpm", "gcp")
_INNER = ("snp", "tdx")


class Scope(Mapping[str, str]):
    """Reasons by key, as one table sees them, and the keys that reference files fill in."""

    def __init__(self, reasons: Mapping[str, str], supplied: frozenset[str]) -> None:
        self._reasons = dict(reasons)
        self.supplied = supplied

    def __getitem__(self, key: str) -> str:
        return self._reasons[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._reasons)

    def __len__(self) -> int:
        return len(self._reasons)


def scope_of(unchecked: Mapping[str, str], table: str, supplied: frozenset[str] = frozenset()) -> Scope:
    """What ``table`` (``snp``, ``azure-vtpm.snp``) sees of ``unchecked``: its own reasons before those for all."""
    prefix = f"{table}."
    own = {key.removeprefix(prefix): why for key, why in unchecked.items() if key.startswith(prefix)}
    return Scope({key: why for key, why in unchecked.items() if "." not in key} | own, supplied)


def read_unchecked(top: Table) -> Mapping[str, str]:
    """``[unchecked]``: reasons by key, ``TABLE.key`` where they hold for one table.

    Raises:
        MalformedError: ``policy.*``.
    """
    table = top.table("unchecked", (*UNCHECKABLE, *UNCHECKABLE_IN))
    found: dict[str, str] = {}
    for key in table:
        if key in UNCHECKABLE_IN:
            found |= _reasons_of(table, key)
        else:
            found[key] = table.text(key)
    return MappingProxyType(found)


def _reasons_of(unchecked: Table, name: str) -> Mapping[str, str]:
    """Of one table; and of a wrapper's own rules for the hardware in it."""
    inner = _INNER if name in _WRAPPERS else ()
    table = unchecked.table(name, (*UNCHECKABLE_IN[name], *inner))
    found: dict[str, str] = {}
    for key in table:
        if key in inner:
            reasons = table.table(key, UNCHECKABLE_IN[key])
            found |= {f"{name}.{key}.{one}": reasons.text(one) for one in reasons}
        else:
            found[f"{name}.{key}"] = table.text(key)
    return found
