"""The room's boot as a sequence of named states. Pure: whoever drives it hands in the time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from sealroom.errors import MisuseError

__all__ = ["BootEvent", "BootLog", "BootState", "Fact"]

Fact = str | int | float | bool | list[str]
"""What an event may carry: ids, digests, sizes, codes, durations. Never a key or content."""


class BootState(StrEnum):
    """Where a room stands. Each is entered once, in this order; `FAILED` from any but itself."""

    BORN = "born"
    KEYS = "keys"
    EVIDENCE = "evidence"
    VERIFICATION = "verification"
    KEY_RELEASE = "key-release"
    WEIGHTS = "weights"
    ENGINE = "engine"
    SERVING = "serving"
    FAILED = "failed"


_ORDER = tuple(BootState)


@dataclass(frozen=True, slots=True, kw_only=True)
class BootEvent:
    """A state was reached: its work begins now, and the work of the one before is done."""

    state: BootState
    ms: float
    """Since the process started."""
    facts: Mapping[str, Fact] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))

    def as_dict(self) -> dict[str, Fact]:
        """The event for a program."""
        return {"event": "state", "state": self.state.value, "ms": round(self.ms, 1), **self.facts}


class BootLog:
    """Walks through the states and tells of each.

    Args:
        on_event: told once per state, in the boot's own thread.
    """

    def __init__(self, on_event: Callable[[BootEvent], None]) -> None:
        self._on_event = on_event
        self.events: list[BootEvent] = []

    @property
    def state(self) -> BootState:
        """The state reached last; `BORN` before anything was told."""
        return self.events[-1].state if self.events else BootState.BORN

    def reach(self, state: BootState, ms: float, **facts: Fact) -> None:
        """Enter ``state``.

        Raises:
            MisuseError: it is not the next one, so something before it was not done.
        """
        if not self._may_follow(state):
            raise MisuseError("room.boot-order", "a boot state was entered out of order", got=state.value,
                              expected=f"the state after {self.state.value}")  # fmt: skip
        event = BootEvent(state=state, ms=ms, facts=facts)
        self.events.append(event)
        self._on_event(event)

    def _may_follow(self, state: BootState) -> bool:
        if state is BootState.FAILED:
            return self.state is not BootState.FAILED
        if not self.events:
            return state is BootState.BORN
        return _ORDER.index(state) == _ORDER.index(self.state) + 1
