"""The life of a served room: booted, announced, serving, and ended in order by a signal."""

import asyncio
import contextlib
import functools
import gc
import importlib
import json
import signal
import socket
import sys
from collections.abc import Mapping

import uvloop

from sealroom.engines.prepared_child import PreparedChild
from sealroom.evidence import Attester, DeviceAttester
from sealroom.room.boot import BootEvent
from sealroom.room.config import RoomConfig
from sealroom.room.hardening import quiet_asyncio
from sealroom.room.service import Room, boot, chosen_engine

__all__ = ["Voice", "run_room"]


def run_room(
    config: RoomConfig,
    attester: Attester,
    devices: Mapping[str, DeviceAttester],
    listener: socket.socket,
    prepared: PreparedChild,
    voice: "Voice",
) -> None:
    """Boot a room whose engine's first child is ``prepared``, and serve it on ``listener`` until told to stop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_stopped(config, attester, devices, listener, prepared, voice))


class Voice:
    """What the operator and a program hear: never more than states, ids, digests and times."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def event(self, event: BootEvent) -> None:
        """A state of the boot was reached."""
        facts = ", ".join(f"{name} {_shown(value)}" for name, value in event.facts.items())
        self.say(f"{event.ms / 1000:8.3f} s  {event.state.value:<12} {facts}")
        self._tell(event.as_dict())

    def ready(self, url: str) -> None:
        """The room takes callers."""
        self.say(f"serving at {url}")
        self._tell({"event": "ready", "url": url})

    def say(self, line: str) -> None:
        """A line for people."""
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - the command line's own voice

    def _tell(self, message: object) -> None:
        if self._as_json:
            print(json.dumps(message), flush=True)  # noqa: T201


def _read_gateway() -> None:
    """Have the code of the last state in memory; what was made until now is not garbage."""
    for module in ("app", "transport"):
        importlib.import_module(f"sealroom.gateway.{module}")
    gc.collect()


async def _until_stopped(
    config: RoomConfig,
    attester: Attester,
    devices: Mapping[str, DeviceAttester],
    listener: socket.socket,
    prepared: PreparedChild,
    voice: Voice,
) -> None:
    """Boot and serve; a signal ends either, in order: no new callers, answers drained, engine stopped."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(quiet_asyncio)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    stopped = asyncio.create_task(stop.wait())
    make = functools.partial(chosen_engine, prepared=prepared)
    booting = asyncio.create_task(
        boot(
            config,
            attester=attester,
            devices=devices,
            on_event=voice.event,
            engine_factory=make,
            beside_engine=_read_gateway,
        )
    )
    await asyncio.wait({booting, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not booting.done():
        booting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await booting
        return
    room = await booting
    try:
        await _serve(room, listener, stopped, voice)
    finally:
        await room.close()


async def _serve(room: Room, listener: socket.socket, stopped: "asyncio.Task[bool]", voice: Voice) -> None:
    from sealroom.gateway.app import build_app  # noqa: PLC0415 - read while the engine started
    from sealroom.gateway.transport import GatewayServer  # noqa: PLC0415

    # What the boot left behind is scanned no more: a collection in the middle of a stream costs milliseconds.
    gc.freeze()
    gc.enable()
    server = GatewayServer(build_app(room, room.engine), room.limits)
    serving = asyncio.create_task(server.serve_on(listener))
    listener.listen(room.limits.connections)  # before anybody is told; the server takes over what waits
    host, port = listener.getsockname()[:2]
    voice.ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")
    await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    voice.say("stopping: answers in progress may end")
    server.stop()
    await serving


def _shown(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
