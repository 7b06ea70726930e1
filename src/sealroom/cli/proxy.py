"""``sealroom proxy``: a local OpenAI endpoint in front of one verified room."""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from sealroom.client.address import RoomAddress
from sealroom.client.policy_store import read_policy
from sealroom.client.proof import proof_of
from sealroom.client.proxy_app import PROOF_PATH, serve_proxy
from sealroom.client.proxy_rules import is_loopback_host
from sealroom.client.service import RoomService
from sealroom.client.session import Session
from sealroom.errors import MisuseError, UnavailableError
from sealroom.policy import render_appraisal
from sealroom.verifier import AttestedRoom

__all__ = ["listen_at", "proxy", "register"]

DEFAULT_PORT = 8642


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("proxy")(proxy)


def proxy(
    *,
    room: Annotated[str, typer.Option(help="Origin of the room: https://host[:port].")],
    policy: Annotated[Path, typer.Option(help="Policy that the room has to meet.")],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = DEFAULT_PORT,
    listen: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    insecure_listen_beyond_loopback: Annotated[
        bool,
        typer.Option(
            "--insecure-listen-beyond-loopback",
            help="Allow --listen for other machines: they can use the room, and read on the way here.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was proved as one JSON object.")] = False,
) -> None:
    """Verify a room, then serve it as a local OpenAI endpoint.

    For programs that can not change. Between them and the endpoint the text is plain, on this machine.
    """
    if not is_loopback_host(listen) and not insecure_listen_beyond_loopback:
        raise MisuseError(
            "proxy.not-loopback", "the local endpoint has no password, so it serves this machine only", got=listen,
            expected="127.0.0.1 or ::1", hint="--insecure-listen-beyond-loopback if you know who can reach it",
        )  # fmt: skip
    service = RoomService(RoomAddress.parse(room), Session(read_policy(policy)))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(service, (listen, port), as_json=as_json))
    except KeyboardInterrupt:
        _say("stopped")


async def _run(service: RoomService, where: tuple[str, int], *, as_json: bool) -> None:
    async with service:
        _say(f"verifying {service.address.origin} …")
        proved = await service.verify()
        listener = listen_at(*where)
        _announce(service.address, proved, _endpoint_of(listener), as_json=as_json)
        await serve_proxy(service, listener)


def _announce(address: RoomAddress, proved: AttestedRoom, endpoint: str, *, as_json: bool) -> None:
    _say(render_appraisal(proved.appraisal))
    if as_json:
        print(json.dumps({"endpoint": endpoint, **proof_of(proved, address)}), flush=True)  # noqa: T201
    _say(f"listening on {endpoint}/v1   proof: {endpoint}{PROOF_PATH}   Ctrl-C ends it")


def listen_at(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family, backlog=128)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise UnavailableError("proxy.can-not-listen", "this address can not be listened on",
                          where=f"{host} port {port}", got=reason,
                          hint="--port 0 takes a free one") from error  # fmt: skip


def _endpoint_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the command line's own voice
