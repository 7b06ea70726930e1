"""A stranger can not hold memory or a connection by sending slowly or endlessly, and learns nothing of the server."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from sealroom.gateway.transport import GatewayServer
from sealroom.room.limits import GatewayLimits


async def plain_app(scope: dict[str, object], receive: object, send: object) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@contextlib.asynccontextmanager
async def serving(limits: GatewayLimits, app: object = plain_app) -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = GatewayServer(app, limits, drain_seconds=1)
    task = asyncio.create_task(server.serve_on(listener))
    try:
        yield listener.getsockname()[1]
    finally:
        server.stop()
        await task


async def say(port: int, words: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):
        writer.write(words)
        await writer.drain()
    with contextlib.suppress(ConnectionError):
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return answer
    return b""


LIMITS = GatewayLimits(outer_header_bytes=4096, header_seconds=0.2, connections=2)
PLAIN = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


async def test_an_ordinary_request_is_answered_and_no_server_is_named() -> None:
    async with serving(LIMITS) as port:
        answer = await say(port, PLAIN)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"server:" not in answer.lower()


@pytest.mark.parametrize(
    "start", [b"", b"GET", b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: "], ids=["nothing", "a word", "half"]
)
async def test_a_head_that_does_not_come_ends_the_connection(start: bytes) -> None:
    async with serving(LIMITS) as port:
        assert await say(port, start) == b""


async def test_a_second_request_on_the_connection_is_bounded_in_time_too() -> None:
    async with serving(LIMITS) as port:
        answer = await say(port, b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HT")
    assert answer.count(b"HTTP/1.1 200") == 1


@pytest.mark.parametrize(
    "head",
    [b"GET / HTTP/1.1\r\nhost: x\r\nx-long: " + b"a" * 10_000,
     b"GET /" + b"a" * 10_000,
     b"GET / HTTP/1.1\r\nhost: x\r\n" + b"".join(b"x-%d: y\r\n" % n for n in range(2000)) + b"\r\n",
     b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nx: " + b"y" * 5000 + b"\r\n\r\n0\r\n\r\n"],
    ids=["endless field", "endless target", "many fields", "whole but large"],
)  # fmt: skip
async def test_a_head_that_is_too_large_never_reaches_the_application(head: bytes) -> None:
    reached = []

    async def app(scope: dict[str, object], receive: object, send: object) -> None:
        reached.append(scope)
        await plain_app(scope, receive, send)

    async with serving(LIMITS, app) as port:
        answer = await say(port, head)
    assert b" 200 " not in answer
    assert not reached


async def test_a_whole_head_that_is_too_large_is_told_so() -> None:
    async with serving(LIMITS) as port:
        answer = await say(port, b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 5000 + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431")


async def test_one_connection_too_many_is_turned_away_and_the_others_live() -> None:
    async with serving(GatewayLimits(connections=2, header_seconds=5)) as port:
        first = await asyncio.open_connection("127.0.0.1", port)
        second = await asyncio.open_connection("127.0.0.1", port)
        assert (await say(port, PLAIN)).startswith(b"HTTP/1.1 503")
        for reader, writer in (first, second):
            writer.write(PLAIN)
            assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 200")
            writer.close()
