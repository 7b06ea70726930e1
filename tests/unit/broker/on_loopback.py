"""Puts what would answer in memory behind a real socket: the room's own HTTP client has no seam to slip past it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


@asynccontextmanager
async def listening(serve: Serve, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The address of a server that runs ``serve`` for every connection."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)  # type: ignore[arg-type]
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@asynccontextmanager
async def served(transport: httpx.AsyncBaseTransport) -> AsyncIterator[str]:
    """The address of a server that asks ``transport`` for its answers, many over one connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await _head(reader):
                answer = await transport.handle_async_request(await _request(head, reader))
                content = await answer.aread()
                kept = [(name, value) for name, value in answer.headers.multi_items()
                        if name not in {"content-length", "transfer-encoding"}]  # fmt: skip
                lines = [f"{name}: {value}\r\n" for name, value in [*kept, ("content-length", str(len(content)))]]
                writer.write(f"HTTP/1.1 {answer.status_code} -\r\n{''.join(lines)}\r\n".encode() + content)
                await writer.drain()
        except ConnectionError:
            pass  # the client had enough
        finally:
            writer.close()

    async with listening(serve) as url:
        yield url


async def _head(reader: asyncio.StreamReader) -> list[str]:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
    except asyncio.IncompleteReadError:
        return []


async def _request(head: list[str], reader: asyncio.StreamReader) -> httpx.Request:
    method, target, _ = head[0].split(" ")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in head[1:])]
    body = await reader.readexactly(int(dict(headers).get("content-length", "0")))
    return httpx.Request(method, f"http://broker.test{target}", headers=headers, content=body)
