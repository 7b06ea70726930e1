"""Collateral of one part of a room's hardware: what is held, until when, and when to ask again. Pure.

nothing ─adopt→ held ─its end comes near: due→ adopt … or fail, fail, fail ─its end→ expired
   └─fail→ asked again, later and later                         └─the vendor withdraws a certificate→ revoked
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sealroom.errors import SealroomError, UnavailableError
from sealroom.evidence import Attester, CollectedEvidence, DeviceAttester, Validity
from sealroom.tees.needs import Request

__all__ = ["Held", "Part", "next_renewal", "next_try"]

_NEVER = datetime.min.replace(tzinfo=UTC)
_SOONEST, _FIRST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=1), timedelta(seconds=5), timedelta(hours=1)
_SPREAD = 0.1
"""Which part of a time that jitter may take off it: rooms that were started together shall not ask together."""
_REVOKED = "revoked"
"""How the codes end of refusals for which a vendor has signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Collateral with which the room's own evidence verifies."""

    items: Mapping[str, bytes] = field(repr=False)
    validity: Validity
    """When verification holds with it."""
    complete: bool
    """Whether it answers everything that can be asked of the vendor."""
    fetched_at: datetime


@dataclass(slots=True, kw_only=True, eq=False)
class Part:
    """The CPU, or a device."""

    name: str
    silicon: Attester | DeviceAttester
    collected: CollectedEvidence | None = None
    """What it said last."""
    needed: Request | None = None
    held: Held | None = None
    exempt: bool = False
    """No vendor has anything to say of it that does not come with the evidence."""
    error: SealroomError | None = None
    """Why the last try failed."""
    failures: int = 0
    due: datetime = _NEVER
    told: bool | None = None
    """Whether it held when the operator was told last."""

    def holds(self, at: datetime) -> bool:
        """Whether evidence of it can be verified at ``at`` with what is held."""
        return self.exempt or (self.held is not None and self.held.validity.holds_at(at))

    def speaks_of(self, needed: Request, collected: CollectedEvidence) -> bool:
        """Note what it says now. False: something else is needed than before (its firmware was changed), and what
        was held is worth nothing."""
        same = self.needed is None or self.needed.name == needed.name
        self.collected, self.needed = collected, needed
        if not same:
            self.held, self.due, self.failures = None, _NEVER, 0
        return same

    def adopt(self, held: Held, *, renew: timedelta, at: datetime, jitter: float) -> None:
        """Hold ``held`` from now on."""
        self.held, self.error, self.failures = held, None, 0
        self.due = next_renewal(held, renew=renew, at=at, jitter=jitter)

    def fail(self, error: SealroomError, *, at: datetime, jitter: float) -> None:
        """A try failed. What is held stays, unless the vendor itself has withdrawn what it is about."""
        self.error, self.failures = error, self.failures + 1
        self.due = next_try(self.failures, at=at, jitter=jitter)
        if error.code.endswith(_REVOKED):
            self.held = None

    def refusal(self, at: datetime) -> UnavailableError:
        """Why it can not be proved at ``at``."""
        why = "nothing was fetched yet" if self.error is None else f"{self.error.code}: {self.error.message}"
        if self.held is not None:
            return UnavailableError(
                "room.collateral-expired", "the vendor's word on a part of this machine has ended", where=self.name,
                got=f"{at.isoformat()}, {why}", expected=f"until {self.held.validity.not_after.isoformat()}",
                hint="see that the vendor's service can be reached",
            )  # fmt: skip
        if self.error is not None and self.error.code.endswith(_REVOKED):
            return UnavailableError("room.collateral-revoked", "the vendor has withdrawn a part of this machine",
                                    where=self.name, got=why,
                                    hint="ask the vendor; no caller is to trust this machine")  # fmt: skip
        return UnavailableError("room.collateral-missing", "the vendor's word on a part of this machine is not here",
                                where=self.name, got=why,
                                hint="see that the vendor's service can be reached")  # fmt: skip


def next_renewal(held: Held, *, renew: timedelta, at: datetime, jitter: float) -> datetime:
    """When to fetch again: ``renew`` before the end, or at half time of what lives shorter.

    Args:
        held: what was fetched.
        renew: how early.
        at: now.
        jitter: from 0 to 1: how much of the spread is taken off.
    """
    end, born = held.validity.not_after, held.fetched_at
    wait = (end - born) - min(renew, (end - born) / 2)
    return max(born + wait * (1 - _SPREAD * jitter), at + _SOONEST)


def next_try(failures: int, *, at: datetime, jitter: float) -> datetime:
    """When to ask again after so many failures: twice as late each time, up to an hour."""
    doubled: int = 1 << min(failures - 1, 16)
    pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * doubled)
    return at + pause * (1 - 0.5 * jitter)
