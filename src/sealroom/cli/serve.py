"""``sealroom serve``: a room, from its boot inside the TEE to its last answer."""

import asyncio
import contextlib
import gc
import importlib
import json
import logging
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from sealroom.errors import MalformedError, MisuseError, UnavailableError
from sealroom.evidence import Attester
from sealroom.room.boot import BootEvent, BootState
from sealroom.room.config import RoomConfig, parse_room_config
from sealroom.room.hardening import harden_process, quiet_asyncio, silence_tracebacks
from sealroom.room.service import Room, boot

__all__ = ["register", "serve"]

_LARGEST_CONFIG = 1 << 20


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("serve")(serve)


def serve(
    *,
    config: Annotated[Path, typer.Option(help="The room's configuration (TOML).")],
    insecure_simulated: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Simulated hardware kept in DIR. Proves nothing; loopback only."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Tell of the boot as JSON lines on stdout.")] = False,
) -> None:
    """Boot a room on confidential hardware, and serve it."""
    silence_tracebacks()
    room_config = _read_config(config)
    listener = _bind(room_config)
    voice = _Voice(as_json=as_json)
    for warning in harden_process():
        voice.say(f"warning: {warning}")
    with listener, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_stopped(room_config, _attester(insecure_simulated), listener, voice))


class _Voice:
    """What the operator and a program hear: never more than states, ids, digests and times."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def event(self, event: BootEvent) -> None:
        facts = ", ".join(f"{name} {_shown(value)}" for name, value in event.facts.items())
        self.say(f"{event.ms / 1000:8.3f} s  {event.state.value:<12} {facts}")
        self._tell(event.as_dict())

    def ready(self, url: str) -> None:
        self.say(f"serving at {url}")
        self._tell({"event": "ready", "url": url})

    def say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - the command line's own voice

    def _tell(self, message: object) -> None:
        if self._as_json:
            print(json.dumps(message), flush=True)  # noqa: T201


class _Overlap:
    """Passes events on, and has the gateway's code read while the engine starts and this process only waits."""

    def __init__(self, voice: _Voice) -> None:
        self._voice = voice
        self._reading: asyncio.Future[object] | None = None

    def event(self, event: BootEvent) -> None:
        self._voice.event(event)
        if event.state is BootState.ENGINE:
            loop = asyncio.get_running_loop()
            self._reading = loop.run_in_executor(None, importlib.import_module, "sealroom.gateway.app")


async def _until_stopped(config: RoomConfig, attester: Attester, listener: socket.socket, voice: _Voice) -> None:
    """Boot and serve; a signal ends either, in order: no new callers, answers drained, engine stopped."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(quiet_asyncio)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    stopped = asyncio.create_task(stop.wait())
    booting = asyncio.create_task(boot(config, attester=attester, on_event=_Overlap(voice).event))
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


async def _serve(room: Room, listener: socket.socket, stopped: "asyncio.Task[bool]", voice: _Voice) -> None:
    from sealroom.gateway.app import build_app  # noqa: PLC0415 - read while the engine started
    from sealroom.gateway.transport import GatewayServer  # noqa: PLC0415

    # What the boot left behind is scanned no more: a collection in the middle of a stream costs milliseconds.
    gc.collect()
    gc.freeze()
    server = GatewayServer(build_app(room, room.engine), room.limits)
    serving = asyncio.create_task(server.serve_on(listener))
    listener.listen(room.limits.connections)  # before anybody is told; the server takes over what waits
    host, port = listener.getsockname()[:2]
    voice.ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")
    await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    voice.say("stopping: answers in progress may end")
    server.stop()
    await serving


def _attester(simulated: Path | None) -> Attester:
    if simulated is None:
        from sealroom.tees.snp.collect import ConfigfsTsm  # noqa: PLC0415 - one of the two is enough

        return ConfigfsTsm()
    from sealroom.testing.snp_guest import load_guest  # noqa: PLC0415

    logging.getLogger("sealroom.room").warning("this room runs on simulated hardware, which proves nothing")
    return load_guest(simulated)


def _read_config(path: Path) -> RoomConfig:
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_CONFIG).decode()
    except OSError as error:
        raise MisuseError("room.config-file", "the configuration can not be read", where=str(path),
                          got=error.strerror) from None  # fmt: skip
    except UnicodeDecodeError:
        raise MalformedError("room.config", "the configuration is not UTF-8", where=str(path)) from None
    return parse_room_config(text, source=str(path), folder=path.resolve().parent)


def _bind(config: RoomConfig) -> socket.socket:
    """Take the port before anything secret is here: a port in use is told at once."""
    try:
        family, _, _, _, address = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise UnavailableError("room.listen", "the address can not be listened on",
                               where=f"{config.host} port {config.port}", got=error.strerror,
                               hint="is another room running?") from None  # fmt: skip
    return listener


def _shown(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
