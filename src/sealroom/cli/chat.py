"""``sealroom chat``: verify a room, show what was proved, talk. Nothing that is said is written to disk."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

import sealroom
from sealroom.client.address import RoomAddress
from sealroom.client.conversation import Conversation, first_model, printable
from sealroom.client.httpx_words import DEFAULT_TIMEOUT
from sealroom.client.proof import proof_of
from sealroom.client.proxy_app import PROOF_PATH
from sealroom.client.proxy_rules import names_loopback
from sealroom.embedded.state import State, default_state_folder
from sealroom.errors import MisuseError, SealroomError, UnavailableError

__all__ = ["chat", "register"]

Proof = dict[str, Any]

_PROOF_MEMBERS = {"room", "policy", "appraisal", "statement", "valid_until"}
_HELP = "/proof shows what was proved, /new begins anew, /quit ends; Ctrl-C stops an answer"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("chat")(chat)


def chat(
    *,
    room: Annotated[str | None, typer.Option(help="Origin of the room: https://host[:port].")] = None,
    policy: Annotated[Path | None, typer.Option(help="Policy that the room has to meet.")] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="A local endpoint (`sealroom proxy`, `sealroom up`) instead of a room.")
    ] = None,
) -> None:
    """Verify a room, show what was proved, talk. Without options: with the running `sealroom up`."""
    with contextlib.ExitStack() as stack:
        line = _open_line(room, policy, endpoint, stack)
        _say(_render(line.proof()))
        with _spoken_errors():
            model = first_model(line.client)
        _say(f"talking to {printable(model)}   {_HELP}")
        _talk(Conversation(line.client, model), line)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """How the room is reached, and who says what was proved about it."""

    client: httpx.Client
    proof: Callable[[], Proof]


def _open_line(room: str | None, policy: Path | None, endpoint: str | None, stack: contextlib.ExitStack) -> _Line:
    if endpoint is not None and (room is not None or policy is not None):
        raise MisuseError("chat.two-ways", "give --room and --policy, or --endpoint, or none of them")
    if room is None and policy is None:
        return _line_to_endpoint(endpoint or _running_endpoint(), stack)
    if room is None or policy is None:
        raise MisuseError("chat.half-a-room", "--room and --policy belong together")
    client = stack.enter_context(sealroom.httpx_client(room=room, policy=policy))
    address = RoomAddress.parse(room)
    _say(f"verifying {address.origin} …")
    return _Line(client=client, proof=lambda: proof_of(client.verify(), address))


def _line_to_endpoint(endpoint: str, stack: contextlib.ExitStack) -> _Line:
    origin = endpoint.rstrip("/").removesuffix("/v1")
    if not names_loopback(origin):
        raise MisuseError("chat.not-loopback", "a local endpoint is on this machine", got=origin,
                          expected="http://127.0.0.1:PORT", hint="for a room elsewhere: --room URL --policy FILE",
                          )  # fmt: skip
    client = stack.enter_context(httpx.Client(base_url=origin, trust_env=False, timeout=DEFAULT_TIMEOUT))

    def proof() -> Proof:
        with _spoken_errors():
            return _proof_in(client.get(PROOF_PATH), origin)

    return _Line(client=client, proof=proof)


def _proof_in(answer: httpx.Response, origin: str) -> Proof:
    """What an endpoint says was proved; its own error, if it says one; or that this is no endpoint of ours."""
    found = answer.json()
    if answer.status_code == HTTPStatus.OK and isinstance(found, dict) and found.keys() >= _PROOF_MEMBERS:
        return found
    got = f"status {answer.status_code}"
    with contextlib.suppress(LookupError, TypeError):
        got = printable(str(found["error"]["message"]))
    raise UnavailableError("chat.no-proof", "the endpoint has no proof to show", where=origin, got=got,
                           hint="is this the address of `sealroom proxy` or `sealroom up`?")  # fmt: skip


def _running_endpoint() -> str:
    path = State(default_state_folder()).endpoint
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["endpoint"])
    except (OSError, ValueError, LookupError, TypeError):
        raise UnavailableError(
            "chat.nothing-running", "no running system is known here", where=str(path),
            hint="start one with `sealroom up`, or say --room URL --policy FILE",
        ) from None  # fmt: skip


def _talk(conversation: Conversation, line: _Line) -> None:
    while (words := _read_line()) is not None:
        match words.strip():
            case "":
                continue
            case "/quit":
                return
            case "/new":
                conversation.forget()
                _say("forgotten; a new conversation")
            case "/proof":
                _try(lambda: _say(_render(line.proof())))
            case command if command.startswith("/"):
                _say(_HELP)
            case question:
                _try(lambda: _answer(conversation, question))


def _answer(conversation: Conversation, question: str) -> None:
    """Print the answer as it comes. Ctrl-C closes the exchange, which stops the work in the room."""
    with _spoken_errors(), contextlib.closing(conversation.ask(question)) as pieces:
        try:
            for text in pieces:
                _out(printable(text))
        except KeyboardInterrupt:
            _say(" … stopped")
        finally:
            _out("\n")


def _try(action: Callable[[], None]) -> None:
    """An error ends an answer, not the conversation; the next request verifies anew if it has to."""
    try:
        action()
    except SealroomError as error:
        _say(error.diagnostics())


@contextlib.contextmanager
def _spoken_errors() -> Iterator[None]:
    """Turn what `httpx` raises into our words."""
    try:
        yield
    except (httpx.HTTPError, ValueError) as error:
        ours = sealroom.reason(error)
        raise ours or UnavailableError(
            "chat.not-reached", "the endpoint did not answer", got=type(error).__name__, hint="is it still running?"
        ) from error


def _read_line() -> str | None:
    """The next line, or None at the end of the input. Ctrl-C drops a line that is being typed."""
    if not sys.stdin.isatty():
        return sys.stdin.readline() or None
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401, PLC0415 - gives input() its line editing; its history stays in memory
    try:
        return input("> ")
    except EOFError:
        _say("")  # the shell's next prompt gets its own line
        return None
    except KeyboardInterrupt:
        _say("")
        return "\n"


def _render(proof: Proof) -> str:
    """What was proved, as a tree. The words may come from an endpoint, so none may move the cursor."""
    appraisal, statement = proof["appraisal"], proof["statement"]
    verdict = "meets" if appraisal["accepted"] else "does NOT meet"
    lines = [f"{proof['room']} {verdict} policy {proof['policy']['name']!r}, until {proof['valid_until']}"]
    if appraisal["simulated"]:
        lines.append("  SIMULATED hardware: nothing here is protected from the machine's owner")
    lines += [f"  {_word(check):<13}{check['check']}: {check['got']}" for check in appraisal["checks"]]
    lines.append(
        f"  model        {statement['model_name']} {statement['model_version']}, {statement['model_digest']}"
    )
    lines.append(f"  engine       {statement['engine_name']} {statement['engine_version']}")
    return printable("\n".join(lines))


def _word(check: dict[str, Any]) -> str:
    if not check["passed"]:
        return "REFUSED"
    return "not checked" if check["code"] == "policy.unchecked" else "ok"


def _out(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
