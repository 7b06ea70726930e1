"""A broker and a room as processes of their own, with everything real but the silicon.

The hardware is simulated, the model is the demonstration model where it is installed. Nothing here is shared between
tests: each world has a folder, a chip, keys and ports of its own.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sealroom.embedded import documents
from sealroom.embedded.launch import Broker, Guest, publisher_key, seal_for_broker
from sealroom.embedded.processes import Child, start
from sealroom.room.engine_choice import EngineChoice
from sealroom.testing.snp import SnpPlatform

MODEL_FILE = Path(sys.prefix) / "share/sealroom/models/SmolLM2-135M-Instruct.Q4_1.gguf"
NAME = "demonstration"
ENGINE: dict[str, object] = {"slots": 2, "context_tokens": 512, "threads": 1}


@dataclass(frozen=True)
class RoomWorld:
    """What a test may change before the room starts, and how to start it."""

    folder: Path
    broker: Child
    config: Path
    policy: Path
    started: list[Child] = field(default_factory=list)

    @property
    def guest(self) -> Path:
        return self.folder / "guest"

    @property
    def package(self) -> Path:
        return self.folder / "models" / f"{NAME}-v1"

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    async def room(
        self,
        *,
        name: str = "room",
        on_event: Any = None,
        hardware: Sequence[str] | None = None,
    ) -> tuple[Child, str]:
        """Start a room; its process and its address once it serves, or its own error."""
        if hardware is None:
            hardware = ("--insecure-simulated", str(self.guest))
        verb = ["serve", "--config", str(self.config), *hardware, "--json"]
        child = await start(name, verb, log=self.log(name))
        self.started.append(child)
        ready = await child.ready(on_event)
        return child, ready["url"]


@contextlib.asynccontextmanager
async def room_world(
    folder: Path, *, platform: SnpPlatform | None = None, engine: dict[str, object] | None = None
) -> AsyncIterator[RoomWorld]:
    if not MODEL_FILE.exists():
        pytest.skip(f"the demonstration model is not installed ({MODEL_FILE})")
    platform = platform or await asyncio.to_thread(SnpPlatform.create)
    init_data = documents.init_data(NAME)
    guest = Guest.on(platform, init_data=init_data)
    broker = await start("broker", ["broker", "run", "--state", str(folder / "broker"), "--port", "0", "--json"],
                         log=folder / "broker.log")  # fmt: skip
    try:
        ready = await broker.ready()
        world = await asyncio.to_thread(_prepare, folder, broker, ready, guest, init_data, engine or ENGINE)
        try:
            yield world
        finally:
            for child in world.started:
                await child.stop()
    finally:
        await broker.stop()


def _prepare(
    folder: Path, broker: Child, ready: Any, guest: Guest, init_data: str, engine: dict[str, object]
) -> RoomWorld:
    publisher = publisher_key(folder / "publisher.key")
    owner = Broker(url=ready["url"], admin_token=Path(ready["admin_token_file"]).read_text().strip())
    models = folder / "models"
    models.mkdir()
    sealed = seal_for_broker(MODEL_FILE, models, name=NAME, publisher=publisher, broker=owner,
                             policy=documents.release_policy(guest.machine(), model_name=NAME))  # fmt: skip
    guest.save(folder / "guest")
    (folder / "init-data.toml").write_text(init_data)
    config, policy = folder / "room.toml", folder / "policy.toml"
    config.write_text(documents.room_config(
        package=sealed.folder, publisher=publisher.digest, minimum_version=1, broker=owner.url,
        resource=sealed.resource, init_data_file="init-data.toml", engine=engine,
    ))  # fmt: skip
    pins = documents.EnginePins.of(EngineChoice.parse(engine, source="room.toml"), model_name=NAME)
    policy.write_text(documents.room_policy(guest.machine(), model_name=NAME, model_digest=sealed.digest, version=1,
                                            engine=pins))  # fmt: skip
    return RoomWorld(folder=folder, broker=broker, config=config, policy=policy)
