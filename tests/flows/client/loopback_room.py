"""A room on loopback whose faults are chosen by the test: real evidence, real channel, an answer from a script.

It runs in a thread of its own, so that blocking clients can be tested too, and keeps everything that reached it.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import openai
import pytest
from aiohttp import web

from sealroom.binding import Label, report_data
from sealroom.channel.channel_keys import ChannelKeys
from sealroom.channel.messages import Data, RequestHead, ResponseHead
from sealroom.channel.problems import problem_for
from sealroom.channel.replay import ReplayWindow
from sealroom.channel.response_sealer import ResponseSealer
from sealroom.channel.server_exchange import ServerExchange
from sealroom.collateral.bundle import MEDIA_TYPE, EvidenceBundle
from sealroom.errors import SealroomError
from sealroom.statement import RoomStatement
from sealroom.testing.snp import SimulatedSnp

MODEL = "small"
TOKENS = ("The ", "quiet ", "room.")
ANSWER = "".join(TOKENS)
SECRET = "the patient's name is Quillfeather"
_JSON = ((b"content-type", b"application/json"),)
_EVENTS = ((b"content-type", b"text/event-stream"),)


@dataclass
class Outer:
    """What anybody on the way could have seen of one request."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Inner:
    """What came out of the encryption."""

    head: RequestHead
    body: bytes


@dataclass
class Script:
    """How the room behaves; every default is right."""

    statement_life: timedelta = timedelta(minutes=10)
    change_bundle: Callable[[bytes], bytes] = lambda bundle: bundle
    change_sealed: Callable[[int, bytes], bytes] = lambda _number, sealed: sealed
    change_keys: Callable[[bytes], bytes] = lambda configs: configs
    finish: bool = True
    break_off: bool = False
    outer_answer: Callable[[], web.Response] | None = None
    evidence_answer: Callable[[], web.Response] | None = None
    pause_after_first_token: bool = False
    tokens: tuple[str, ...] = TOKENS


@dataclass
class LoopbackRoom:
    hardware: SimulatedSnp
    script: Script = field(default_factory=Script)
    outer: list[Outer] = field(default_factory=list)
    inner: list[Inner] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def __post_init__(self) -> None:
        self.new_keys()
        self._ready = threading.Event()
        self._go_on = asyncio.Event()
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def new_keys(self) -> None:
        """What a restart does: other keys, under the next key ids."""
        self.keys = self.keys.rotated() if hasattr(self, "keys") else ChannelKeys.generate()
        self.replay = ReplayWindow()

    def __enter__(self) -> "LoopbackRoom":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def go_on(self) -> None:
        """Let a paused answer go on."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._go_on.set)

    def paths(self) -> list[str]:
        """Method and path of everything that arrived."""
        return [f"{seen.method} {seen.target.partition('?')[0]}" for seen in self.outer]

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        seen = Outer(request.method, request.raw_path, {k.lower(): v for k, v in request.headers.items()})
        self.outer.append(seen)
        seen.body = await request.read()
        if request.path == "/.well-known/sealroom/evidence":
            return self._evidence(bytes.fromhex(request.query["nonce"]))
        return await self._exchange(request, seen.body)

    def _evidence(self, nonce: bytes) -> web.Response:
        if self.script.evidence_answer is not None:
            return self.script.evidence_answer()
        now = datetime.now(UTC).replace(microsecond=0)
        statement = RoomStatement(
            nonce=nonce, key_configs=self.script.change_keys(self.keys.key_configs), model_name=MODEL,
            model_version=1, model_digest=bytes(32), package_digest=bytes(32), engine_name="script",
            engine_version="1", engine_config_digest=bytes(32), sandbox_layers=(), software_version="1",
            created_at=now, not_after=now + self.script.statement_life,
        ).encode()  # fmt: skip
        collected = self.hardware.collect(report_data(Label.ROOM_STATEMENT, statement))
        bundle = EvidenceBundle.of(statement, collected).encode()
        return web.Response(body=self.script.change_bundle(bundle), content_type=MEDIA_TYPE)

    async def _exchange(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if self.script.outer_answer is not None:
            return self.script.outer_answer()
        exchange = ServerExchange(self.keys, self.replay, at=datetime.now(UTC))
        try:
            events = [*exchange.receive(body), *exchange.end_of_input()]
        except SealroomError as error:
            problem = problem_for(error)
            assert problem is not None
            return web.Response(status=problem.status, body=problem.body, content_type="application/problem+json")
        head = next(event for event in events if isinstance(event, RequestHead))
        content = b"".join(event.data for event in events if isinstance(event, Data))
        self.inner.append(Inner(head, content))
        return await self._send(request, exchange.response(), head, content)

    async def _send(
        self, request: web.Request, sealer: ResponseSealer, head: RequestHead, content: bytes
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": sealer.media_type})
        response.enable_chunked_encoding()
        await response.prepare(request)
        number = 0
        try:
            async for sealed in self._sealed(sealer, head, content):
                await response.write(self.script.change_sealed(number, sealed))
                number += 1
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise
        if self.script.break_off and request.transport is not None:
            request.transport.abort()
        else:
            await response.write_eof()
        return response

    async def _sealed(self, sealer: ResponseSealer, head: RequestHead, content: bytes) -> AsyncIterator[bytes]:
        question = json.loads(content) if content else {}
        if not question.get("stream"):
            yield sealer.whole(ResponseHead(status=200, headers=_JSON), _whole_answer(head, self.script.tokens))
            return
        yield sealer.start(ResponseHead(status=200, headers=_EVENTS))
        for number, token in enumerate(self.script.tokens):
            if number == 1 and self.script.pause_after_first_token:
                await self._go_on.wait()
            yield sealer.data(_event(token))
        yield sealer.data(b"data: [DONE]\n\n")
        if self.script.finish:
            yield sealer.finish()


def _event(token: str) -> bytes:
    choice = {"index": 0, "delta": {"content": token}, "finish_reason": None}
    event = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": MODEL, "choices": [choice]}
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def _whole_answer(head: RequestHead, tokens: tuple[str, ...]) -> bytes:
    if head.path.startswith("/v1/models"):
        return json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model"}]}).encode()
    message = {"role": "assistant", "content": "".join(tokens)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps(
        {"id": "c", "object": "chat.completion", "created": 0, "model": MODEL, "choices": [choice]}
    ).encode()


def ask(client: openai.OpenAI, words: str = SECRET) -> str:
    answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": words}])
    return answer.choices[0].message.content or ""


def ask_streaming(client: openai.OpenAI, words: str = SECRET) -> Generator[str]:
    stream = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": words}], stream=True)
    with stream:
        for event in stream:
            yield event.choices[0].delta.content or ""


def error_of(action: Callable[[], object]) -> Exception:
    """What ``action`` raises, whatever it is."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the tests look at it closely
        action()
    return caught.value
