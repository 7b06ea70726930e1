"""One sealed exchange: what a caller gets, and what everybody else does not."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from gateway_harness import Caller, Connection, Gateway, chat, make_gateway, until

from sealroom.channel import RequestHead
from sealroom.errors import UnverifiedError
from sealroom.testing.stub_engine import StubEngine

SESSION = (b"content-type", b"application/json"), (b"sealroom-session", b"ab" * 32)


async def test_a_chat_is_answered_whole(gateway: Gateway) -> None:
    answer = await gateway.ask(chat())
    assert answer.status == 200
    assert answer.authentic_end
    assert answer.headers == {b"content-type": b"application/json"}
    assert answer.json["choices"][0]["message"]["content"] == "The quiet room answers."


async def test_a_stream_comes_piece_by_piece_and_ends_authentically(gateway: Gateway) -> None:
    caller = gateway.caller()
    connection = await gateway.post(caller.seal(chat(stream=True)))
    answer = caller.open(connection.body)
    events = [line.removeprefix("data: ") for line in answer.body.decode().split("\n\n") if line]
    text = "".join(json.loads(event)["choices"][0]["delta"].get("content", "") for event in events[:-1])
    assert text == "The quiet room answers."
    assert events[-1] == "[DONE]"
    assert answer.authentic_end
    assert connection.headers[b"incremental"] == b"?1"
    assert len(connection.sent) > 5, "every piece of the engine is flushed on its own"


async def test_the_other_endpoints_answer_too(gateway: Gateway) -> None:
    completion = await gateway.ask({"model": "small", "prompt": "p"}, path="/v1/completions")
    embedding = await gateway.ask({"model": "small", "input": "p"}, path="/v1/embeddings")
    models = await gateway.ask(b"", path="/v1/models", method="GET", headers=())
    assert completion.json["choices"][0]["text"]
    assert embedding.json["data"][0]["embedding"]
    assert models.json["data"][0]["id"] == "small"


async def test_only_the_rebuilt_body_reaches_the_engine_and_no_header(gateway: Gateway) -> None:
    headers = (*SESSION, (b"x-conversation-id", b"MARK"), (b"authorization", b"Bearer MARK"), (b"cookie", b"MARK"))
    await gateway.ask(chat(user="MARK", temperature=0), headers=headers)
    (request,) = gateway.engine.requests
    assert request.body == {**chat(), "temperature": 0}
    assert request.path == "/v1/chat/completions"
    assert "MARK" not in repr([getattr(request, name) for name in request.__slots__])


async def test_a_callers_id_is_opaque_stable_and_dies_with_the_room(gateway: Gateway) -> None:
    await gateway.ask(chat(), headers=SESSION)
    await gateway.ask(chat(), headers=SESSION)
    await gateway.ask(chat())
    other_room = await make_gateway()
    await other_room.ask(chat(), headers=SESSION)
    first, second, anonymous = (request.caller for request in gateway.engine.requests)
    assert first == second
    assert anonymous is None
    assert first is not None
    assert first not in (b"ab" * 32, b"\xab" * 32)
    assert first != other_room.engine.requests[0].caller


@pytest.mark.parametrize("value", [b"", b"ab", b"AB" * 32, b"zz" * 32])
async def test_a_session_that_is_no_secret_is_refused(gateway: Gateway, value: bytes) -> None:
    answer = await gateway.ask(chat(), headers=((b"sealroom-session", value),))
    assert answer.error["code"] == "invalid_session"
    assert gateway.engine.requests == []


async def test_a_refusal_is_sealed_and_in_openais_shape(gateway: Gateway) -> None:
    caller = gateway.caller()
    connection = await gateway.post(caller.seal(chat(id_slot=1)))
    assert connection.status == 200
    assert b"id_slot" not in connection.body
    answer = caller.open(connection.body)
    assert answer.status == 400
    assert answer.error == {"message": "Unknown parameter: 'id_slot'.", "type": "invalid_request_error",
                            "param": "id_slot", "code": "unknown_parameter"}  # fmt: skip


async def test_the_second_caller_sees_nothing_of_the_first(gateway: Gateway) -> None:
    first, second = gateway.caller(), gateway.caller()
    one = await gateway.post(first.seal(chat("FIRST")))
    two = await gateway.post(second.seal(chat("SECOND")))
    assert b"FIRST" not in two.body
    opener = second.exchange.response()
    assert opener.receive(one.body) == []
    with pytest.raises(UnverifiedError, match="authentic"):
        opener.end_of_input()


async def test_a_replayed_request_is_refused_and_the_engine_sees_it_once(gateway: Gateway) -> None:
    sealed = gateway.caller().seal(chat())
    await gateway.post(sealed)
    again = await gateway.post(sealed)
    assert again.status == 400
    assert b"channel.replayed" in again.body
    assert len(gateway.engine.requests) == 1


async def test_a_request_cut_anywhere_is_never_executed(gateway: Gateway) -> None:
    sealed = gateway.caller().seal(chat("x" * 40_000))
    for cut in (0, 1, 7, 500, 1127, 1128, len(sealed) // 2, len(sealed) - 1):
        connection = await gateway.post(sealed[:cut])
        assert connection.status == 400
    assert gateway.engine.requests == []


async def test_a_request_cut_at_a_chunk_border_is_never_executed(gateway: Gateway) -> None:
    caller = gateway.caller()
    pieces = list(caller.exchange.request(RequestHead(method="POST", path="/v1/chat/completions"),
                                          json.dumps(chat("x" * 40_000)).encode()))  # fmt: skip
    connection = await gateway.post(b"".join(pieces[:-1]))
    assert b"channel.truncated" in connection.body
    assert gateway.engine.requests == []


async def test_a_caller_who_leaves_in_the_middle_of_the_request_leaves_nothing(gateway: Gateway) -> None:
    connection, task = gateway.connect()
    connection.arrive(gateway.caller().seal(chat())[:1500], more=True)
    connection.leave()
    await asyncio.wait_for(task, 20)
    assert connection.sent == []
    assert gateway.engine.requests == []


async def test_every_way_of_being_undecryptable_is_told_alike(gateway: Gateway) -> None:
    told = set()
    for place in (8, 400, 1120, 1140, 2000, -1):  # encapsulated key, ciphertext, tag
        sealed = bytearray(gateway.caller().seal(chat()))
        sealed[place] ^= 1
        connection = await gateway.post(bytes(sealed))
        told.add((connection.status, connection.body))
    assert len(told) == 1
    assert gateway.engine.requests == []


async def test_an_unknown_key_is_told_so_that_the_client_verifies_anew(gateway: Gateway) -> None:
    other = await make_gateway()
    later = other.room.keys.current.born + timedelta(hours=2)
    other.room.keys.rotate(later)
    connection = await gateway.post(Caller(other.room.keys.key_configs).seal(chat()))
    assert connection.status == 400
    assert json.loads(connection.body)["type"] == "https://iana.org/assignments/http-problem-types#ohttp-key"


async def test_old_keys_are_opened_during_the_overlap_and_not_after(gateway: Gateway) -> None:
    keys = gateway.room.keys
    old, born = keys.key_configs, keys.current.born
    keys.rotate(born + timedelta(hours=2))
    assert keys.key_configs != old
    assert (await gateway.post(Caller(old).seal(chat()))).status == 200
    assert (await gateway.ask(chat())).status == 200
    keys.rotate(born + timedelta(hours=3))
    connection = await gateway.post(Caller(old).seal(chat()))
    assert b"channel.unknown-key" in connection.body


@pytest.mark.parametrize("minutes", [-2, 2])
async def test_a_request_of_another_time_is_refused_inside(gateway: Gateway, minutes: int) -> None:
    caller = gateway.caller(at=datetime.now(UTC) + timedelta(minutes=minutes))
    connection = await gateway.post(caller.seal(chat()))
    assert b"date" not in connection.body
    assert caller.open(connection.body).json["code"] == "channel.date-outside-window"
    assert gateway.engine.requests == []


async def test_an_oversized_request_is_refused_before_it_is_held() -> None:
    gateway = await make_gateway(request_bytes=4096)
    connection = await gateway.post(gateway.caller().seal(chat("x" * 8000)))
    assert connection.status == 413
    assert gateway.engine.requests == []


async def test_an_oversized_body_or_head_inside_is_refused_inside() -> None:
    gateway = await make_gateway(inner_body_bytes=1000, inner_header_bytes=2000, inner_headers=5)
    for sealed_with in (
        {"body": chat("x" * 2000)},
        {"body": chat(), "headers": ((b"x", b"y" * 3000),)},
        {"body": chat(), "headers": tuple((b"x-%d" % n, b"y") for n in range(9))},
    ):
        caller = gateway.caller()
        connection = await gateway.post(caller.seal(**sealed_with))  # type: ignore[arg-type]
        assert connection.status == 200
        assert caller.open(connection.body).status in (400, 413)
    assert gateway.engine.requests == []


async def test_a_slow_sender_is_cut_off() -> None:
    gateway = await make_gateway(request_seconds=0.05)
    connection, task = gateway.connect()
    connection.arrive(gateway.caller().seal(chat())[:1300], more=True)
    await asyncio.wait_for(task, 20)
    assert connection.status == 408
    assert gateway.engine.requests == []


async def asking(gateway: Gateway) -> tuple[Caller, Connection, "asyncio.Task[None]"]:
    caller = gateway.caller()
    connection, task = gateway.connect()
    connection.arrive(caller.seal(chat(stream=True)))
    return caller, connection, task


async def test_a_full_queue_turns_callers_away_inside_with_an_advice() -> None:
    gateway = await make_gateway(StubEngine(interval=600), concurrency=1, queue=1)
    first = await asking(gateway)
    await until(lambda: gateway.engine.running == 1)
    second = await asking(gateway)
    await asyncio.sleep(0.05)
    answer = await gateway.ask(chat())
    assert answer.status == 429
    assert answer.error["code"] == "rate_limit_exceeded"
    assert int(answer.headers[b"retry-after"]) >= 1
    for _, connection, task in (second, first):
        connection.leave()
        await asyncio.wait_for(task, 20)
    assert len(gateway.engine.requests) == 1, "who left the queue was never asked for"


async def test_a_caller_who_leaves_takes_the_question_back_from_the_engine() -> None:
    gateway = await make_gateway(StubEngine(["one ", "two ", "never"], interval=0.01))
    gateway.engine._interval = 600
    _, connection, task = await asking(gateway)
    await until(lambda: gateway.engine.running == 1)
    connection.leave()
    await asyncio.wait_for(task, 20)
    assert (gateway.engine.running, gateway.engine.cancelled) == (0, 1)
    gateway.engine._interval = 0
    assert (await gateway.ask(chat())).status == 200, "and the place is free again"


async def test_an_engine_that_is_down_is_told_at_once_with_an_advice(gateway: Gateway) -> None:
    gateway.engine.fail(retry_after=7)
    answer = await gateway.ask(chat())
    assert answer.status == 503
    assert answer.headers[b"retry-after"] == b"7"
    assert answer.error["code"] == "engine_unavailable"
    assert (await gateway.ask(b"", path="/v1/models", method="GET")).status == 200


async def test_an_engine_that_dies_in_the_middle_leaves_the_answer_without_its_end() -> None:
    gateway = await make_gateway(StubEngine(["one "] * 1000, interval=0.001))
    caller, connection, task = await asking(gateway)
    await until(lambda: len(connection.sent) > 3)
    gateway.engine.fail()
    await asyncio.wait_for(task, 20)
    answer = caller.open(connection.body)
    assert not answer.authentic_end
    assert b'"engine_unavailable"' in answer.body.split(b"\n\n")[-2]
    assert gateway.engine.running == 0


async def test_an_engine_that_dies_before_its_first_word_is_told_by_a_status() -> None:
    gateway = await make_gateway(StubEngine(interval=0.05))
    caller, connection, task = await asking(gateway)
    await until(lambda: gateway.engine.running == 1)
    gateway.engine.fail()
    await asyncio.wait_for(task, 20)
    answer = caller.open(connection.body)
    assert (answer.status, answer.authentic_end) == (503, True)


async def test_a_silent_engine_does_not_hold_a_caller_for_ever() -> None:
    gateway = await make_gateway(StubEngine(interval=600), idle_seconds=0.05)
    for stream in (True, False):
        answer = await gateway.ask(chat(stream=stream))
        assert answer.status == 503
    assert gateway.engine.running == 0


async def test_a_caller_who_does_not_read_does_not_hold_the_engine() -> None:
    gateway = await make_gateway(StubEngine(["word "] * 10), idle_seconds=0.1)
    _, connection, task = await asking(gateway)
    await until(lambda: connection.sent)
    connection.reading.clear()
    await asyncio.wait_for(task, 20)
    assert gateway.engine.running == 0
    assert not connection.complete


async def test_an_answer_has_a_total_time() -> None:
    gateway = await make_gateway(StubEngine(["word "] * 100_000, interval=0.001), total_seconds=0.2)
    caller, connection, task = await asking(gateway)
    await asyncio.wait_for(task, 20)
    assert not caller.open(connection.body).authentic_end
    assert gateway.engine.running == 0


async def test_a_whole_request_of_rfc_9458_is_answered_in_kind(gateway: Gateway) -> None:
    from sealroom.channel import Form
    from sealroom.channel.binary_http_encode import encode_content_chunk, encode_end, encode_head
    from sealroom.channel.key_config import choose_config, parse_key_configs
    from sealroom.channel.ohttp import open_response, seal_request
    from sealroom.channel.replay import format_date

    configs = parse_key_configs(gateway.room.keys.key_configs)
    config, suite = choose_config(configs, insecure_without_post_quantum=False)
    date = (b"date", format_date(datetime.now(UTC)))
    listing = RequestHead(method="GET", path="/v1/models", headers=(date,))
    talk = RequestHead(method="POST", path="/v1/chat/completions", headers=(date,))
    body = json.dumps(chat(stream=True)).encode()
    for message, expected in (
        (encode_head(listing) + encode_end(), b'"small"'),
        (encode_head(talk) + encode_content_chunk(body) + encode_end(), b"[DONE]"),
    ):
        sealed, secret = seal_request(config, suite, message)
        connection = await gateway.post(sealed, content_type=Form.WHOLE.request_media_type.encode())
        assert connection.headers[b"content-type"] == b"message/ohttp-res"
        assert expected in open_response(secret, connection.body)
