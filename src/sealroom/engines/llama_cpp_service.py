"""One supervised llama.cpp process and the requests that go to it: slots leased, wiped and given back.

A request's slot is free again only when the engine has let go of it: at the end of the answer, or, if the caller left
before, when the engine's slot page says so. Single-shot requests leave nothing: their slot is wiped before anybody
else gets it. A wipe that fails ends the process, because what its memory holds is not known any more.
"""

import asyncio
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager

from sealroom.engines import answers, requests, wire
from sealroom.engines.base import EngineRequest, EngineResponse, EngineState, EngineUnavailableError
from sealroom.engines.child_plan import ChildPlan, ParameterValue
from sealroom.engines.child_process import ChildProcess, make_socket_directory, remove_socket_directory
from sealroom.engines.llama_cpp_settings import LlamaCppSettings
from sealroom.engines.prepared_child import PreparedChild
from sealroom.engines.sandbox import outside
from sealroom.engines.sandbox.layers import Layer
from sealroom.engines.slots import Holds, SlotLease, SlotLeases
from sealroom.engines.supervision import Supervisor

__all__ = ["LlamaCppService"]

_log = logging.getLogger("sealroom.engines")
_UNUSED_USER = 65_432
"""In the range that Debian reserves and gives to nobody."""
_HEALTH_SILENCE = 10.0
_IDLE_POLL = 0.01
_RETRY_AFTER = 1.0


