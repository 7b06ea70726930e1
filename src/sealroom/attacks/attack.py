"""What an attack is: what was done, who must notice, and the codes with which they do."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sealroom.embedded.launch import Guest
from sealroom.errors import SealroomError

__all__ = ["Attack", "Outcome", "Refusal", "Target", "refusal_of"]


class Target(Protocol):
    """The running system, as much of it as its enemies can touch."""

    @property
    def room_url(self) -> str:
        """The room's address."""
        ...

    @property
    def policy_file(self) -> Path:
        """The honest caller's policy."""
        ...

    @property
    def model_name(self) -> str:
        """The model that the room serves."""
        ...

    @property
    def guest(self) -> Guest:
        """The honest guest: the same chip can launch others."""
        ...

    @property
    def package(self) -> Path:
        """The sealed model, as the storage holds it."""
        ...

    @property
    def older_package(self) -> Path:
        """An authentic package of an older version of the same model."""
        ...

    @property
    def other_resource(self) -> str:
        """A key at the same broker, of another owner's model."""
        ...

    async def launch_room(
        self, *, guest: Guest | None = None, package: Path | None = None, resource: str | None = None
    ) -> None:
        """Boot one more room of the operator's making; raises what it ends with, ends it if it comes up."""
        ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to an attack: the code with which somebody noticed."""

    code: str
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One attack on a running system.

    `run` returns the refusal, or None if nobody noticed.
    """

    name: str
    tried: str
    noticed_by: str
    codes: frozenset[str]
    run: Callable[[Target], Awaitable[Refusal | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attack ended."""

    attack: Attack
    refusal: Refusal | None

    @property
    def passed(self) -> bool:
        """Refused, and for its own reason."""
        return self.refusal is not None and self.refusal.code in self.attack.codes


def refusal_of(error: BaseException | None) -> Refusal | None:
    """The Sealroom error in ``error`` or behind it."""
    while error is not None:
        if isinstance(error, SealroomError):
            return Refusal(error.code, str(error))
        error = error.__cause__ or error.__context__
    return None
