"""The broker on a socket."""

import ipaddress
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from sealroom.errors import MisuseError, UnavailableError

__all__ = ["listen", "serve", "url_of"]

_MAX_HEAD = 1024 * 1024  # a verbose token of an eight-GPU guest is 170 KiB, and stops at the limit of others
_GRACE_SECONDS = 5


def listen(host: str, port: int, *, insecure_beyond_loopback: bool = False) -> socket.socket:
    """A listening socket on ``host``, an IP address; port 0 takes a free one.

    Raises:
        MisuseError: ``broker.not-loopback``: without TLS, tokens and cookies would cross the network readable.
        UnavailableError: the address is taken.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError as error:
        raise MisuseError("broker.address", "the address to listen on is not an IP address", got=host,
                          expected="127.0.0.1 or ::1") from error  # fmt: skip
    if not address.is_loopback and not insecure_beyond_loopback:
        raise MisuseError(
            "broker.not-loopback", "the broker does not end TLS, so it listens on loopback alone", got=host,
            expected="127.0.0.1 or ::1", hint="put a TLS proxy in front, or --insecure-listen-beyond-loopback",
        )  # fmt: skip
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        raise UnavailableError("broker.can-not-listen", "this address can not be listened on",
                               got=f"{host} port {port}, {error.strerror}", hint="--port 0 takes a free one",
                               ) from error  # fmt: skip


def url_of(listener: socket.socket) -> str:
    """``http://127.0.0.1:8080``."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: Starlette, listener: socket.socket, *, on_stop: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; requests under way get five seconds."""
    config = uvicorn.Config(
        app, http="h11", h11_max_incomplete_event_size=_MAX_HEAD, log_config=None, access_log=False,
        server_header=False, timeout_graceful_shutdown=_GRACE_SECONDS,
    )  # fmt: skip
    # uvicorn raises the signal again when it is done; by then it has been obeyed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _obeyed)
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        on_stop()


def _obeyed(number: int, frame: FrameType | None) -> None:
    """Take a signal that was already acted on."""
