"""``sealroom serve``: a room, from its boot inside the TEE to its last answer.

This file reads what the operator wants, takes the port, and starts the engine's child; the life itself is in
`sealroom.cli.serving`, whose code loads while the child loads its own.
"""

import gc
import logging
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from sealroom.errors import MalformedError, MisuseError, UnavailableError
from sealroom.evidence import Attester, DeviceAttester
from sealroom.room.config import RoomConfig, parse_room_config
from sealroom.room.hardening import harden_process, silence_tracebacks

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
    warnings = harden_process()
    with _bind(room_config) as listener, room_config.engine.prepare() as prepared:
        gc.disable()  # until the room serves: most of what the boot makes stays
        from sealroom.cli.serving import Voice, run_room  # noqa: PLC0415 - the child loads its code at the same time

        voice = Voice(as_json=as_json)
        for warning in warnings:
            voice.say(f"warning: {warning}")
        attester, devices = _hardware(room_config, insecure_simulated)
        run_room(room_config, attester, devices, listener, prepared, voice)


def _hardware(config: RoomConfig, simulated: Path | None) -> tuple[Attester, Mapping[str, DeviceAttester]]:
    if simulated is None:
        from sealroom.collect import collateral_in, devices_of_this_machine, this_machine  # noqa: PLC0415 - see below

        along = None if config.collateral is None else collateral_in(config.collateral)
        devices = devices_of_this_machine(config.collateral) if config.gpus else {}
        return this_machine(tee=config.tee, collateral=along), devices
    from sealroom.testing.machines import guest_at  # noqa: PLC0415 - one of the two is enough

    logging.getLogger("sealroom.room").warning("this room runs on simulated hardware, which proves nothing")
    guest = guest_at(simulated)
    return guest.cpu, guest.devices


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
