"""The HTTP server under the gateway: uvicorn, with bounds that it does not have and without its talk.

uvicorn bounds neither the size of a request's headers nor the time that they take (with httptools), so a patient
stranger could hold memory and connections for nothing. It is told to log no access and to name no server.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any, ClassVar

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sealroom.room.limits import GatewayLimits

__all__ = ["GatewayServer"]

_KEEP_ALIVE_SECONDS = 30
_NO_BODY = b"content-length: 0\r\nconnection: close\r\n\r\n"
_TOO_MANY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n" + _NO_BODY
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\n" + _NO_BODY


class _BoundedProtocol(HttpToolsProtocol):
    """One connection. A request whose head is too large or too slow ends it before the application hears of it."""

    limits: ClassVar[GatewayLimits]
    _head_timer: asyncio.TimerHandle | None = None
    _head_open = True
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse one connection too many; give the others a time for their first request."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            self._end(_TOO_MANY)
            return
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer, and let the application know."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and count what it hoards before a head is whole."""
        if self.transport.is_closing():
            return
        hoarding = self._head_open
        super().data_received(data)
        if hoarding and self._head_open:
            self._count(len(data))

    def on_message_begin(self) -> None:
        """A request's first byte."""
        self._head_open = True
        self._head_bytes = 0
        self._arm()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field, or a trailer field after the body, which counts alike."""
        self._count(len(name) + len(value))
        if not self.transport.is_closing():
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole: from here on the application's own limits hold."""
        self._disarm()
        self._head_open = False
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body, unless the connection is being ended."""
        if self.cycle is not None and not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request's end, unless the connection is being ended."""
        if self.cycle is not None and not self.transport.is_closing():
            super().on_message_complete()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self.limits.outer_header_bytes and not self.transport.is_closing():
            self._end(_TOO_LARGE)

    def _arm(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.limits.header_seconds, self.transport.abort)

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _end(self, answer: bytes) -> None:
        self._disarm()
        if self.cycle is None or self.cycle.response_complete:  # never into the middle of another answer
            self.transport.write(answer)
        self.transport.close()


class GatewayServer(uvicorn.Server):
    """Serves one application on a socket that is bound already. Signals are its owner's business.

    Args:
        app: the ASGI application.
        limits: for the head of a request, and for the number of connections.
        drain_seconds: how long `stop` lets answers in progress run on.
    """

    def __init__(self, app: Any, limits: GatewayLimits, *, drain_seconds: int = 10) -> None:
        protocol = type("_Protocol", (_BoundedProtocol,), {"limits": limits})
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="info",  # below it uvicorn tells of every message, addresses included
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=drain_seconds,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none: uvicorn would raise them again after the drain, over our own clean end."""
        yield

    async def serve_on(self, listener: socket.socket) -> None:
        """Serve until `stop`; then drain."""
        await self.serve(sockets=[listener])

    def stop(self) -> None:
        """Take no new connection and no new request; let the answers in progress end."""
        self.should_exit = True
