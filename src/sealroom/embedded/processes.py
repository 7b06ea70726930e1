"""The children of an embedded system: each a ``sealroom`` verb in a process of its own, as in the world.

A child speaks one JSON object per line on stdout (``--json``) and talks on stderr, which goes to a file of its own.
It dies with its parent, however the parent dies.
"""

import asyncio
import contextlib
import ctypes
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sealroom.errors import (
    MalformedError,
    MisuseError,
    RefusedError,
    SealroomError,
    UnavailableError,
    UnverifiedError,
)

__all__ = ["Child", "start"]

_PR_SET_PDEATHSIG = 1
_GRACE = 10.0
_FAMILIES = {
    family.family: family for family in (MalformedError, UnverifiedError, RefusedError, UnavailableError, MisuseError)
}

Event = Mapping[str, Any]


class Child:
    """One running verb."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    async def events(self) -> AsyncIterator[Event]:
        """Every object that the child says, until its stdout ends."""
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101 - `start` always pipes it
        async for line in stdout:
            with contextlib.suppress(json.JSONDecodeError):
                yield json.loads(line)

    async def ready(self, on_event: Callable[[Event], None] | None = None) -> Event:
        """Wait for ``{"event": "ready"}``.

        Raises:
            SealroomError: the child's own, of its own family, if it reported one instead.
            UnavailableError: the child ended without a word.
        """
        async for event in self.events():
            if on_event is not None:
                on_event(event)
            if event.get("event") == "ready":
                return event
            if "error" in event:
                await self._process.wait()
                raise _as_error(event["error"])
        status = await self._process.wait()
        raise UnavailableError(
            "embedded.child-ended",
            f"the {self.name} ended before it was ready",
            got=f"exit status {status}",
            hint=f"its own words are in {self.log}",
        )

    async def ended(self) -> int:
        """Drain what the child says until it ends; its exit status."""
        async for _ in self.events():
            pass
        return await self._process.wait()

    async def stop(self) -> None:
        """Ask the child to end, and end it if it does not."""
        if self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), _GRACE)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


async def start(name: str, verb: Sequence[str], *, log: Path) -> Child:
    """Start ``sealroom`` with the words of ``verb``; its stderr goes to ``log``."""
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "sealroom",
            *verb,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,  # Ctrl-C is the parent's to hear; it stops its children in order
            preexec_fn=_die_with_parent,
        )
    return Child(name, process, log)


def _die_with_parent() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _as_error(told: Mapping[str, str]) -> SealroomError:
    """The error that a child reported, as the same family here."""
    family = _FAMILIES.get(told.get("family", ""), UnavailableError)
    return family(
        told.get("code", "embedded.child-failed"),
        told.get("message", "a part of the system failed"),
        where=told.get("where"),
        got=told.get("got"),
        expected=told.get("expected"),
        hint=told.get("hint"),
    )
