"""Somebody on the path between a caller and a room: a real HTTP relay on loopback that changes what it likes.

It holds no key of either end; what it can do is what any cloud, load balancer or cable can do.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientSession, ClientTimeout, web

__all__ = ["EVIDENCE", "GATEWAY", "Meddling", "Passed", "man_in_the_middle"]

EVIDENCE = "/.well-known/sealroom/evidence"
GATEWAY = "/.well-known/ohttp-gateway"

Bytes = AsyncIterator[bytes]


@dataclass(kw_only=True)
class Passed:
    """One exchange as the man in the middle saw it."""

    method: str
    path_and_query: str
    headers: dict[str, str]
    request: bytes = field(repr=False)
    status: int = 0
    answer: bytes = field(default=b"", repr=False)


@dataclass(kw_only=True)
class Meddling:
    """What this one does. By default he only looks."""

    room: str
    evidence: Callable[[str, bytes], Awaitable[bytes]] | None = None
    """Called with path and query and the true evidence; what it returns is what the caller gets."""
    key_list: bytes | None = None
    """Served in place of the room's key configuration."""
    answer: Callable[[Bytes], Bytes] | None = None
    """Wraps the stream of an encapsulated answer."""
    passed: list[Passed] = field(default_factory=list)


@asynccontextmanager
async def man_in_the_middle(meddling: Meddling) -> AsyncIterator[str]:
    """Stand between; yields the URL that a deceived caller would use for the room."""
    async with ClientSession(
        auto_decompress=False, timeout=ClientTimeout(total=120), skip_auto_headers=("Accept-Encoding",)
    ) as upstream:
        application = web.Application(client_max_size=1 << 26)
        application.router.add_route("*", "/{path:.*}", _relay(meddling, upstream))
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            yield f"http://127.0.0.1:{port}"
        finally:
            await runner.cleanup()


def _relay(meddling: Meddling, upstream: ClientSession) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def relay(request: web.Request) -> web.StreamResponse:
        seen = Passed(
            method=request.method,
            path_and_query=request.path_qs,
            headers={name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP},
            request=await request.read(),
        )
        if request.path == EVIDENCE and meddling.evidence is not None:  # uncompressed, to change it
            seen.headers = {name: value for name, value in seen.headers.items() if name.lower() != "accept-encoding"}
        meddling.passed.append(seen)
        if request.path == GATEWAY and request.method == "GET" and meddling.key_list is not None:
            return web.Response(body=meddling.key_list, content_type="application/ohttp-keys")
        async with upstream.request(
            seen.method, meddling.room + seen.path_and_query, data=seen.request or None, headers=seen.headers
        ) as true_answer:
            seen.status = true_answer.status
            return await _answer(request, seen, true_answer, meddling)

    return relay


async def _answer(request: web.Request, seen: Passed, true_answer: Any, meddling: Meddling) -> web.StreamResponse:
    kept = {name: value for name, value in true_answer.headers.items() if name.lower() not in _HOP_BY_HOP}
    if request.path == EVIDENCE and meddling.evidence is not None:
        body = await meddling.evidence(seen.path_and_query, await true_answer.read())
        return web.Response(status=seen.status, body=body, headers=kept)
    response = web.StreamResponse(status=seen.status, headers=kept)
    await response.prepare(request)
    stream: Bytes = true_answer.content.iter_any()
    if meddling.answer is not None and request.path == GATEWAY and request.method == "POST":
        stream = meddling.answer(stream)
    async for piece in stream:
        seen.answer += piece
        await response.write(piece)
    await response.write_eof()
    return response


_HOP_BY_HOP = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding", "upgrade"})
