"""Servers for `protected_path.py`, each a process of its own so that what it spends can be read from /proc.

    python bench/_room_process.py llama MODEL.gguf | stub | plain

``llama`` and ``stub`` are a room: simulated SNP evidence, channel keys and the gateway, over llama.cpp or over the
stub engine. ``plain`` is the stub engine behind a bare uvicorn: the least that a Python server of an engine does. The
first line of output says where it listens.
"""

import asyncio
import fcntl
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from sealroom.binding import Label, report_data
from sealroom.collateral.bundle import BundleMember, EvidenceBundle
from sealroom.engines.base import Engine, EngineRequest
from sealroom.engines.llama_cpp import LlamaCppEngine
from sealroom.engines.llama_cpp_settings import LlamaCppSettings
from sealroom.gateway.app import build_app
from sealroom.gateway.transport import GatewayServer
from sealroom.room.key_generations import KeyGenerations
from sealroom.room.limits import GatewayLimits
from sealroom.statement import RoomStatement
from sealroom.testing.snp import SimulatedSnp
from sealroom.testing.stub_engine import StubEngine

MODEL = "measured"
SLOTS = 8
ENGINE_THREADS = 1  # of two cores: the other is for those who ask and those who seal
STUB_TOKENS = tuple(f"token{number} " for number in range(200))
STUB_INTERVAL = 0.004
LIFE = timedelta(hours=2)

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class MeasuredRoom:
    """What a gateway sees of a room, without broker and sealed model: they are not on the measured path."""

    def __init__(self, engine: Engine) -> None:
        self.hardware = SimulatedSnp()
        self.engine = engine
        self.limits = GatewayLimits(concurrency=SLOTS)
        self.model_name = MODEL
        self.serving_since = datetime.now(UTC)
        self.keys = KeyGenerations(at=self.serving_since, lifetime=LIFE, overlap=LIFE)

    async def evidence(self, nonce: bytes) -> bytes:
        """A bundle for ``nonce``."""
        now = datetime.now(UTC).replace(microsecond=0)
        statement = RoomStatement(
            nonce=nonce, key_configs=self.keys.key_configs, model_name=MODEL, model_version=1, model_digest=bytes(32),
            package_digest=bytes(32), engine_name=self.engine.name, engine_version=self.engine.version,
            engine_config_digest=self.engine.config_digest, sandbox_layers=self.engine.layers, software_version="1",
            created_at=now, not_after=now + LIFE,
        ).encode()  # fmt: skip
        collected = self.hardware.collect(report_data(Label.ROOM_STATEMENT, statement))
        return EvidenceBundle(statement=statement, evidence=(BundleMember.cpu(collected),)).encode()


def plain_app(engine: StubEngine) -> Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]:
    """The stub engine as an OpenAI endpoint with nothing around it."""

    async def app(_scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        question = json.loads(body + message["body"])
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        asked = EngineRequest(path="/v1/chat/completions", body=question, caller=None, stream=True)
        async with engine.open(asked) as response:
            async for piece in response.body:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


def sealed_memory(path: Path) -> int:
    """The model in a sealed memfd, as a room hands it to its engine."""
    descriptor = os.memfd_create("model", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    with path.open("rb") as file, os.fdopen(os.dup(descriptor), "wb") as memory:
        while piece := file.read(1 << 22):
            memory.write(piece)
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor


async def serve_room(model: Path | None) -> None:
    """A room until the process is ended."""
    engine: LlamaCppEngine | StubEngine = StubEngine(STUB_TOKENS, interval=STUB_INTERVAL)
    files = {}
    if model is not None:
        settings = LlamaCppSettings(model_name=MODEL, slots=SLOTS, context_tokens=1024, threads=ENGINE_THREADS)
        engine, files = LlamaCppEngine(settings), {model.name: sealed_memory(model)}
    await engine.start(files)
    try:
        room = MeasuredRoom(engine)
        listener = socket.create_server(("127.0.0.1", 0))
        server = GatewayServer(build_app(room, engine), room.limits, drain_seconds=1)
        facts: dict[str, object] = {"port": listener.getsockname()[1], "root": room.hardware.root_fingerprint.hex(),
                                    "engine_config": engine.config_digest.hex()}  # fmt: skip
        if isinstance(engine, LlamaCppEngine):
            facts |= {"engine_pid": engine.pid, "engine_socket": engine.socket, "engine_threads": ENGINE_THREADS}
        announce(facts)
        await server.serve_on(listener)
    finally:
        await engine.stop()


async def serve_plain() -> None:
    """The stub engine alone, until the process is ended."""
    engine = StubEngine(STUB_TOKENS, interval=STUB_INTERVAL)
    await engine.start({})
    listener = socket.create_server(("127.0.0.1", 0))
    announce({"port": listener.getsockname()[1]})
    config = uvicorn.Config(plain_app(engine), lifespan="off", log_config=None, access_log=False)
    await uvicorn.Server(config).serve(sockets=[listener])


def announce(facts: dict[str, object]) -> None:
    """Say where to find this process."""
    print(json.dumps({"pid": os.getpid(), **facts}), flush=True)


if __name__ == "__main__":
    kind = sys.argv[1]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve_plain() if kind == "plain" else serve_room(Path(sys.argv[2]) if kind == "llama" else None))
