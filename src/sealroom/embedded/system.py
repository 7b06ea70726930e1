"""The order in which an embedded system starts, and how all of it stops.

    chip ─┬─ broker process ─────────────┐
          └─ guest, policies             ├─ seal the model, register its key ─ room process ─ verified by whoever asks
                                         ┘
Broker and room are processes of their own and know each other by address alone. Nothing outlives the context.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sealroom.broker.admin_client import read_admin_token
from sealroom.embedded import documents, processes
from sealroom.embedded.launch import (
    Broker,
    LaunchedMachine,
    SealedRecord,
    find_model,
    model_name_of,
    publisher_key,
    seal_for_broker,
)
from sealroom.embedded.state import State
from sealroom.embedded.timeline import Timeline
from sealroom.errors import UnavailableError
from sealroom.room.engine_choice import EngineChoice
from sealroom.sealed.publisher import PublisherKey
from sealroom.testing.machines import DEFAULT_KIND, power_on

__all__ = ["EmbeddedSystem", "Tell", "embedded_system", "shipped_models"]

_ENGINE: Mapping[str, object] = {"embeddings": True}
"""Every endpoint that there is; the process for embeddings starts when it is first asked."""
_MARKS = {"verification": "evidence", "key-release": "verification", "weights": "key_release", "engine": "unsealing"}
"""The room's boot states, each with the mark that its beginning completes."""


class Tell(Protocol):
    """Who is told how the start goes."""

    def begin(self, step: str, words: str) -> None:
        """A step began."""
        ...

    def progress(self, step: str, done: int, total: int) -> None:
        """So much of it is done."""
        ...

    def done(self, step: str, words: str) -> None:
        """It is done."""
        ...


@dataclass(kw_only=True)
class EmbeddedSystem:
    """A running system: a broker, a room, and what owner, operator and caller know."""

    state: State
    guest: LaunchedMachine
    publisher: PublisherKey
    broker: Broker
    sealed: SealedRecord
    room_url: str
    policy_file: Path
    children: list[processes.Child] = field(default_factory=list)

    async def watch(self) -> None:
        """Return never; raise when a part ends by itself."""
        tasks = {asyncio.create_task(child.ended()): child for child in self.children}
        try:
            finished, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        child = tasks[finished.pop()]
        raise UnavailableError("embedded.child-ended", f"the {child.name} has ended", where=str(child.log),
                               hint="its last words are in that file")  # fmt: skip


@asynccontextmanager
async def embedded_system(
    state: State, *, model: Path | None, kind: str = DEFAULT_KIND, tell: Tell, timeline: Timeline
) -> AsyncIterator[EmbeddedSystem]:
    """Start everything, yield it running, stop everything.

    Args:
        state: where it keeps its things; the caller holds its lock.
        model: a GGUF file or a folder; None for the demonstration model.
        kind: of the simulated hardware, as `sealroom.testing.machines.kind_named` has it.
        tell: who is told.
        timeline: marked with evidence, verification, key_release, unsealing and engine_ready.

    Raises:
        SealroomError: whatever a part raised; everything begun has been stopped.
    """
    source = find_model(model, shipped_models())
    name = model_name_of(source)
    async with AsyncExitStack() as stack:
        start = _Start(state, stack, tell, timeline, kind)
        broker_child = asyncio.create_task(start.broker())
        stack.push_async_callback(_settle, broker_child)
        guest = await start.guest(name)
        broker = await broker_child
        sealed, publisher = await start.seal(source, name, guest, broker)
        config = _room_config(state, sealed, publisher, broker)
        policy = asyncio.create_task(asyncio.to_thread(_write_room_policy, state, guest, sealed))
        stack.push_async_callback(_settle, policy)
        room_url = await start.room(config)
        policy_file = await policy
        yield EmbeddedSystem(state=state, guest=guest, publisher=publisher, broker=broker, sealed=sealed,
                             room_url=room_url, policy_file=policy_file, children=start.children)  # fmt: skip


def shipped_models() -> Path:
    """Where ``make install`` puts the demonstration model."""
    return Path(sys.prefix) / "share" / "sealroom" / "models"


