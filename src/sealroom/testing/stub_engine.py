"""An engine without a model: the same answer every time, from memory, for tests and measurements of what lies around.

It is no simulation of a language model and nothing about it is confidential; `layers` says so.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from sealroom.engines.base import EnginePhase, EngineRequest, EngineResponse, EngineState, EngineUnavailableError

__all__ = ["StubEngine"]


class StubEngine:
    """Streams ``tokens``, one every ``interval`` seconds (0 = as fast as it is read).

    Attributes:
        requests: everything that was opened, oldest first.
        cancelled: how many answers were left before their end.
        running: how many are open now.
    """

    name = "stub"
    version = "1"
    layers: tuple[str, ...] = ("insecure-stub",)

    def __init__(self, tokens: Sequence[str] = ("The ", "quiet ", "room."), *, interval: float = 0.0) -> None:
        self._tokens = tuple(tokens)
        self._interval = interval
        self.config_digest = hashlib.sha256("\x00".join(self._tokens).encode()).digest()
        self.state = EngineState(phase=EnginePhase.STARTING, retry_after=1.0)
        self.requests: list[EngineRequest] = []
        self.cancelled = 0
        self.running = 0

    async def start(self, model: Mapping[str, int]) -> None:
        """Be ready; the model is not looked at."""
        del model
        self.state = EngineState(phase=EnginePhase.READY)

    async def stop(self) -> None:
        """Be stopped."""
        self.state = EngineState(phase=EnginePhase.STOPPED, retry_after=1.0)

    def fail(self, retry_after: float = 2.0) -> None:
        """Behave as an engine whose process died: running answers break off, new ones are turned away."""
        self.state = EngineState(phase=EnginePhase.RESTARTING, retry_after=retry_after)

    @asynccontextmanager
    async def open(self, request: EngineRequest) -> AsyncIterator[EngineResponse]:
        """Answer in OpenAI's shape: chat, completion or embedding, streamed or not."""
        self._require_ready()
        self.requests.append(request)
        finished = [False]
        self.running += 1
        try:
            body = self._events(request, finished) if request.stream else self._whole(request, finished)
            content_type = "text/event-stream" if request.stream else "application/json"
            yield EngineResponse(status=200, content_type=content_type, body=body)
        finally:
            self.running -= 1
            self.cancelled += not finished[0]

    def _require_ready(self) -> None:
        if self.state.phase is not EnginePhase.READY:
            raise EngineUnavailableError(
                "engine.not-ready", f"the engine is {self.state.phase}", retry_after=self.state.retry_after
            )

    async def _events(self, request: EngineRequest, finished: list[bool]) -> AsyncIterator[bytes]:
        chat = request.path == "/v1/chat/completions"
        for token in self._tokens:
            await asyncio.sleep(self._interval)
            self._require_ready()
            yield _event({"choices": [_piece(token, None, chat=chat)]}, chat=chat)
        yield _event({"choices": [_piece("", "stop", chat=chat)]}, chat=chat)
        finished[0] = True
        yield b"data: [DONE]\n\n"

    async def _whole(self, request: EngineRequest, finished: list[bool]) -> AsyncIterator[bytes]:
        await asyncio.sleep(self._interval * len(self._tokens))
        self._require_ready()
        finished[0] = True
        yield _compact(self._answer(request))

    def _answer(self, request: EngineRequest) -> dict[str, object]:
        if request.path == "/v1/embeddings":
            datum = {"object": "embedding", "index": 0, "embedding": [0.5, -0.5]}
            return {"object": "list", "model": "stub", "data": [datum], "usage": _usage(0)}
        text = "".join(self._tokens)
        usage = _usage(len(self._tokens))
        if request.path == "/v1/completions":
            choice: dict[str, object] = {"index": 0, "text": text, "finish_reason": "stop"}
            return {"id": "cmpl-stub", "object": "text_completion", "created": 0, "model": "stub",
                    "choices": [choice], "usage": usage}  # fmt: skip
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return {"id": "chatcmpl-stub", "object": "chat.completion", "created": 0, "model": "stub",
                "choices": [choice], "usage": usage}  # fmt: skip


def _usage(completion: int) -> dict[str, int]:
    return {"prompt_tokens": 1, "completion_tokens": completion, "total_tokens": completion + 1}


def _piece(token: str, finish: str | None, *, chat: bool) -> dict[str, object]:
    if not chat:
        return {"index": 0, "text": token, "finish_reason": finish}
    return {"index": 0, "delta": {} if finish else {"content": token}, "finish_reason": finish}


def _event(fields: dict[str, object], *, chat: bool) -> bytes:
    kind = "chat.completion.chunk" if chat else "text_completion"
    head = {"id": "chatcmpl-stub" if chat else "cmpl-stub", "object": kind, "created": 0, "model": "stub"}
    return b"data: " + _compact({**head, **fields}) + b"\n\n"


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
