"""The bounded queue before the engine: so many at work, so many waiting, the rest told when to come back."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sealroom.gateway.errors import BusyError

__all__ = ["EngineQueue"]

_LONGEST_ADVICE = 60.0
_MEMORY = 0.2  # weight of the newest answer in the moving average of how long one takes


class EngineQueue:
    """First come, first served.

    Args:
        concurrency: requests at work at the same time.
        queue: requests that may wait.
        wait_seconds: longest wait.
    """

    def __init__(self, *, concurrency: int, queue: int, wait_seconds: float) -> None:
        self._concurrency = concurrency
        self._queue = queue
        self._wait_seconds = wait_seconds
        self._places = asyncio.Semaphore(concurrency)
        self._typical_seconds = 1.0
        self.waiting = 0
        self.working = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place at the engine.

        Raises:
            BusyError: the queue is full, or the wait was too long.
        """
        await self._enter()
        self.working += 1
        began = time.monotonic()
        try:
            yield
        finally:
            self.working -= 1
            self._typical_seconds += _MEMORY * (time.monotonic() - began - self._typical_seconds)
            self._places.release()

    async def _enter(self) -> None:
        if not self._places.locked():
            await self._places.acquire()
            return
        if self.waiting >= self._queue:
            raise BusyError("Every place in the queue of this room is taken.", retry_after=self._advice())
        self.waiting += 1
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._places.acquire()
        except TimeoutError:
            raise BusyError(
                f"No place became free within {self._wait_seconds:g} seconds.", retry_after=self._advice()
            ) from None
        finally:
            self.waiting -= 1

    def _advice(self) -> float:
        """Seconds until those who wait now will have been served, as far as the past tells."""
        rounds = (self.waiting + 1) / self._concurrency
        return min(_LONGEST_ADVICE, max(1.0, rounds * self._typical_seconds))
