"""``sealroom up``: the whole system on this machine, on simulated hardware."""

import asyncio
import contextlib
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from sealroom.cli.progress import Steps
from sealroom.cli.proxy import listen_at
from sealroom.cli.spoken import program
from sealroom.client.address import RoomAddress
from sealroom.client.conversation import printable, text_of_event
from sealroom.client.policy_store import read_policy
from sealroom.client.proxy_app import PROOF_PATH, serve_proxy
from sealroom.client.service import OpenAnswer, RoomService, UserRequest
from sealroom.client.session import Session
from sealroom.client.sse import EventReader
from sealroom.embedded.state import State, default_state_folder
from sealroom.embedded.system import EmbeddedSystem, embedded_system
from sealroom.embedded.timeline import Timeline
from sealroom.errors import MisuseError, UnavailableError
from sealroom.policy import appraisal_as_dict, render_appraisal
from sealroom.testing.machines import DEFAULT_KIND, WAYS, kind_named
from sealroom.verifier import AttestedRoom

__all__ = ["register", "up", "words_to_chat"]

_DEFAULT_PORT = 8642
_HELP_PORT = "Port of the local OpenAI endpoint; 0 takes a free one."


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("up")(up)


def up(
    *,
    model: Annotated[Path | None, typer.Option(help="A GGUF file; the demonstration model if not given.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help=_HELP_PORT)] = _DEFAULT_PORT,
    prompt: Annotated[str | None, typer.Option(help="Ask this once, print the answer, end.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer to --prompt, in tokens.")] = 128,
    state: Annotated[
        Path | None, typer.Option(help="Folder for what it keeps; $SEALROOM_STATE if not given.")
    ] = None,
    simulate: Annotated[str, typer.Option(metavar="KIND", help=f"What machine: {WAYS}.")] = DEFAULT_KIND,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Start everything on this machine, on SIMULATED hardware.

    A key broker, a room and a local OpenAI endpoint; Ctrl-C ends all of it.
    """
    if prompt is not None and not prompt.strip():
        raise MisuseError("up.empty-prompt", "the prompt is empty", hint='sealroom up --prompt "your question"')
    kind_named(simulate)
    wish = _Wish(model=model, kind=simulate, port=port, prompt=prompt, max_tokens=max_tokens, as_json=as_json)
    place = State(state or default_state_folder())
    with place.locked(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_told(wish, place))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What the command line asks for."""

    model: Path | None
    kind: str
    port: int
    prompt: str | None = field(repr=False)
    max_tokens: int
    as_json: bool


async def _until_told(wish: _Wish, state: State) -> None:
    """Run until done, or until a signal; either way everything that was started is stopped, in order."""
    served = asyncio.Event()
    work = asyncio.ensure_future(_run(wish, state, served))
    told: list[int] = []

    def stop(number: int) -> None:
        told.append(number)
        work.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    try:
        await work
    except asyncio.CancelledError:
        _say("stopped; nothing is left running")
        if not served.is_set():
            raise typer.Exit(128 + told[0] if told else 130) from None


async def _run(wish: _Wish, state: State, served: asyncio.Event) -> None:
    timeline = Timeline()
    with Steps() as steps:
        listener = listen_at("127.0.0.1", wish.port) if wish.prompt is None else None
        async with embedded_system(state, model=wish.model, kind=wish.kind, tell=steps, timeline=timeline) as system:
            steps.begin("verify", "verifying the room as a caller")
            async with RoomService(RoomAddress.parse(system.room_url), _session(system)) as service:
                proved = await service.verify()
                timeline.mark("caller_verification")
                steps.done("verify", "the room proved what it is")
                steps.close()
                if listener is None:
                    await _ask_once(wish, service, proved, timeline)
                else:
                    served.set()  # from here on, to be told to stop is how it ends well
                    await _serve(wish, system, service, proved, listener)


def _session(system: EmbeddedSystem) -> Session:
    return Session(read_policy(system.policy_file))


async def _serve(
    wish: _Wish, system: EmbeddedSystem, service: RoomService, proved: AttestedRoom, listener: socket.socket
) -> None:
    endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
    facts = {"endpoint": f"{endpoint}/v1", "room": system.room_url, "policy": str(system.policy_file)}
    _say("\n" + render_appraisal(proved.appraisal))
    _say(_how_to_talk(endpoint, proved.statement.model_name, system))
    if wish.as_json:
        print(json.dumps({**facts, **_proved(proved)}), flush=True)  # noqa: T201 - data
    async with _announced(system.state, facts):
        serving = asyncio.create_task(serve_proxy(service, listener))
        watching = asyncio.create_task(system.watch())
        try:
            done, _ = await asyncio.wait({serving, watching}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (serving, watching):
                task.cancel()
            await asyncio.gather(serving, watching, return_exceptions=True)


async def _ask_once(wish: _Wish, service: RoomService, proved: AttestedRoom, timeline: Timeline) -> None:
    if not wish.as_json:
        _say("\n" + render_appraisal(proved.appraisal))
    answer = ""
    async for words in _answer(wish, service, proved.statement.model_name):
        timeline.mark("first_token")
        answer += words
        if not wish.as_json:
            print(printable(words), end="", flush=True)  # noqa: T201 - data
    timeline.mark("last_token")
    if wish.as_json:
        result = {"answer": answer, **_proved(proved), "timeline_ms": timeline.as_dict()}
        print(json.dumps(result))  # noqa: T201 - data
    else:
        print()  # noqa: T201
        _say("\n" + "   ".join(f"{name} {ms / 1000:.2f} s" for name, ms in timeline.as_dict().items()))


def _proved(proved: AttestedRoom) -> dict[str, Any]:
    return {
        "appraisal": appraisal_as_dict(proved.appraisal),
        "model_digest": f"sha256:{proved.statement.model_digest.hex()}",
    }


async def _answer(wish: _Wish, service: RoomService, model: str) -> AsyncIterator[str]:
    """The words of the answer as they come."""
    question = {
        "model": model,
        "messages": [{"role": "user", "content": wish.prompt}],
        "max_tokens": wish.max_tokens,
        "stream": True,
    }
    request = UserRequest(
        method="POST",
        target="/v1/chat/completions",
        headers=((b"content-type", b"application/json"),),
        body=json.dumps(question).encode(),
    )
    async with service.open(request) as answer:
        await _require_success(answer)
        reader = EventReader()
        async for piece in answer.pieces():
            for data in reader.receive(piece):
                if data != "[DONE]" and (words := text_of_event(data)):
                    yield words


async def _require_success(answer: OpenAnswer) -> None:
    status = answer.head.status
    if status == 200:
        return
    body = b"".join([piece async for piece in answer.pieces()])
    with contextlib.suppress(ValueError, LookupError, TypeError):
        body = str(json.loads(body)["error"]["message"]).encode()
    got = f"{status}: {printable(body.decode(errors='replace')[:200])}"
    if 400 <= status < 500 and status != 429:
        raise MisuseError("up.not-accepted", "the room does not take this question", got=got)
    raise UnavailableError("up.no-answer", "the room did not answer", got=got)


@asynccontextmanager
async def _announced(state: State, facts: dict[str, str]) -> AsyncIterator[None]:
    """While it runs, `sealroom chat` finds it by this file."""
    state.endpoint.write_text(json.dumps(facts))
    try:
        yield
    finally:
        state.endpoint.unlink(missing_ok=True)


def words_to_chat(endpoint: str, state: State) -> str:
    """What follows ``sealroom``: by itself ``chat`` looks into the usual folder alone."""
    return "chat" if state == State(default_state_folder()) else f"chat --endpoint {endpoint}"


def _how_to_talk(endpoint: str, model: str, system: EmbeddedSystem) -> str:
    sealroom = program()
    return f"""\
model     {model}, version {system.sealed.version}, sha256:{system.sealed.model_digest}
endpoint  {endpoint}/v1      what was proved: {endpoint}{PROOF_PATH}
room      {system.room_url}
policy    {system.policy_file}

talk to it
  {sealroom} {words_to_chat(endpoint, system.state)}
  curl {endpoint}/v1/chat/completions -H 'content-type: application/json' \\
       -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
  python  openai.OpenAI(base_url="{endpoint}/v1", api_key="unused")
  without the endpoint, sealed in your own process:
          openai.OpenAI(base_url="{system.room_url}/v1", api_key="unused",
                        http_client=sealroom.httpx_client(room="{system.room_url}", policy="{system.policy_file}"))

see it resist    {sealroom} attack
Ctrl-C ends everything"""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the command line's own voice
