"""The engine without a model: it answers in the shapes of the real one, and says that it is none."""

import json

import pytest

from sealroom.engines.base import Engine, EngineRequest, EngineUnavailableError
from sealroom.testing.stub_engine import StubEngine


def _request(*, stream: bool) -> EngineRequest:
    return EngineRequest(path="/v1/chat/completions", body={"messages": []}, caller=None, stream=stream)


async def _started() -> StubEngine:
    engine = StubEngine(("a", "b"))
    await engine.start({})
    return engine


async def test_it_is_an_engine_and_says_that_it_is_insecure() -> None:
    engine: Engine = await _started()
    assert engine.layers == ("insecure-stub",)


async def test_streams_and_whole_answers_carry_the_same_text() -> None:
    engine = await _started()
    async with engine.open(_request(stream=True)) as streamed:
        events = [piece.removeprefix(b"data: ").strip() async for piece in streamed.body]
    async with engine.open(_request(stream=False)) as answered:
        answer = json.loads(b"".join([piece async for piece in answered.body]))
    deltas = [json.loads(event)["choices"][0]["delta"].get("content", "") for event in events[:-1]]
    assert "".join(deltas) == answer["choices"][0]["message"]["content"] == "ab"
    assert events[-1] == b"[DONE]"


async def test_leaving_early_counts_as_a_cancellation() -> None:
    engine = await _started()
    async with engine.open(_request(stream=True)) as response:
        await anext(response.body)
    assert (engine.cancelled, engine.running) == (1, 0)


async def test_a_failed_one_turns_callers_away_and_breaks_off() -> None:
    engine = await _started()
    async with engine.open(_request(stream=True)) as response:
        await anext(response.body)
        engine.fail()
        with pytest.raises(EngineUnavailableError):
            await anext(response.body)
    with pytest.raises(EngineUnavailableError) as turned_away:
        async with engine.open(_request(stream=False)):
            pass
    assert turned_away.value.retry_after == 2.0
