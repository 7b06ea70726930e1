"""Keeps one engine process alive: start, watch, restart with growing pauses, end.

While the process is away nobody waits for it: callers are told when to ask again. What was running ends with a clear
error, because the connections to a dead process break by themselves.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from sealroom.engines.base import EnginePhase, EngineState, EngineUnavailableError
from sealroom.engines.child_process import ChildProcess
from sealroom.errors import SealroomError, UnavailableError

__all__ = ["Backoff", "Supervisor"]

_log = logging.getLogger("sealroom.engines")
_START_ESTIMATE = 2.0
_HEALTH_INTERVAL = 5.0
_HEALTH_FAILURES = 3


class Backoff:
    """Pauses of 0.1 s, doubling to 10 s; back to the first after 30 s of life."""

    def __init__(self, first: float = 0.1, longest: float = 10.0, stable: float = 30.0) -> None:
        self._first, self._longest, self._stable = first, longest, stable
        self._next = first

    def pause_after(self, life: float) -> float:
        """Seconds to wait after a process that lived for ``life`` seconds."""
        if life >= self._stable:
            self._next = self._first
        pause, self._next = self._next, min(self._longest, self._next * 2)
        return pause


class Supervisor:
    """One process at a time, made by ``start_child`` (which returns a serving one or raises).

    Args:
        healthy: asks the process whether it still answers; raises `UnavailableError` if not.
        on_new_life: called after every start, before anybody is let in.
    """

    def __init__(
        self,
        start_child: Callable[[], Awaitable[ChildProcess]],
        *,
        healthy: Callable[[ChildProcess], Awaitable[None]],
        on_new_life: Callable[[], None],
    ) -> None:
        self._start_child = start_child
        self._healthy = healthy
        self._on_new_life = on_new_life
        self._backoff = Backoff()
        self._child: ChildProcess | None = None
        self._task: asyncio.Task[None] | None = None
        self._state = EngineState(phase=EnginePhase.STOPPED, retry_after=_START_ESTIMATE)

    @property
    def state(self) -> EngineState:
        """Where the process stands; one that has just ended counts as restarting before anybody has moved."""
        if self._state.phase is EnginePhase.READY and (self._child is None or self._child.ended.done()):
            return EngineState(phase=EnginePhase.RESTARTING, retry_after=_START_ESTIMATE)
        return self._state

    async def start(self) -> None:
        """Start the first life; its failure is the caller's to handle, and nothing is left running."""
        self._state = EngineState(phase=EnginePhase.STARTING, retry_after=_START_ESTIMATE)
        try:
            await self._begin_life()
        except BaseException:
            self._state = EngineState(phase=EnginePhase.STOPPED, retry_after=_START_ESTIMATE)
            raise
        self._task = asyncio.create_task(self._keep_alive())

    async def stop(self) -> None:
        """End the process and the watch over it."""
        self._state = EngineState(phase=EnginePhase.STOPPED, retry_after=_START_ESTIMATE)
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        if self._child is not None:
            await self._child.kill()
            self._child = None

    def child(self) -> ChildProcess:
        """The serving process, or `EngineUnavailableError` with the time to ask again."""
        state = self.state
        if self._child is None or state.phase is not EnginePhase.READY:
            raise EngineUnavailableError(
                f"engine.{state.phase}", f"the engine is {state.phase}", retry_after=state.retry_after
            )
        return self._child

    async def _begin_life(self) -> None:
        self._child = await self._start_child()
        self._on_new_life()
        self._state = EngineState(phase=EnginePhase.READY)

    async def _keep_alive(self) -> None:
        while True:
            born = time.monotonic()
            if self._child is not None:
                await self._until_it_ends(self._child)
            pause = self._backoff.pause_after(time.monotonic() - born)
            self._state = EngineState(phase=EnginePhase.RESTARTING, retry_after=pause + _START_ESTIMATE)
            _log.warning("engine ended, next start in %.1f s", pause)
            if self._child is not None:
                await self._child.kill()
                self._child = None
            await asyncio.sleep(pause)
            try:
                await self._begin_life()
                _log.info("engine restarted")
            except SealroomError as error:
                _log.error("engine does not start: %s", error.code)

    async def _until_it_ends(self, child: ChildProcess) -> None:
        failures = 0
        while not child.ended.done() and failures < _HEALTH_FAILURES:
            await asyncio.wait([child.ended], timeout=_HEALTH_INTERVAL)
            if child.ended.done():
                return
            try:
                await self._healthy(child)
                failures = 0
            except UnavailableError as error:
                failures += 1
                _log.warning("engine does not answer (%d): %s", failures, error.code)
