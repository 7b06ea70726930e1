"""One engine, several callers who do not trust each other: what can one learn of, or do to, another?"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from engine_world import chat, past_us, running_slots, sealed_model, whole

from sealroom.engines.base import EngineRequest
from sealroom.engines.llama_cpp import LlamaCppEngine
from sealroom.engines.llama_cpp_settings import LlamaCppSettings
from sealroom.errors import MisuseError

pytestmark = [pytest.mark.flow, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("engine-callers")]

_SECRET = "The secret project of this hospital is called Bluebird and its budget is nine million. " * 3
_FORBIDDEN = ("timings", "cached_tokens", "id_slot", "__verbose", "generation_settings", "prompt_tokens_details")
_SLOTS = 2


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[LlamaCppEngine]:
    with sealed_model() as model:
        started = LlamaCppEngine(LlamaCppSettings(model_name="room", slots=_SLOTS, context_tokens=1024, threads=1))
        await started.start(model)
        yield started
        await started.stop()


async def _cached_for(engine: LlamaCppEngine, caller: bytes | None, **more: object) -> int:
    """How many tokens of its prompt the engine found in memory, read from its own page while the answer runs."""
    request = chat(_SECRET, caller=caller, tokens=8, stream=True, ignore_eos=True, **more)
    async with engine.open(request) as response:
        await anext(response.body)
        slots = await asyncio.to_thread(running_slots, engine)
        rest = [piece async for piece in response.body]
    assert rest
    (slot,) = [slot for slot in slots if slot["n_prompt_tokens"] > 1]  # the other may be in the middle of a wipe
    return slot["n_prompt_tokens_cache"]


async def test_a_caller_builds_on_their_own_conversation(engine: LlamaCppEngine) -> None:
    await whole(engine, chat(_SECRET, caller=b"anna"))
    assert await _cached_for(engine, b"anna") > 30


async def test_another_caller_finds_nothing_of_it_in_a_fresh_slot_or_a_taken_over_one(engine: LlamaCppEngine) -> None:
    await whole(engine, chat(_SECRET, caller=b"anna"))
    for guesser in (b"bert", b"carl", b"dora"):  # more callers than slots: slots change hands
        assert await _cached_for(engine, guesser) == 0


async def test_a_caller_can_not_ask_for_somebody_elses_slot(engine: LlamaCppEngine) -> None:
    await whole(engine, chat(_SECRET, caller=b"anna"))
    for slot in range(_SLOTS):
        assert await _cached_for(engine, f"guess-{slot}".encode(), id_slot=slot, cache_prompt=True) == 0


async def test_a_single_shot_leaves_nothing_even_for_the_next_single_shot(engine: LlamaCppEngine) -> None:
    for _ in range(_SLOTS + 1):
        assert await _cached_for(engine, None) == 0
    await _all_settled(engine)
    for slot in range(_SLOTS):
        body = {"messages": [{"role": "user", "content": _SECRET}], "max_tokens": 1, "id_slot": slot}
        _, answer = await asyncio.to_thread(past_us, engine.socket, "POST", "/v1/chat/completions", body)
        assert isinstance(answer, dict)
        assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 0


async def _all_settled(engine: LlamaCppEngine) -> None:
    """One request in every slot can only run when all have been given back. Its prompt begins like no other."""
    await asyncio.gather(*(whole(engine, _short(f"settle-{n}".encode())) for n in range(_SLOTS)))


def _short(caller: bytes) -> EngineRequest:
    return EngineRequest(path="/v1/completions", body={"prompt": "zebra", "max_tokens": 1}, caller=caller)


@pytest.mark.parametrize("stream", [False, True])
async def test_answers_tell_nothing_about_how_they_were_made(engine: LlamaCppEngine, stream: bool) -> None:
    request = chat("hi", caller=b"anna", stream=stream, stream_options={"include_usage": True}, verbose=True,
                   timings_per_token=True, return_progress=True)  # fmt: skip
    status, raw = await whole(engine, request)
    assert status == 200
    assert not [name for name in _FORBIDDEN if name.encode() in raw]
    assert b'"total_tokens"' in raw


async def test_the_bare_engine_would_have_told(engine: LlamaCppEngine) -> None:
    body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
    _, answer = await asyncio.to_thread(past_us, engine.socket, "POST", "/v1/chat/completions", body)
    assert isinstance(answer, dict)
    assert "timings" in answer


async def test_a_stream_can_not_be_replayed(engine: LlamaCppEngine) -> None:
    request = chat(_SECRET, caller=b"anna", stream=True, conversation_id="c1", conv_id="c1")
    _, raw = await whole(engine, request)
    own_id = json.loads(raw.split(b"\n\n")[0][6:])["id"]
    for known in ("c1", own_id):
        status, answer = await asyncio.to_thread(past_us, engine.socket, "GET", f"/v1/stream?conv_id={known}")
        assert status >= 400, answer


_ADDRESSES = ("http://127.0.0.1:{port}/x.png", "https://127.0.0.1:{port}/", "HTTP://127.0.0.1:{port}/",
              "//127.0.0.1:{port}/", "file:///etc/passwd", "data:text/html,x", None)  # fmt: skip


@pytest.mark.parametrize("url", _ADDRESSES)
async def test_an_image_address_is_refused_and_nobody_fetches_it(engine: LlamaCppEngine, url: str | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = url.format(port=listener.getsockname()[1]) if url else None
        part = {"type": "image_url", "image_url": {"url": address}}
        body = {"messages": [{"role": "user", "content": [part]}]}
        with pytest.raises(MisuseError) as refused:
            await whole(engine, EngineRequest(path="/v1/chat/completions", body=body, caller=b"anna"))
        assert refused.value.code == "engine.remote-image"
        with pytest.raises(BlockingIOError):
            listener.accept()


async def test_fifty_streams_in_a_row_all_arrive_whole(engine: LlamaCppEngine) -> None:
    for _ in range(50):
        _, raw = await whole(engine, chat("hi", caller=b"anna", tokens=1, stream=True))
        assert raw.endswith(b"data: [DONE]\n\n")


async def test_a_caller_who_leaves_gives_the_slot_back(engine: LlamaCppEngine) -> None:
    for _ in range(_SLOTS * 2):
        async with engine.open(chat("tell", caller=b"anna", tokens=900, stream=True)) as response:
            await anext(response.body)
    await asyncio.wait_for(_all_settled(engine), 10)
    assert not await asyncio.to_thread(running_slots, engine)


async def test_who_gives_up_waiting_takes_nobody_elses_turn(engine: LlamaCppEngine) -> None:
    async with asyncio.timeout(60):
        busy = [asyncio.create_task(whole(engine, chat("tell", caller=bytes([n]), tokens=60))) for n in range(_SLOTS)]
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(whole(engine, chat("hi", caller=bytes([9 + n])))) for n in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        results = await asyncio.gather(*busy, *waiting, return_exceptions=True)
    assert isinstance(results[_SLOTS], asyncio.CancelledError)
    assert [result[0] for result in results if isinstance(result, tuple)] == [200] * (_SLOTS + 2)


async def test_answers_of_callers_at_the_same_time_do_not_mix(engine: LlamaCppEngine) -> None:
    texts = [f"Repeat: {word}" for word in ("apple", "stone", "river", "cloud")]
    alone = [await whole(engine, chat(text, caller=None, tokens=12)) for text in texts]
    together = await asyncio.gather(*(whole(engine, chat(text, caller=None, tokens=12)) for text in texts))
    assert [json.loads(raw)["choices"] for _, raw in together] == [json.loads(raw)["choices"] for _, raw in alone]


async def test_mistakes_of_the_caller_come_back_as_such(engine: LlamaCppEngine) -> None:
    status, raw = await whole(engine, chat("hi " * 3000, caller=b"anna"))
    assert status == 400
    assert json.loads(raw)["error"]["type"] == "exceed_context_size_error"
    with pytest.raises(MisuseError, match="one answer a request"):
        await whole(engine, chat("hi", caller=b"anna", n=2))
    with pytest.raises(MisuseError, match="does not make embeddings"):
        await whole(engine, EngineRequest(path="/v1/embeddings", body={"input": "x"}, caller=None))
