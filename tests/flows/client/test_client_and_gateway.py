"""The client against the real gateway: two parts that were written from one specification, not from each other."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import openai
import pytest
from loopback_room import MODEL, SECRET, LoopbackRoom, ask, ask_streaming, error_of

import sealroom
from sealroom.gateway.app import build_app
from sealroom.gateway.transport import GatewayServer
from sealroom.room.key_generations import KeyGenerations
from sealroom.room.limits import GatewayLimits
from sealroom.testing.snp import SimulatedSnp, SnpPlatform
from sealroom.testing.stub_engine import StubEngine

TOKENS = tuple(f"word{number} " for number in range(40))


class GatewayRoom:
    """A gateway over the stub engine in a thread of its own; evidence is made as the scripted room makes it."""

    def __init__(self, platform: SnpPlatform) -> None:
        self.limits = GatewayLimits()
        self.model_name = MODEL
        self.serving_since = datetime.now(UTC)
        self.keys = self._new_keys()
        self.engine = StubEngine(TOKENS)
        self._maker = LoopbackRoom(SimulatedSnp(platform=platform))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._server: GatewayServer | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def _new_keys(self) -> KeyGenerations:
        return KeyGenerations(at=datetime.now(UTC), lifetime=timedelta(hours=2), overlap=timedelta(hours=1))

    def restart(self) -> None:
        """Other keys, and the old ones gone."""
        self.keys.rotate(datetime.now(UTC))
        self.keys.rotate(datetime.now(UTC) + timedelta(hours=3))

    async def evidence(self, nonce: bytes) -> bytes:
        self._maker.script.change_keys = lambda _: self.keys.key_configs
        return bytes(self._maker._evidence(nonce).body)

    async def _serve(self) -> None:
        await self.engine.start({})
        self._server = GatewayServer(build_app(self, self.engine), self.limits, drain_seconds=1)
        self._started.set()
        await self._server.serve_on(self._listener)

    def __enter__(self) -> "GatewayRoom":
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.stop()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def gateway(platform: SnpPlatform) -> Iterator[GatewayRoom]:
    with GatewayRoom(platform) as room:
        yield room


@pytest.fixture
def sealed(gateway: GatewayRoom, policy: Path) -> Iterator[openai.OpenAI]:
    with sealroom.httpx_client(room=gateway.url, policy=policy) as http:
        yield openai.OpenAI(http_client=http, base_url=f"{gateway.url}/v1", api_key="not-needed")


def test_whole_and_streamed_answers_arrive_whole(sealed: openai.OpenAI) -> None:
    assert ask(sealed) == "".join(TOKENS)
    assert "".join(ask_streaming(sealed)) == "".join(TOKENS)
    assert [model.id for model in sealed.models.list()] == [MODEL]


def test_the_engine_is_asked_under_one_caller_id_a_client(gateway: GatewayRoom, sealed: openai.OpenAI) -> None:
    ask(sealed)
    ask(sealed)
    first, second = (asked.caller for asked in gateway.engine.requests)
    assert first == second is not None


def test_the_rooms_own_refusals_reach_the_user_as_the_sdks_errors(sealed: openai.OpenAI) -> None:
    error = error_of(lambda: sealed.chat.completions.create(model="another", messages=[]))
    assert isinstance(error, openai.APIStatusError)
    assert sealroom.reason(error) is None


def test_new_keys_are_verified_and_the_request_sent_once_more(gateway: GatewayRoom, sealed: openai.OpenAI) -> None:
    ask(sealed)
    gateway.restart()
    assert ask(sealed) == "".join(TOKENS)


def test_an_engine_that_dies_in_mid_answer_is_no_short_answer(gateway: GatewayRoom, policy: Path) -> None:
    gateway.engine._interval = 0.05
    question = {"model": MODEL, "messages": [{"role": "user", "content": SECRET}], "stream": True}
    with (
        sealroom.httpx_client(room=gateway.url, policy=policy) as http,
        http.stream("POST", "/v1/chat/completions", json=question) as response,
    ):
        pieces = response.iter_raw()
        next(pieces)
        gateway.engine.fail()
        error = error_of(lambda: list(pieces))
    assert getattr(sealroom.reason(error), "code", None) == "client.cut-answer"


def test_leaving_an_answer_cancels_it_in_the_engine(gateway: GatewayRoom, policy: Path) -> None:
    gateway.engine._interval = 0.05
    question = {"model": MODEL, "messages": [{"role": "user", "content": SECRET}], "stream": True}
    with sealroom.httpx_client(room=gateway.url, policy=policy) as http:
        with http.stream("POST", "/v1/chat/completions", json=question) as response:
            next(response.iter_raw())
        for _ in range(1000):  # each request is a round trip: no sleep, and it ends
            if gateway.engine.cancelled:
                break
            http.get("/v1/models")
    assert gateway.engine.cancelled == 1