class LlamaCppService:
    """``parameters`` decide what the process does; ``slots`` is how many requests it runs at once.

    ``prepared`` is taken for the first life, if it still lives then; its maker closes it otherwise.
    """

    def __init__(
        self, settings: LlamaCppSettings, parameters: Mapping[str, ParameterValue], *, slots: int, embeds: bool,
        prepared: PreparedChild | None = None,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._parameters = parameters
        self._embeds = embeds
        self._leases = SlotLeases(slots)
        self._supervisor = Supervisor(self._start_child, healthy=self._healthy, on_new_life=self._leases.reset)
        self._settling: set[asyncio.Task[None]] = set()
        self._prepared = prepared
        self._plan: ChildPlan | None = None
        self._model = -1
        self._checked: Awaitable[None] | None = None
        self.layers: tuple[Layer, ...] = ()

    @property
    def state(self) -> EngineState:
        """Of the process."""
        return self._supervisor.state

    @property
    def pid(self) -> int:
        """Of the serving process; `EngineUnavailableError` if there is none."""
        return self._supervisor.child().pid

    @property
    def socket(self) -> str:
        """Where the serving process listens; `EngineUnavailableError` if there is none."""
        return self._supervisor.child().socket

    async def start(self, model: int, checked: Awaitable[None]) -> None:
        """Start on the sealed memfd ``model``; it is opened only after ``checked`` has returned."""
        user = None
        if os.geteuid() == 0 and outside.may_change_user():
            user = _UNUSED_USER if self._settings.user is None else self._settings.user
        directory = make_socket_directory(self._settings.socket_root, user)
        self._plan = ChildPlan(
            supervisor=os.getpid(), model_size=os.fstat(model).st_size, directory=str(directory), user=user,
            parameters=self._parameters,
        )  # fmt: skip
        self._model, self._checked = model, checked
        try:
            await self._supervisor.start()
        except BaseException:
            remove_socket_directory(directory)
            raise

    async def stop(self) -> None:
        """End the process and remove its directory."""
        for task in tuple(self._settling):
            task.cancel()
        await self._supervisor.stop()
        await asyncio.gather(*self._settling, return_exceptions=True)
        if self._plan is not None:
            remove_socket_directory(self._plan.directory)

    @asynccontextmanager
    async def open(self, request: EngineRequest) -> AsyncIterator[EngineResponse]:
        """Run one request; see `sealroom.engines.base.Engine.open`."""
        # refused before it waits for anything
        requests.engine_body(request, slot=0, reuse=False)
        self._supervisor.child()
        lease = await self._leases.lease(None if self._embeds else request.caller)
        progress = _Progress()
        try:
            async with self._running(request, lease, progress) as response:
                yield response
        finally:
            self._settle_later(lease, progress)

    @asynccontextmanager
    async def _running(
        self, request: EngineRequest, lease: SlotLease, progress: "_Progress"
    ) -> AsyncIterator[EngineResponse]:
        child = self._supervisor.child()
        progress.child = child
        if lease.wipe_first:
            await self._wipe(child, lease.slot)
        progress.wiped = True
        body = requests.engine_body(request, slot=lease.slot, reuse=lease.reuse)
        asked = wire.exchange(child.socket, "POST", request.path, body, silence=self._settings.silence_timeout)
        progress.sent = True
        async with asked as answer:
            if answer.content_type == "text/event-stream":
                status, pieces = answer.status, _events(answer, progress)
            else:
                content = await _all_of(answer)
                status, pieces = answers.corrected_status(answer.status, content), _whole(content, progress)
            yield EngineResponse(status=status, content_type=answer.content_type, body=pieces)

    def _settle_later(self, lease: SlotLease, progress: "_Progress") -> None:
        if lease.caller is not None and progress.ended:
            self._leases.release(lease, Holds.OWN)
            return
        task = asyncio.create_task(self._settle(lease, progress))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _settle(self, lease: SlotLease, progress: "_Progress") -> None:
        """Give the slot back once the engine is done with it."""
        holds = Holds.UNKNOWN
        child = progress.child
        try:
            if child is not None and not child.ended.done():
                if progress.sent:
                    await self._until_idle(child, lease.slot)
                if lease.caller is None:
                    await self._wipe(child, lease.slot)
                    holds = Holds.NOTHING
                elif progress.wiped:
                    holds = Holds.OWN
        except EngineUnavailableError as error:
            _log.warning("slot %d could not be cleaned (%s): the engine is restarted", lease.slot, error.code)
            if child is not None:
                await child.kill()
        finally:
            self._leases.release(lease, holds)

    async def _wipe(self, child: ChildProcess, slot: int) -> None:
        path, body = requests.WIPE_PATH, requests.wipe_body(slot)
        if self._embeds:
            path, body = "/v1/embeddings", requests.EMBEDDING_WIPE
        # it runs between the batches of others, whose prompts may be long
        await self._housekeeping(child, "POST", path, body, silence=self._settings.silence_timeout)

    async def _until_idle(self, child: ChildProcess, slot: int) -> None:
        deadline = time.monotonic() + self._settings.silence_timeout
        while time.monotonic() < deadline:
            page = json.loads(
                await self._housekeeping(child, "GET", "/slots", silence=self._settings.silence_timeout)
            )
            if not any(entry.get("id") == slot and entry.get("is_processing") for entry in page):
                return
            await asyncio.sleep(_IDLE_POLL)
        raise EngineUnavailableError("engine.stuck", "a slot stays busy", retry_after=_RETRY_AFTER)

    async def _healthy(self, child: ChildProcess) -> None:
        await self._housekeeping(child, "GET", "/health", silence=_HEALTH_SILENCE)

    @staticmethod
    async def _housekeeping(
        child: ChildProcess, method: str, path: str, body: bytes = b"", *, silence: float
    ) -> bytes:
        async with wire.exchange(child.socket, method, path, body, silence=silence) as answer:
            content = await _all_of(answer)
        if answer.status != 200:
            raise EngineUnavailableError("engine.housekeeping", "the engine refused a housekeeping request",
                                         retry_after=_RETRY_AFTER)  # fmt: skip
        return content

    async def _start_child(self) -> ChildProcess:
        assert self._plan is not None  # noqa: S101 - `start` made it
        prepared, self._prepared = self._prepared, None
        child = await ChildProcess.start(self._plan, self._model, prepared)
        try:
            async with asyncio.timeout(self._settings.start_timeout):
                await self._bring_up(child)
        except TimeoutError:
            await child.kill()
            raise EngineUnavailableError("engine.start-timeout", "the engine did not start in time",
                                         retry_after=_RETRY_AFTER) from None  # fmt: skip
        except BaseException:
            await child.kill()
            raise
        return child

    async def _bring_up(self, child: ChildProcess) -> None:
        # a later life may not have less around it than the room has stated
        await child.contain(self._settings.enforced_layers | set(self.layers))
        if self._checked is not None:
            await self._checked
        await child.serve()
        self.layers = child.layers


class _Progress:
    """How far one request came, which decides what its slot holds."""

    __slots__ = ("child", "ended", "sent", "wiped")

    def __init__(self) -> None:
        self.child: ChildProcess | None = None
        self.wiped = False
        self.sent = False
        self.ended = False


async def _events(answer: wire.Answer, progress: _Progress) -> AsyncIterator[bytes]:
    events = answers.EventFilter()
    while data := await answer.read():
        if cleaned := events.feed(data):
            yield cleaned
    events.finish()
    progress.ended = True


async def _whole(content: bytes, progress: _Progress) -> AsyncIterator[bytes]:
    progress.ended = True
    yield answers.clean_json(content)


async def _all_of(answer: wire.Answer) -> bytes:
    content = bytearray()
    while data := await answer.read():
        content += data
    return bytes(content)