class _Start:
    """The steps of a start; each tells of itself."""

    def __init__(self, state: State, stack: AsyncExitStack, tell: Tell, timeline: Timeline, kind: str) -> None:
        self._state = state
        self._kind = kind
        self._folder = state.guest(kind)
        self._stack = stack
        self._tell = tell
        self._timeline = timeline
        self.children: list[processes.Child] = []

    async def broker(self) -> Broker:
        self._tell.begin("broker", "starting the key broker")
        folder = self._state.broker
        child = await self._child("broker", "broker", "run", "--state", str(folder), "--port", "0", "--json")
        url = str((await child.ready())["url"])
        self._tell.done("broker", f"key broker at {url}")
        return Broker(url=url, admin_token=read_admin_token(folder / "admin-token"))

    async def guest(self, model_name: str) -> LaunchedMachine:
        self._tell.begin("hardware", "powering on simulated hardware")
        hardware = await asyncio.to_thread(power_on, self._kind, self._folder)
        init_data = documents.init_data(model_name)
        self._state.init_data.write_text(init_data)
        guest = await asyncio.to_thread(LaunchedMachine.on, hardware, init_data=init_data)
        guest.save(self._folder)
        root = guest.machine().roots[0].hex()
        self._tell.done("hardware", f"SIMULATED {hardware.words}, root {root[:16]}…")
        return guest

    async def seal(
        self, source: Path, name: str, guest: LaunchedMachine, broker: Broker
    ) -> tuple[SealedRecord, PublisherKey]:
        self._tell.begin("seal", f"sealing {source.name}")
        policy = documents.release_policy(guest.machine(), model_name=name)
        self._state.release_policy.write_text(policy)
        self._state.models.mkdir(exist_ok=True)
        publisher = publisher_key(self._state.publisher_key)
        record = await asyncio.to_thread(
            seal_for_broker,
            source,
            self._state.models,
            name=name,
            publisher=publisher,
            broker=broker,
            policy=policy,
            progress=lambda done, total: self._tell.progress("seal", done, total),
        )
        self._timeline.mark("sealed")
        self._tell.done("seal", f"{name} version {record.version}, model digest sha256:{record.model_digest[:16]}…")
        return record, publisher

    async def room(self, config: Path) -> str:
        self._tell.begin("room", "booting the room")
        words = ("serve", "--config", str(config), "--insecure-simulated", str(self._folder), "--json")
        child = await self._child("room", *words)
        url = str((await child.ready(self._room_event))["url"])
        self._timeline.mark("engine_ready")
        self._tell.done("room", f"room at {url}")
        return url

    def _room_event(self, event: Mapping[str, Any]) -> None:
        state = str(event.get("state", ""))
        if state in _MARKS:
            self._timeline.mark(_MARKS[state])
        if state:
            self._tell.begin("room", f"booting the room: {state}")

    async def _child(self, name: str, *words: str) -> processes.Child:
        child = await processes.start(name, words, log=self._state.log(name))
        self._stack.push_async_callback(child.stop)
        self.children.append(child)
        return child


def _write_room_policy(state: State, guest: LaunchedMachine, sealed: SealedRecord) -> Path:
    """The caller's side knows what the room should run, not what it says that it runs."""
    choice = EngineChoice.parse(_ENGINE, source=str(state.room_config))
    text = documents.room_policy(
        guest.machine(), model_name=sealed.name, model_digest=sealed.digest, version=sealed.version,
        engine=documents.EnginePins.of(choice, model_name=sealed.name),
    )  # fmt: skip
    state.room_policy.write_text(text)
    return state.room_policy


def _room_config(state: State, sealed: SealedRecord, publisher: PublisherKey, broker: Broker) -> Path:
    text = documents.room_config(
        package=sealed.folder,
        publisher=publisher.digest,
        minimum_version=sealed.version,
        broker=broker.url,
        resource=sealed.resource,
        init_data_file=str(state.init_data),
        engine=_ENGINE,
    )
    state.room_config.write_text(text)
    return state.room_config


async def _settle(task: "asyncio.Task[Any]") -> None:
    """A step that ran beside another: whatever became of it, it is over before its child is stopped."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
