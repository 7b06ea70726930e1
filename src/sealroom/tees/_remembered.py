"""A bounded memory of verdicts, each under everything that it was made from.

A verdict here is a function of bytes, anchors and time, and of time only through windows. So a remembered one is
the same as a fresh one as long as the key holds all the bytes and anchors, and the time lies in its window.
Refusals are not remembered: they cost little, and a stranger could push out what is worth keeping.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from sealroom.evidence import Collateral, TrustRoots, Validity

__all__ = ["Remembered", "forget_verdicts", "key_of"]


class _Verdict(Protocol):
    @property
    def validity(self) -> Validity: ...


V = TypeVar("V", bound=_Verdict)


class Remembered(Generic[V]):
    """The last ``limit`` verdicts that were asked for.

    Dictionary operations are single steps to other threads; what can get lost between two of them is a memory, never
    a verdict.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._verdicts: OrderedDict[Hashable, V] = OrderedDict()
        _MEMORIES.append(self)

    def get(self, key: Hashable, at: datetime) -> V | None:
        """The verdict under ``key``, if there is one whose window contains ``at``."""
        verdict = self._verdicts.get(key)
        return verdict if verdict is not None and verdict.validity.holds_at(at) else None

    def keep(self, key: Hashable, verdict: V) -> V:
        """Keep ``verdict`` under ``key``, and return it."""
        self._verdicts[key] = verdict
        while len(self._verdicts) > self._limit:
            try:
                self._verdicts.popitem(last=False)
            except KeyError:  # another thread was quicker
                break
        return verdict

    def answer(self, key: Hashable, at: datetime, make: Callable[[], V]) -> V:
        """The remembered verdict, or a fresh one from ``make``, which is kept."""
        held = self.get(key, at)
        return held if held is not None else self.keep(key, make())

    def forget(self) -> None:
        """Drop everything."""
        self._verdicts.clear()


def forget_verdicts() -> None:
    """Drop every verdict that is remembered anywhere: for measurements of the cold case."""
    for memory in _MEMORIES:
        memory.forget()


_MEMORIES: list[Remembered[Any]] = []


def key_of(raw: bytes, roots: TrustRoots, collateral: Collateral) -> Hashable:
    """Everything but the time that a verdict on evidence is made from."""
    return raw, roots, tuple(collateral.items.items())
