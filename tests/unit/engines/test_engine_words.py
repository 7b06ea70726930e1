"""What goes to llama.cpp and what comes back: allow-lists in both directions, and the framing between."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.engines import wire
from sealroom.engines.answers import EventFilter, clean_json, corrected_status
from sealroom.engines.base import EnginePath, EngineRequest, EngineUnavailableError
from sealroom.engines.requests import engine_body
from sealroom.errors import MisuseError

_CHUNK = (
    b'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"Hi \\"timings\\": {\\n"}}],'
    b'"created":1795404929,"id":"chatcmpl-Gig","model":"room","system_fingerprint":"b0","object":'
    b'"chat.completion.chunk"}\n\n'
)
_LAST = (
    b'data: {"choices":[],"created":1,"id":"x","model":"room","object":"chat.completion.chunk","usage":'
    b'{"completion_tokens":3,"prompt_tokens":31,"total_tokens":34,"prompt_tokens_details":{"cached_tokens":30}},'
    b'"timings":{"cache_n":30},"__verbose":{"prompt":"secret"},"id_slot":1}\n\n'
)
_CLEAN_LAST = (
    b'data: {"choices":[],"created":1,"id":"x","model":"room","object":"chat.completion.chunk","usage":'
    b'{"completion_tokens":3,"prompt_tokens":31,"total_tokens":34}}\n\n'
)
_STREAM = _CHUNK + b": ping\n\n" + _CHUNK + _LAST + b"data: [DONE]\n\n"
_CLEAN = _CHUNK + _CHUNK + _CLEAN_LAST + b"data: [DONE]\n\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, len(_STREAM)])
def test_a_stream_is_cleaned_however_it_is_cut(size: int) -> None:
    events = EventFilter()
    pieces = [events.feed(_STREAM[at : at + size]) for at in range(0, len(_STREAM), size)]
    events.finish()
    assert b"".join(pieces) == _CLEAN


def test_an_event_with_one_more_field_is_not_taken_for_a_harmless_one() -> None:
    sneaky = _CHUNK.replace(b'"object":', b'"timings":{"cache_n":1},"object":')
    assert b'{"cache_n"' not in EventFilter().feed(sneaky)
    nested = _CHUNK.replace(b'"delta":{', b'"delta":{"__verbose":"p",')
    assert b"__verbose" not in EventFilter().feed(nested)


def test_a_stream_that_ends_inside_an_event_is_no_answer() -> None:
    events = EventFilter()
    events.feed(_CHUNK[:-1])
    with pytest.raises(EngineUnavailableError):
        events.finish()


def test_whole_answers_keep_what_openai_names_and_nothing_else() -> None:
    raw = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "é", "tool_calls": [], "x": 1},
                        "id_slot": 0}], "usage": {"total_tokens": 1, "prompt_tokens_details": {}}, "timings": {},
           "generation_settings": {}, "model": "/proc/self/fd/5"}  # fmt: skip
    cleaned = json.loads(clean_json(json.dumps(raw).encode()))
    assert cleaned["choices"] == [{"index": 0, "message": {"role": "assistant", "content": "é", "tool_calls": []}}]
    assert set(cleaned) == {"choices", "usage", "model"}


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"{", b"\xff"])
def test_what_is_no_answer_is_not_passed_on(raw: bytes) -> None:
    with pytest.raises(EngineUnavailableError):
        clean_json(raw)


def test_only_the_known_mistake_of_a_caller_becomes_400() -> None:
    assert corrected_status(500, b'{"error":{"message":"input (9 tokens) is too large to process"}}') == 400
    assert corrected_status(500, b"{}") == 500


def _sent(path: EnginePath = "/v1/chat/completions", **body: object) -> dict[str, object]:
    request = EngineRequest(path=path, body=body, caller=b"anna", stream=False)
    decoded: dict[str, object] = json.loads(engine_body(request, slot=3, reuse=False))
    return decoded


def test_the_slot_and_the_cache_are_ours_to_write() -> None:
    body = _sent(messages=[], id_slot=0, cache_prompt=True, stream=True, n_cmpl=4, lora=[1], grammar="x", n_keep=-1)
    assert body == {"messages": [], "stream": False, "id_slot": 3, "cache_prompt": False, "n_cmpl": 1}


def test_messages_are_rebuilt_from_known_fields() -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {}}], "prefix": True}
    assert _sent(messages=[message])["messages"] == [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "content-part"),
        ({"messages": [{"role": "user", "content": ["text"]}]}, "content-part"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "http://a"}]}]},
            "remote-image",
        ),
        ({"messages": [], "n": 2}, "many-answers"),
        ({"messages": [], "response_format": {"schema": "x" * 70_000}}, "schema-too-large"),
        ({"messages": [], "temperature": float("nan")}, "body"),
        ({"messages": [], "temperature": {1}}, "body"),
        ({"prompt": ["a", "b"]}, "many-prompts"),
        ({"input": "x", "dimensions": 4}, "dimensions"),
    ],
)
def test_what_would_hurt_or_be_silently_ignored_is_refused(body: dict[str, object], code: str) -> None:
    path: EnginePath = "/v1/chat/completions" if "messages" in body else "/v1/completions"
    with pytest.raises(MisuseError) as refused:
        _sent(path, **body)
    assert refused.value.code == f"engine.{code}"


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.integers(1, 9))
def test_chunks_come_out_as_they_went_in_however_they_are_cut(parts: list[bytes], size: int) -> None:
    framed = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    body = wire.ChunkedBody()
    got = b"".join(body.feed(framed[at : at + size]) for at in range(0, len(framed), size))
    assert (got, body.ended) == (b"".join(parts), True)


@pytest.mark.parametrize("framed", [b"zz\r\n", b"-5\r\nabc", b"1" * 70])
def test_broken_framing_is_an_error(framed: bytes) -> None:
    with pytest.raises(EngineUnavailableError):
        wire.ChunkedBody().feed(framed)


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def _saying(said: bytes, *, hang: bool = False) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        if hang:
            await reader.read()
        writer.close()

    return handle


async def _asked(folder: Path, handler: Handler, *, silence: float = 5) -> bytes:
    path = str(folder / "s")
    server = await asyncio.start_unix_server(handler, path)
    async with server, wire.exchange(path, "POST", "/x", b"{}", silence=silence) as answer:
        content = b""
        while piece := await answer.read():
            content += piece
        return content


async def test_a_whole_answer_arrives(tmp_path: Path) -> None:
    assert await _asked(tmp_path, _saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")) == b"hello"
    assert await _asked(tmp_path, _saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) == b""


@pytest.mark.parametrize(
    "said",
    [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
     b"HTTP/1.1 200 OK\r\n\r\nhello", b"HTTP/1.1 200 OK\r\nContent-Length: -9\r\n\r\nhello",
     b"SPDY\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"x" * 70_000],
)  # fmt: skip
async def test_an_answer_that_is_cut_or_broken_is_never_taken_for_whole(tmp_path: Path, said: bytes) -> None:
    with pytest.raises(EngineUnavailableError):
        await _asked(tmp_path, _saying(said))


async def test_an_engine_that_falls_silent_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailableError) as given_up:
        await _asked(tmp_path, _saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhe", hang=True), silence=0.2)
    assert given_up.value.code == "engine.silent"


async def test_no_engine_is_an_answer_too(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailableError):
        async with wire.exchange(str(tmp_path / "nobody"), "GET", "/health", silence=1):
            pass
