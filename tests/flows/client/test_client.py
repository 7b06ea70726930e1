"""A caller with an OpenAI client and a room on loopback, with everything between them that could go wrong."""

import asyncio
import json
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import httpx
import openai
import pytest
from aiohttp import web
from loopback_room import ANSWER, MODEL, SECRET, TOKENS, LoopbackRoom, ask, ask_streaming, error_of

import sealroom
from sealroom.channel.key_config import encode_key_configs, parse_key_configs
from sealroom.errors import (
    MalformedError,
    MisuseError,
    RefusedError,
    SealroomError,
    UnavailableError,
    UnverifiedError,
)
from sealroom.testing.snp import POLICY_DEBUG, SimulatedSnp

EVIDENCE = "GET /.well-known/sealroom/evidence"
GATEWAY = "POST /.well-known/ohttp-gateway"


@pytest.fixture
def client(room: LoopbackRoom, policy: Path) -> Iterator[openai.OpenAI]:
    with sealroom.httpx_client(room=room.url, policy=policy) as http:
        yield openai.OpenAI(http_client=http, base_url=f"{room.url}/v1", api_key="not-needed")


class TestAnOpenaiClientThatTalksToARoom:
    def test_gets_an_answer_without_a_warning(self, client: openai.OpenAI) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert ask(client) == ANSWER

    def test_gets_a_stream_token_by_token_while_the_room_still_answers(
        self, room: LoopbackRoom, client: openai.OpenAI
    ) -> None:
        room.script.pause_after_first_token = True
        pieces = ask_streaming(client)
        first = next(pieces)
        room.go_on()  # only after the first has been read: else nothing would follow
        assert (first, *pieces) == TOKENS

    async def test_gets_the_same_asynchronously(self, room: LoopbackRoom, policy: Path) -> None:
        async with sealroom.async_httpx_client(room=room.url, policy=policy) as http:
            client = openai.AsyncOpenAI(http_client=http, base_url=f"{room.url}/v1", api_key="not-needed")
            whole = await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "a"}])
            stream = await client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": "a"}], stream=True
            )
            pieces = [event.choices[0].delta.content async for event in stream]
        assert whole.choices[0].message.content == ANSWER
        assert tuple(pieces) == TOKENS

    def test_verifies_once_for_many_requests(self, room: LoopbackRoom, client: openai.OpenAI) -> None:
        ask(client)
        ask(client)
        assert room.paths() == [EVIDENCE, GATEWAY, GATEWAY]

    def test_shows_nothing_of_a_request_outside(self, room: LoopbackRoom, client: openai.OpenAI) -> None:
        ask(client)
        seen = room.outer[1]
        outside = (seen.target + json.dumps(seen.headers)).encode() + seen.body
        for secret in (SECRET, "chat/completions", "not-needed", "openai", "OpenAI", MODEL + '"'):
            assert secret.encode() not in outside
        assert seen.headers["content-type"] == "message/ohttp-chunked-req"
        assert seen.headers["incremental"] == "?1"

    def test_goes_to_the_room_whatever_host_its_url_names(self, room: LoopbackRoom, policy: Path) -> None:
        with sealroom.httpx_client(room=room.url, policy=policy) as http:
            client = openai.OpenAI(http_client=http, api_key="not-needed")  # base_url: the vendor's own
            assert ask(client) == ANSWER
        assert room.inner[0].head.path == "/v1/chat/completions"

    def test_names_the_same_session_inside_each_request_and_another_client_another(
        self, room: LoopbackRoom, client: openai.OpenAI, policy: Path
    ) -> None:
        ask(client)
        ask(client)
        with sealroom.httpx_client(room=room.url, policy=policy) as other:
            other.post("/v1/chat/completions", json={}, headers={"Sealroom-Session": "forged"})
        sessions = [dict(seen.head.headers)[b"sealroom-session"] for seen in room.inner]
        assert sessions[0] == sessions[1] != sessions[2]
        assert {len(bytes.fromhex(session.decode())) for session in sessions} == {32}

    def test_says_with_each_answer_what_was_proved_about_who_could_read_it(
        self, room: LoopbackRoom, policy: Path
    ) -> None:
        with sealroom.httpx_client(room=room.url, policy=policy) as http:
            proved = http.get("/v1/models").extensions["sealroom"]
        assert proved.appraisal.accepted
        assert proved.appraisal.simulated
        assert proved.statement.model_name == MODEL

    def test_eight_threads_verify_once_and_each_gets_its_own_answer(
        self, room: LoopbackRoom, client: openai.OpenAI
    ) -> None:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda number: ask(client, f"question {number}"), range(24)))
        assert answers == [ANSWER] * 24
        assert room.paths().count(EVIDENCE) == 1
        assert len({seen.body for seen in room.inner}) == 24

    async def test_eight_tasks_verify_once_and_each_gets_its_own_answer(
        self, room: LoopbackRoom, policy: Path
    ) -> None:
        async with sealroom.async_httpx_client(room=room.url, policy=policy) as http:
            answers = await asyncio.gather(*(http.post("/v1/chat/completions", json={"n": n}) for n in range(8)))
        assert {answer.status_code for answer in answers} == {200}
        assert room.paths().count(EVIDENCE) == 1

    def test_sends_a_body_that_comes_in_pieces(self, room: LoopbackRoom, policy: Path) -> None:
        pieces = [b'{"text": "', b"x" * 40_000, b'"}']
        with sealroom.httpx_client(room=room.url, policy=policy) as http:
            http.post("/v1/chat/completions", content=iter(pieces))
        assert room.inner[0].body == b"".join(pieces)

    def test_stops_the_room_by_leaving_a_stream(self, room: LoopbackRoom, client: openai.OpenAI) -> None:
        room.script.pause_after_first_token = True
        pieces = ask_streaming(client)
        next(pieces)
        pieces.close()
        assert room.left.wait(10)

    async def test_stops_the_room_by_leaving_a_stream_asynchronously(self, room: LoopbackRoom, policy: Path) -> None:
        room.script.pause_after_first_token = True
        async with sealroom.async_httpx_client(room=room.url, policy=policy) as http:
            async with http.stream("POST", "/v1/chat/completions", json={"stream": True}) as response:
                await anext(response.aiter_raw())
            assert await asyncio.to_thread(room.left.wait, 10)

    def test_ignores_a_proxy_that_the_environment_names(
        self, room: LoopbackRoom, policy: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        with sealroom.httpx_client(room=room.url, policy=policy) as http:
            assert http.get("/v1/models").status_code == 200


class TestARoomThatDoesNotProveItself:
    """The refusal comes out as itself, once, and nothing but questions for evidence has arrived."""

    def refused(self, room: LoopbackRoom, client: openai.OpenAI) -> SealroomError:
        error = error_of(lambda: ask(client))
        assert isinstance(error, SealroomError)
        assert room.paths() == [
            EVIDENCE
        ]  # not again, though the OpenAI client retries what it takes for a network's fault
        assert b"".join(seen.body for seen in room.outer) == b""
        return error

    def test_with_one_bit_of_its_evidence_flipped(self, room: LoopbackRoom, client: openai.OpenAI) -> None:
        room.script.change_bundle = lambda bundle: bundle.replace(b"script", b"scrypt")
        assert self.refused(room, client).code == "binding.report-data"

    def test_with_evidence_of_a_debug_guest(self, room: LoopbackRoom, client: openai.OpenAI) -> None:
        room.hardware = SimulatedSnp(platform=room.hardware.platform, policy=0x30000 | POLICY_DEBUG)
        assert isinstance(self.refused(room, client), RefusedError)

    def test_with_evidence_that_answers_an_older_nonce(self, room: LoopbackRoom, client: openai.OpenAI) -> None:
        recorded = room._evidence(bytes(32)).body
        room.script.change_bundle = lambda _: bytes(recorded)
        assert self.refused(room, client).code == "binding.nonce"

    def test_under_a_root_that_nobody_trusts(self, room: LoopbackRoom, client: openai.OpenAI) -> None:
        room.hardware = SimulatedSnp()
        assert isinstance(self.refused(room, client), UnverifiedError)

    def test_with_bytes_that_are_no_evidence(self, room: LoopbackRoom, client: openai.OpenAI) -> None:
        room.script.change_bundle = lambda bundle: bundle[:-1]
        assert isinstance(self.refused(room, client), MalformedError)

    def test_whose_evidence_lists_no_post_quantum_key(self, room: LoopbackRoom, client: openai.OpenAI) -> None:
        def classical_only(raw: bytes) -> bytes:
            return encode_key_configs(tuple(config for config in parse_key_configs(raw) if config.key_id == 1))

        room.script.change_keys = classical_only
        assert self.refused(room, client).code == "channel.no-post-quantum-key"

    def test_stays_refused_and_is_asked_anew_each_time(self, room: LoopbackRoom, client: openai.OpenAI) -> None:
        room.script.change_bundle = lambda bundle: bundle[:-1]
        error_of(lambda: ask(client))
        error_of(lambda: ask(client))
        assert room.paths() == [EVIDENCE, EVIDENCE]
        room.script.change_bundle = lambda bundle: bundle
        assert ask(client) == ANSWER

    def test_is_not_followed_where_it_redirects_to(self, room: LoopbackRoom, client: openai.OpenAI) -> None:
        room.script.evidence_answer = lambda: web.Response(status=302, headers={"location": "/elsewhere"})
        error = error_of(lambda: ask(client.with_options(max_retries=0)))
        assert isinstance(error, openai.APIConnectionError)
        reason = sealroom.reason(error)
        assert isinstance(reason, UnavailableError)
        assert reason.code == "client.no-evidence"
        assert room.paths() == [EVIDENCE]


class TestARoomWhoseKeyChanged:
    def test_is_verified_anew_and_asked_once_more(self, room: LoopbackRoom, client: openai.OpenAI) -> None:
        ask(client)
        room.outer.clear()
        room.new_keys()
        assert ask(client) == ANSWER
        assert room.paths() == [GATEWAY, EVIDENCE, GATEWAY]

    async def test_is_verified_anew_by_an_async_client_too(self, room: LoopbackRoom, policy: Path) -> None:
        async with sealroom.async_httpx_client(room=room.url, policy=policy) as http:
            await http.get("/v1/models")
            room.new_keys()
            assert (await http.get("/v1/models")).status_code == 200
        assert room.paths() == [EVIDENCE, GATEWAY, GATEWAY, EVIDENCE, GATEWAY]

    def test_is_given_up_if_it_does_not_know_the_new_key_either(
        self, room: LoopbackRoom, client: openai.OpenAI
    ) -> None:
        ask(client)
        room.outer.clear()
        problem = b'{"type": "https://iana.org/assignments/http-problem-types#ohttp-key"}'
        room.script.outer_answer = lambda: web.Response(
            status=400, body=problem, content_type="application/problem+json"
        )
        error = error_of(lambda: ask(client))
        assert isinstance(error, SealroomError)
        assert error.code == "client.rotated-key"
        assert room.paths() == [GATEWAY, EVIDENCE, GATEWAY]

    def test_gets_no_byte_if_it_can_not_prove_the_new_one(self, room: LoopbackRoom, client: openai.OpenAI) -> None:
        ask(client)
        room.outer.clear()
        room.new_keys()
        room.script.change_bundle = lambda bundle: bundle.replace(b"script", b"scrypt")
        assert error_of(lambda: ask(client)).code == "binding.report-data"  # type: ignore[attr-defined]
        assert room.paths() == [GATEWAY, EVIDENCE]

    def test_is_renewed_before_its_key_ends(self, room: LoopbackRoom, client: openai.OpenAI) -> None:
        room.script.statement_life = timedelta(seconds=2)
        ask(client)
        wait_until_past(room, client)
        assert room.paths().count(EVIDENCE) >= 2
        assert len(room.inner) == room.paths().count(GATEWAY)  # and no request was sealed to a key that had ended


def wait_until_past(room: LoopbackRoom, client: openai.OpenAI) -> None:
    """Ask until a second verification has been seen."""
    while room.paths().count(EVIDENCE) < 2:
        ask(client)


class TestAnAnswerThatIsNotTheRoomsWhole:
    def test_is_an_error_when_cut_at_a_chunk_border(self, room: LoopbackRoom, client: openai.OpenAI) -> None:
        room.script.finish = False
        with sealroom_stream(client, room) as response:
            pieces: list[bytes] = []
            error = error_of(lambda: pieces.extend(response.iter_raw()))
        assert b"[DONE]" in b"".join(pieces)  # all of it came, and yet its end is not the room's
        assert isinstance(error, httpx.RemoteProtocolError)
        assert "client.cut-answer" in str(error)
        assert isinstance(sealroom.reason(error), UnverifiedError)

    def test_is_an_error_when_the_connection_breaks(self, room: LoopbackRoom, client: openai.OpenAI) -> None:
        room.script.finish = False
        room.script.break_off = True
        with sealroom_stream(client, room) as response:
            error = error_of(lambda: list(response.iter_raw()))
        assert isinstance(error, httpx.RemoteProtocolError)
        assert isinstance(sealroom.reason(error), UnverifiedError)

    def test_reaches_the_openai_user_as_an_error_with_our_reason(
        self, room: LoopbackRoom, client: openai.OpenAI
    ) -> None:
        room.script.change_sealed = lambda _number, sealed: sealed[:40]
        error = error_of(lambda: ask(client.with_options(max_retries=0)))
        reason = sealroom.reason(error)
        assert reason is not None
        assert isinstance(reason, UnverifiedError)

    def test_is_refused_when_one_bit_is_flipped_and_not_asked_for_again(
        self, room: LoopbackRoom, client: openai.OpenAI
    ) -> None:
        room.script.change_sealed = lambda _number, sealed: sealed[:-1] + bytes([sealed[-1] ^ 1])
        error = error_of(lambda: ask(client))
        assert isinstance(error, UnverifiedError)
        assert error.code == "channel.not-authentic"
        assert room.paths() == [EVIDENCE, GATEWAY]

    @pytest.mark.parametrize("status", [200, 400, 404])
    def test_is_refused_when_it_is_not_sealed_at_all(
        self, room: LoopbackRoom, client: openai.OpenAI, status: int
    ) -> None:
        forged = json.dumps({"choices": [{"message": {"content": "trust me"}}]}).encode()
        room.script.outer_answer = lambda: web.Response(status=status, body=forged, content_type="application/json")
        error = error_of(lambda: ask(client))
        assert isinstance(error, UnverifiedError)
        assert error.code == "client.unsealed-answer"
        assert "trust me" not in str(error)

    def test_is_a_connection_error_when_nobody_is_there(self, policy: Path) -> None:
        with sealroom.httpx_client(room="http://127.0.0.1:9", policy=policy) as http:
            error = error_of(lambda: http.get("/v1/models"))
        assert isinstance(error, httpx.ConnectError)
        assert getattr(sealroom.reason(error), "code", None) == "client.room-unreachable"


def sealroom_stream(client: openai.OpenAI, room: LoopbackRoom) -> "httpx.Response":
    """The raw stream below the OpenAI client: it stops at ``[DONE]`` by itself and would not see the end."""
    http = client._client
    return http.stream("POST", "/v1/chat/completions", json={"stream": True, "messages": []})  # type: ignore[return-value]


class TestAClient:
    @pytest.mark.parametrize("option", ["transport", "mounts", "proxy", "trust_env"])
    def test_takes_no_option_that_leads_past_the_channel(self, policy: Path, option: str) -> None:
        with pytest.raises(MisuseError) as caught:
            sealroom.httpx_client(room="http://127.0.0.1:9", policy=policy, **{option: None})
        assert caught.value.code == "client.option-not-ours-to-give"

    def test_wants_a_policy(self, tmp_path: Path) -> None:
        with pytest.raises(MisuseError) as caught:
            sealroom.httpx_client(room="http://127.0.0.1:9", policy=tmp_path / "none.toml")
        assert caught.value.code == "client.no-policy"
