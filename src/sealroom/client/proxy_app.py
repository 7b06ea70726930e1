"""A local OpenAI endpoint for programs that can not change: ``/v1/*`` goes through the sealed channel as it is.

    program ── plain HTTP on loopback ──▶ this ── sealed to the verified room ──▶ gateway

``GET /sealroom/proof`` says what is proved about the room, as JSON. Everything else is 404. Who may ask and how
refusals look is in `proxy_rules`. Answers that stream are handed on piece by piece; all others are held back until
their authenticated end, so that a cut or forged one is a clean error and never half an answer. When a stream breaks,
its last event is an error in OpenAI's shape and the connection ends without the end of the message.
Leaving closes the exchange, which the gateway notices.
"""

import asyncio
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import uvicorn

from sealroom.client.proof import proof_of
from sealroom.client.proxy_rules import error_body, error_event, error_headers, error_status, forbidden_caller
from sealroom.client.service import OpenAnswer, RoomService, UserRequest
from sealroom.errors import MisuseError, SealroomError

__all__ = ["BODY_LIMIT", "PROOF_PATH", "ProxyApp", "serve_proxy"]

BODY_LIMIT = 64 * 1024 * 1024
"""Bytes of a request, and of an answer that is held back: what the channel itself takes at most."""
PROOF_PATH = "/sealroom/proof"

_log = logging.getLogger("sealroom.proxy")

Headers = list[tuple[bytes, bytes]]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_JSON: Headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
_NOT_HANDED_ON = frozenset(
    {b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"content-length", b"date"}
)


class ProxyApp:
    """The endpoint as an ASGI application. ``service`` has to be open as long as it serves."""

    def __init__(self, service: RoomService) -> None:
        self._service = service

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return  # no websocket here; uvicorn is told not to offer a lifespan
        answer = _Sender(send)
        try:
            await self._serve(scope, receive, answer)
        except SealroomError as error:
            _log.warning("refused: %s", error.code)
            await answer.refuse(error)

    async def _serve(self, scope: Message, receive: Receive, answer: "_Sender") -> None:
        if (reason := forbidden_caller(scope["headers"])) is not None:
            raise reason
        path: str = scope["path"]
        if path == PROOF_PATH and scope["method"] == "GET":
            proof = proof_of(await self._service.verify(), self._service.address)
            await answer.whole(200, _JSON, json.dumps(proof, ensure_ascii=False).encode())
        elif path.startswith("/v1/"):
            body = await _read_body(receive)
            await _unless_left(self._forward(_user_request(scope, body), answer), receive)
        else:
            raise MisuseError("proxy.not-found", "there is nothing here", got=path, expected=f"/v1/… or {PROOF_PATH}")

    async def _forward(self, request: UserRequest, answer: "_Sender") -> None:
        async with self._service.open(request) as opened:
            headers = [(name, value) for name, value in opened.head.headers if name not in _NOT_HANDED_ON]
            if _is_event_stream(headers):
                await answer.start(opened.head.status, headers)
                async for piece in opened.pieces():
                    await answer.piece(piece)
                await answer.end()
            else:
                await answer.whole(opened.head.status, headers, await _held_back(opened))


async def serve_proxy(service: RoomService, listener: socket.socket) -> None:
    """Serve an open ``service`` on ``listener`` until a signal or a cancellation ends it."""
    config = uvicorn.Config(
        ProxyApp(service),
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving
        raise


class _Sender:
    """What has been said to the program so far, and how to say no from there."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._started = False
        self._tail = b"\n\n"

    async def start(self, status: int, headers: Headers) -> None:
        self._started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def piece(self, data: bytes) -> None:
        self._tail = (self._tail + data[-2:])[-2:]
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def whole(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        await self.start(status, [*headers, (b"content-length", b"%d" % len(body))])
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def refuse(self, error: SealroomError) -> None:
        """An error answer; in a stream that has begun, an error event where one fits, and no end of the message."""
        if not self._started:
            await self.whole(error_status(error), [*_JSON, *error_headers(error)], error_body(error))
        elif self._tail == b"\n\n":
            await self.piece(error_event(error))


async def _unless_left(work: Awaitable[None], receive: Receive) -> None:
    """Do ``work``; if the program leaves before it is done, cancel it."""
    task = asyncio.ensure_future(work)
    left = asyncio.ensure_future(_wait_for_leaving(receive))
    try:
        await asyncio.wait((task, left), return_when=asyncio.FIRST_COMPLETED)
    finally:
        left.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
    if not task.cancelled():
        task.result()


async def _wait_for_leaving(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _read_body(receive: Receive) -> bytes:
    found = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise MisuseError("proxy.left", "the program left before its request was complete")
        found += message.get("body", b"")
        more = message.get("more_body", False)
        _check_size(len(found), "request")
    return bytes(found)


async def _held_back(answer: OpenAnswer) -> bytes:
    found = bytearray()
    async for piece in answer.pieces():
        found += piece
        _check_size(len(found), "answer")
    return bytes(found)


def _check_size(size: int, what: str) -> None:
    if size > BODY_LIMIT:
        raise MisuseError("proxy.too-large", f"the {what} is too large", expected=f"at most {BODY_LIMIT} bytes")


def _user_request(scope: Message, body: bytes) -> UserRequest:
    query: bytes = scope["query_string"]
    target = scope["raw_path"] + (b"?" + query if query else b"")
    return UserRequest(method=scope["method"], target=target.decode("ascii"), headers=scope["headers"], body=body)


def _is_event_stream(headers: Headers) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers)
