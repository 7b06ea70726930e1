"""CPU of the gateway per streamed chunk, against a plain server that streams the same chunks unencrypted.

Both are uvicorn in a process of its own over the same stub engine; a client in this process reads 8 streams at a
time. What is compared is the servers' own CPU time (user and system), divided by the chunks that the engine made.
"""

import asyncio
import json
import multiprocessing
import resource
import socket
import statistics
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "unit" / "gateway"))

CHUNKS = 400
STREAMS = 8
ROUNDS = 9
INTERVAL = 0.002
TOKENS = [f"token{number} " for number in range(CHUNKS)]


def serve(make_app: Callable[[], Any], pipe: Connection) -> None:
    """Run one server; answer each word on the pipe with the CPU seconds used so far."""
    uvloop.install()
    asyncio.run(_serve(make_app, pipe))


async def _serve(make_app: Callable[[], Any], pipe: Connection) -> None:
    from sealroom.gateway.transport import GatewayServer
    from sealroom.room.limits import GatewayLimits

    app, facts = await make_app()
    listener = socket.create_server(("127.0.0.1", 0))
    server = GatewayServer(app, GatewayLimits())
    running = asyncio.create_task(server.serve_on(listener))
    pipe.send((listener.getsockname()[1], facts))
    while await asyncio.to_thread(pipe.recv):
        used = resource.getrusage(resource.RUSAGE_SELF)
        pipe.send(used.ru_utime + used.ru_stime)
    server.stop()
    await running


async def sealed_app() -> tuple[Any, bytes]:
    """The gateway, and the keys that a caller of it needs."""
    from gateway_harness import make_gateway

    from sealroom.testing.stub_engine import StubEngine

    gateway = await make_gateway(StubEngine(TOKENS, interval=INTERVAL), concurrency=STREAMS)
    return gateway.app, gateway.room.keys.key_configs


async def plain_app() -> tuple[Any, bytes]:
    """The same stream without encryption, queue, limits or checks."""
    from sealroom.engines.base import EngineRequest
    from sealroom.testing.stub_engine import StubEngine

    engine = StubEngine(TOKENS, interval=INTERVAL)
    await engine.start({})

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        request = EngineRequest(path="/v1/chat/completions", body=json.loads(body), caller=None, stream=True)
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with engine.open(request) as response:
            async for piece in response.body:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app, b""


class Side:
    """One server process, and how it is asked."""

    def __init__(self, make_app: Callable[[], Any], *, seal: bool) -> None:
        self.pipe, theirs = multiprocessing.Pipe()
        spawn = multiprocessing.get_context("spawn")
        self.process = spawn.Process(target=serve, args=(make_app, theirs), daemon=True)
        self.process.start()
        self.port, self.keys = self.pipe.recv()
        self.seal = seal

    def cpu(self) -> float:
        """CPU seconds that the server has used."""
        self.pipe.send(True)
        return self.pipe.recv()

    def request(self) -> tuple[str, bytes, dict[str, str]]:
        """A new request: address, body, headers."""
        from gateway_harness import Caller, chat

        if not self.seal:
            return f"http://127.0.0.1:{self.port}/", json.dumps(chat(stream=True)).encode(), {}
        sealed = Caller(self.keys).seal(chat(stream=True))
        headers = {"content-type": "message/ohttp-chunked-req"}
        return f"http://127.0.0.1:{self.port}/.well-known/ohttp-gateway", sealed, headers

    async def round(self) -> float:
        """CPU seconds per chunk over one round of streams."""
        requests = [self.request() for _ in range(STREAMS)]
        before = self.cpu()
        async with aiohttp.ClientSession() as http:
            await asyncio.gather(*(self._read(http, *request) for request in requests))
        return (self.cpu() - before) / (STREAMS * CHUNKS)

    async def _read(self, http: aiohttp.ClientSession, url: str, body: bytes, headers: dict[str, str]) -> None:
        async with http.post(url, data=body, headers=headers) as response:
            assert response.status == 200, await response.read()
            while await response.content.readany():
                pass


async def main() -> None:
    """Measure and print."""
    sealed, plain = Side(sealed_app, seal=True), Side(plain_app, seal=False)
    rounds: list[tuple[float, float]] = []
    for number in range(ROUNDS + 1):
        pair = (await sealed.round(), await plain.round())
        if number:  # the first warms both up
            rounds.append(pair)
    for side in (sealed, plain):
        side.pipe.send(False)
        side.process.join(10)
    ratios = sorted(ours / theirs for ours, theirs in rounds)
    ours, theirs = (statistics.median(values) * 1e6 for values in zip(*rounds, strict=True))
    print(json.dumps({
        "name": "gateway CPU per streamed chunk",
        "ratio": round(statistics.median(ratios), 3),
        "spread": [round(ratios[0], 3), round(ratios[-1], 3)],
        "runs": ROUNDS,
        "compared": f"sealed gateway {ours:.0f} µs, plain server {theirs:.0f} µs a chunk; {STREAMS} by {CHUNKS} "
        "chunks, the stub engine in both processes",
    }))  # fmt: skip


if __name__ == "__main__":
    asyncio.run(main())
