"""Who may use which slot of the engine's memory, and when it is wiped.

llama.cpp keeps the last prompt of every slot and builds on it when the next one begins alike: fast for the same
caller, an oracle for any other. Nothing in the server keeps callers apart, so it is done here. A slot is leased to
one caller at a time. It stays theirs while nobody else needs it; before another gets it, it is wiped, and the first
request of a new lease builds on nothing in any case.

No I/O in here: what a lease demands is carried out by the adapter.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto

__all__ = ["Holds", "SlotLease", "SlotLeases"]


class Holds(Enum):
    """What a slot holds when it is given back."""

    NOTHING = auto()
    """It was wiped, or never used."""
    OWN = auto()
    """State of the caller who gives it back."""
    UNKNOWN = auto()
    """Possibly another's; it is wiped before anybody gets it, the same caller included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotLease:
    """The right to run one request in ``slot``."""

    slot: int
    caller: bytes | None = field(repr=False)
    wipe_first: bool
    """It holds another caller's state, which must go before anything runs."""
    reuse: bool
    """It holds this caller's own state, which may be built upon."""


@dataclass(slots=True)
class _Slot:
    number: int
    owner: bytes | None = field(default=None, repr=False)
    dirty: bool = False
    busy: bool = False
    used: int = 0


@dataclass(slots=True)
class _Waiter:
    caller: bytes | None = field(repr=False)
    lease: asyncio.Future[SlotLease]


class SlotLeases:
    """Leases over ``count`` slots, first come first served."""

    def __init__(self, count: int) -> None:
        self._slots = [_Slot(number) for number in range(count)]
        self._waiters: deque[_Waiter] = deque()
        self._clock = 0

    @property
    def busy(self) -> int:
        """Slots that run something now."""
        return sum(slot.busy for slot in self._slots)

    @property
    def waiting(self) -> int:
        """Requests that wait for a slot."""
        return len(self._waiters)

    async def lease(self, caller: bytes | None) -> SlotLease:
        """Wait for a slot. Cancelling the wait gives up the place in the queue and nothing else."""
        if not self._waiters and (slot := self._best_for(caller)) is not None:
            return self._taken(slot, caller)
        waiter = _Waiter(caller, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            return await waiter.lease
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif waiter.lease.done() and not waiter.lease.cancelled():
                # handed over at the very moment of giving up; nothing has run in it
                self.release(waiter.lease.result(), Holds.UNKNOWN)
            raise

    def release(self, lease: SlotLease, holds: Holds) -> None:
        """Give the slot back; what it holds decides who may build on it."""
        slot = self._slots[lease.slot]
        slot.busy = False
        slot.dirty = holds is not Holds.NOTHING
        slot.owner = lease.caller if holds is Holds.OWN else None
        self._serve_waiters()

    def reset(self) -> None:
        """The engine was started anew: no slot holds anything. Running leases end as they end."""
        for slot in self._slots:
            slot.owner, slot.dirty = None, False

    def _serve_waiters(self) -> None:
        while self._waiters:
            waiter = self._waiters[0]
            if (slot := self._best_for(waiter.caller)) is None:
                return
            self._waiters.popleft()
            if not waiter.lease.done():
                waiter.lease.set_result(self._taken(slot, waiter.caller))

    def _best_for(self, caller: bytes | None) -> _Slot | None:
        """The caller's own, else a clean one, else the one that lay idle longest."""
        idle = [slot for slot in self._slots if not slot.busy]
        own = [slot for slot in idle if slot.dirty and caller is not None and slot.owner == caller]
        if own:
            return max(own, key=lambda slot: slot.used)
        clean = [slot for slot in idle if not slot.dirty]
        return min(clean or idle, key=lambda slot: slot.used, default=None)

    def _taken(self, slot: _Slot, caller: bytes | None) -> SlotLease:
        own = slot.dirty and caller is not None and slot.owner == caller
        lease = SlotLease(slot=slot.number, caller=caller, wipe_first=slot.dirty and not own, reuse=own)
        self._clock += 1
        slot.busy, slot.dirty, slot.owner, slot.used = True, True, caller, self._clock
        return lease
