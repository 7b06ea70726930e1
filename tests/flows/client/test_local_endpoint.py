"""Programs that can not change, the local endpoint in front of them, and a room behind it."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest
from loopback_room import ANSWER, MODEL, TOKENS, LoopbackRoom, ask, ask_streaming, error_of

from sealroom.client.address import RoomAddress
from sealroom.client.policy_store import read_policy
from sealroom.client.proxy_app import serve_proxy
from sealroom.client.service import RoomService
from sealroom.client.session import Session
from sealroom.testing.snp import POLICY_DEBUG, SimulatedSnp


class Endpoint:
    """The endpoint in a thread of its own."""

    def __init__(self, room: str, policy: Path) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._session = Session(read_policy(policy))
        self._address = RoomAddress.parse(room)
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._started.wait(10)

    async def _serve(self) -> None:
        async with RoomService(self._address, self._session) as service:
            task = asyncio.ensure_future(serve_proxy(service, self._listener))
            self._loop, self._task = asyncio.get_running_loop(), task
            self._started.set()
            await asyncio.wait((task,))

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def endpoint(room: LoopbackRoom, policy: Path) -> Iterator[str]:
    endpoint = Endpoint(room.url, policy)
    yield endpoint.url
    endpoint.stop()


@pytest.fixture
def program(endpoint: str) -> openai.OpenAI:
    """A program that knows nothing of Sealroom."""
    return openai.OpenAI(base_url=f"{endpoint}/v1", api_key="not-needed")


class TestAProgramThatKnowsNothingOfThis:
    def test_gets_an_answer(self, program: openai.OpenAI) -> None:
        assert ask(program) == ANSWER

    def test_gets_the_list_of_models(self, program: openai.OpenAI) -> None:
        assert [model.id for model in program.models.list()] == [MODEL]

    def test_gets_a_stream_token_by_token(self, room: LoopbackRoom, program: openai.OpenAI) -> None:
        room.script.pause_after_first_token = True
        pieces = ask_streaming(program)
        first = next(pieces)
        room.go_on()
        assert (first, *pieces) == TOKENS

    def test_stops_the_room_by_leaving(self, room: LoopbackRoom, program: openai.OpenAI) -> None:
        room.script.pause_after_first_token = True
        stream = program.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "a"}], stream=True
        )
        next(iter(stream))
        stream.close()
        assert room.left.wait(10)

    def test_eight_at_once_get_their_own_answers(self, room: LoopbackRoom, program: openai.OpenAI) -> None:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda number: ask(program, f"question {number}"), range(24)))
        assert answers == [ANSWER] * 24
        assert room.paths().count("GET /.well-known/sealroom/evidence") == 1

    def test_learns_nothing_and_sends_nothing_when_the_room_is_refused(
        self, room: LoopbackRoom, program: openai.OpenAI
    ) -> None:
        room.hardware = SimulatedSnp(platform=room.hardware.platform, policy=0x30000 | POLICY_DEBUG)
        error = error_of(lambda: ask(program))
        assert isinstance(error, openai.InternalServerError)
        assert error.status_code == 502
        assert error.code == "snp.debug"
        assert room.paths() == ["GET /.well-known/sealroom/evidence"]  # and the program did not try again

    def test_gets_an_error_and_no_end_when_a_stream_is_cut(self, room: LoopbackRoom, endpoint: str) -> None:
        room.script.finish = False
        pieces: list[bytes] = []
        with httpx.stream("POST", f"{endpoint}/v1/chat/completions", json={"stream": True}) as response:
            error = error_of(lambda: pieces.extend(response.iter_raw()))
        assert isinstance(error, httpx.RemoteProtocolError)
        last = b"".join(pieces).strip().rpartition(b"\n\ndata: ")[2]
        assert json.loads(last)["error"]["code"] == "client.cut-answer"

    def test_gets_a_clean_error_when_a_whole_answer_is_forged(
        self, room: LoopbackRoom, program: openai.OpenAI
    ) -> None:
        room.script.change_sealed = lambda _number, sealed: sealed[:-1] + bytes([sealed[-1] ^ 1])
        error = error_of(lambda: ask(program))
        assert isinstance(error, openai.InternalServerError)
        assert error.code == "channel.not-authentic"

    def test_survives_a_new_key_of_the_room_unnoticed(self, room: LoopbackRoom, program: openai.OpenAI) -> None:
        ask(program)
        room.new_keys()
        assert ask(program) == ANSWER


class TestAStrangerAtTheEndpoint:
    @pytest.mark.parametrize("host", ["attacker.example", "attacker.example:8642", "127.0.0.1.attacker.example", ""])
    def test_under_another_name_is_turned_away(self, room: LoopbackRoom, endpoint: str, host: str) -> None:
        answer = httpx.post(f"{endpoint}/v1/chat/completions", json={}, headers={"Host": host})
        assert answer.status_code in {400, 403}
        assert room.paths() == []

    @pytest.mark.parametrize(
        "header", [{"Origin": "https://attacker.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
    )
    def test_in_a_web_page_is_turned_away(self, room: LoopbackRoom, endpoint: str, header: dict[str, str]) -> None:
        answer = httpx.post(f"{endpoint}/v1/chat/completions", json={}, headers=header)
        assert answer.status_code == 403
        assert not any(name.startswith("access-control") for name in answer.headers)
        assert room.paths() == []

    @pytest.mark.parametrize("path", ["/", "/healthz", "/.well-known/ohttp-gateway", "/v1", "/v2/models"])
    def test_finds_nothing_beside_the_api(self, room: LoopbackRoom, endpoint: str, path: str) -> None:
        assert httpx.get(endpoint + path).status_code == 404
        assert room.paths() == []


def test_the_endpoint_says_what_is_proved(endpoint: str) -> None:
    proof = httpx.get(f"{endpoint}/sealroom/proof").json()
    assert proof["appraisal"]["accepted"] is True
    assert proof["appraisal"]["simulated"] is True
    assert proof["statement"]["model_name"] == MODEL
