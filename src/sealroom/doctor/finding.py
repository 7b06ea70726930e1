"""One thing that the doctor looked at, and all of them together."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sealroom.evidence import Tee

__all__ = ["Area", "Diagnosis", "Finding", "State", "absent", "missing", "ok"]


class State(StrEnum):
    """How it stands with one thing."""

    OK = "ok"
    MISSING = "missing"
    """It could be here: the finding says how."""
    ABSENT = "not here"
    """This machine is of another kind."""


class Area(StrEnum):
    """What a thing is for."""

    EVIDENCE = "evidence"
    DEVICES = "devices"
    ROOM = "room"
    ANSWERS = "answers"
    """What the silicon said, where it was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing, in words."""

    name: str
    state: State
    found: str
    mend: str | None = None
    tee: Tee | None = None
    """Whose evidence it is about."""
    boot_alone: bool = False
    """Whether that evidence says how the machine was booted, and nothing of who can look into its memory."""
    area: Area = Area.EVIDENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """All findings about a machine, of each area what is well first."""

    machine: str
    """What it is, in one line."""
    findings: Sequence[Finding]

    @property
    def proves(self) -> tuple[Tee, ...]:
        """Whose evidence this machine can make; the first is taken where none is named."""
        return tuple(dict.fromkeys(one.tee for one in self._proving if one.tee is not None))

    @property
    def confidential(self) -> bool:
        """Whether any of it says more than how the machine was booted."""
        return any(not one.boot_alone for one in self._proving)

    @property
    def _proving(self) -> tuple[Finding, ...]:
        return tuple(one for one in self.of(Area.EVIDENCE) if one.state is State.OK)

    def of(self, area: Area) -> tuple[Finding, ...]:
        """Its findings, ordered by state."""
        order = list(State)
        return tuple(
            sorted((one for one in self.findings if one.area is area), key=lambda one: order.index(one.state))
        )


def ok(
    name: str, found: str, *, tee: Tee | None = None, area: Area = Area.EVIDENCE, boot_alone: bool = False
) -> Finding:
    """It is here and can be used."""
    return Finding(name=name, state=State.OK, found=found, tee=tee, area=area, boot_alone=boot_alone)


def missing(
    name: str, found: str, mend: str | None, *, tee: Tee | None = None, area: Area = Area.EVIDENCE
) -> Finding:
    """It could be here."""
    return Finding(name=name, state=State.MISSING, found=found, mend=mend, tee=tee, area=area)


def absent(
    name: str, found: str, mend: str | None = None, *, tee: Tee | None = None, area: Area = Area.EVIDENCE
) -> Finding:
    """It can not be on this machine as it is."""
    return Finding(name=name, state=State.ABSENT, found=found, mend=mend, tee=tee, area=area)
