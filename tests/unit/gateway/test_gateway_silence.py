"""No log, at the noisiest level of every logger, holds a prompt, an answer or a session; and the wire is real."""

import asyncio
import base64
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from gateway_harness import Gateway, chat, make_gateway, until

from sealroom.gateway.transport import GatewayServer
from sealroom.testing.stub_engine import StubEngine

MARK = "xyzzy-MARKED-plugh"
SESSION = (b"sealroom-session", b"5e" * 32)


@pytest.fixture
def everything_logged() -> Iterator[list[str]]:
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage() + str(record.args) + (self.format(record) if record.exc_info else ""))

    names = ["", "uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "asyncio", "aiohttp", "aiohttp.access",
             "httpx", "sealroom", "sealroom.gateway", "sealroom.room", "sealroom.channel"]  # fmt: skip
    keep = Keep(level=1)
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(1)
    logging.getLogger().addHandler(keep)
    yield lines
    logging.getLogger().removeHandler(keep)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


@contextlib.asynccontextmanager
async def on_the_wire(gateway: Gateway) -> AsyncIterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = GatewayServer(gateway.app, gateway.room.limits, drain_seconds=2)
    task = asyncio.create_task(server.serve_on(listener))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.stop()
        await task


def assert_unmarked(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert lines, "the capture itself works"
    for secret in (MARK, base64.b64encode(MARK.encode()).decode(), MARK.encode().hex(), "5e" * 32):
        assert secret not in text


HEADERS = {"content-type": "message/ohttp-chunked-req"}


async def test_prompts_answers_and_sessions_are_in_no_log(everything_logged: list[str]) -> None:
    asyncio.get_running_loop().set_debug(True)
    gateway = await make_gateway(StubEngine([MARK, " ", MARK]))
    async with on_the_wire(gateway) as url, aiohttp.ClientSession(headers=HEADERS) as http:
        for body in (chat(MARK), chat(MARK, stream=True), chat(MARK, **{MARK: MARK}), {"model": MARK, "prompt": MARK},
                     MARK.encode(), chat(MARK, temperature=MARK)):  # fmt: skip
            caller = gateway.caller()
            sealed = caller.seal(body, headers=(SESSION, (b"authorization", MARK.encode())))
            async with http.post(url + "/.well-known/ohttp-gateway", data=sealed) as response:
                assert response.status == 200
                caller.open(await response.read())
        gateway.engine.fail()
        async with http.post(url + "/.well-known/ohttp-gateway", data=gateway.caller().seal(chat(MARK))) as response:
            await response.read()
        async with http.get(url + "/" + MARK, headers={MARK: MARK}) as response:
            assert response.status == 404
    assert_unmarked(everything_logged)


async def test_a_fault_that_quotes_the_prompt_is_logged_without_it(
    everything_logged: list[str],
) -> None:
    gateway = await make_gateway()

    def quoting(request: object) -> object:
        raise RuntimeError(f"could not parse {MARK}")

    gateway.engine.open = quoting  # type: ignore[method-assign, assignment]
    answer = await gateway.ask(chat(MARK))
    assert (answer.status, answer.error["code"]) == (500, "internal_error")
    assert MARK not in answer.body.decode()
    assert_unmarked(everything_logged)
    assert any("RuntimeError" in line for line in everything_logged)


async def test_a_caller_who_hangs_up_stops_the_engine(everything_logged: list[str]) -> None:
    gateway = await make_gateway(StubEngine([MARK] * 100_000, interval=0.001))
    async with on_the_wire(gateway) as url, aiohttp.ClientSession(headers=HEADERS) as http:
        response = await http.post(
            url + "/.well-known/ohttp-gateway", data=gateway.caller().seal(chat(MARK, stream=True))
        )
        await response.content.readany()
        assert gateway.engine.running == 1
        response.close()
        await until(lambda: gateway.engine.running == 0)
    assert gateway.engine.cancelled == 1
    assert_unmarked(everything_logged)


async def test_pieces_arrive_as_they_are_made_not_at_the_end() -> None:
    gateway = await make_gateway(StubEngine(["one", "two"], interval=0.2))
    async with on_the_wire(gateway) as url, aiohttp.ClientSession(headers=HEADERS) as http:
        sealed = gateway.caller().seal(chat(stream=True))
        async with http.post(url + "/.well-known/ohttp-gateway", data=sealed) as response:
            first = await response.content.readany()
            assert gateway.engine.running == 1, "the engine still works while the first piece is here"
            assert first


def test_what_holds_content_or_keys_does_not_show_it() -> None:
    from sealroom.channel import RequestHead
    from sealroom.gateway.answers import WholeAnswer
    from sealroom.gateway.callers import CallerIds
    from sealroom.gateway.intake_service import OpenedRequest
    from sealroom.gateway.routes import Question

    head = RequestHead(method="POST", path="/" + MARK, headers=((b"x", MARK.encode()),))
    shown = repr([
        OpenedRequest(head=head, body=MARK.encode()),
        Question(path="/v1/completions", body={"prompt": MARK}, stream=False),
        WholeAnswer.of_json(MARK.encode()),
        CallerIds(),
    ])  # fmt: skip
    assert MARK not in shown
