"""What the engine's flow tests share: the real model in sealed memory, and a way to the engine's socket past us."""

import contextlib
import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealroom.engines.base import EnginePath, EngineRequest
from sealroom.engines.llama_cpp import LlamaCppEngine

MODEL_FILE = Path(sys.prefix) / "share/sealroom/models/SmolLM2-135M-Instruct.Q4_1.gguf"
_F_ADD_SEALS, _ALL_SEALS = 1033, 0xF


def sealed(content: bytes) -> int:
    """A memfd with ``content`` that nobody can change any more."""
    descriptor = os.memfd_create("model", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    fcntl.fcntl(descriptor, _F_ADD_SEALS, _ALL_SEALS)
    return descriptor


@contextlib.contextmanager
def sealed_model() -> Iterator[dict[str, int]]:
    """The demonstration model, as the room would hand it over."""
    if not MODEL_FILE.is_file():
        pytest.skip(f"the demonstration model is not installed (scripts/setup puts it at {MODEL_FILE})")
    descriptor = sealed(MODEL_FILE.read_bytes())
    try:
        yield {MODEL_FILE.name: descriptor}
    finally:
        os.close(descriptor)


def chat(text: str, *, caller: bytes | None, tokens: int = 4, stream: bool = False, **more: object) -> EngineRequest:
    """A chat request as the gateway would pass it on."""
    body = {"messages": [{"role": "user", "content": text}], "max_tokens": tokens, "temperature": 0, **more}
    return EngineRequest(path="/v1/chat/completions", body=body, caller=caller, stream=stream)


async def whole(engine: LlamaCppEngine, request: EngineRequest) -> tuple[int, bytes]:
    """Status and complete body."""
    async with engine.open(request) as response:
        return response.status, b"".join([piece async for piece in response.body])


def past_us(path_of_socket: str, method: str, path: str, body: object = None) -> tuple[int, object]:
    """Ask the engine over its own socket, without the adapter: what it would tell if nobody stood before it."""
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: e\r\nConnection: close\r\nContent-Type: application/json\r\n"
    with socket.socket(socket.AF_UNIX) as end:
        end.settimeout(60)
        end.connect(path_of_socket)
        end.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        answer = b""
        while piece := end.recv(65536):
            answer += piece
    first, _, rest = answer.partition(b"\r\n\r\n")
    try:
        return int(first.split()[1]), json.loads(rest)
    except ValueError:
        return int(first.split()[1]), rest


def running_slots(engine: LlamaCppEngine) -> list[dict[str, int]]:
    """The engine's own page about slots that work now."""
    _, page = past_us(engine.socket, "GET", "/slots")
    assert isinstance(page, list)
    return [slot for slot in page if slot["is_processing"]]


EMBEDDINGS: EnginePath = "/v1/embeddings"
