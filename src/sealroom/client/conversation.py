"""A conversation with a model, over any `httpx.Client` that reaches an OpenAI endpoint. It lives in memory only."""

import json
from collections.abc import Generator, Iterator

import httpx

from sealroom.client.sse import EventReader
from sealroom.errors import MalformedError, UnavailableError

__all__ = ["Conversation", "first_model", "printable", "text_of_event"]

_FAILED = 400


class Conversation:
    """What was said so far, and the next question."""

    def __init__(self, client: httpx.Client, model: str) -> None:
        self._client = client
        self._model = model
        self._said: list[dict[str, str]] = []

    def forget(self) -> None:
        """Begin anew."""
        self._said.clear()

    def ask(self, question: str) -> Generator[str]:
        """The answer, piece by piece. Closing the iterator stops it; what came until then is remembered.

        Raises:
            UnavailableError: the endpoint says no for now.
            MalformedError: what it says is no answer.
            SealroomError, httpx.TransportError: see `sealroom.client.transport`.
        """
        asked = {"role": "user", "content": question}
        answer: list[str] = []
        body = {"model": self._model, "messages": [*self._said, asked], "stream": True}
        try:
            with self._client.stream("POST", "/v1/chat/completions", json=body) as response:
                _check(response)
                for text in _contents(response):
                    answer.append(text)
                    yield text
        finally:
            if answer:
                self._said += [asked, {"role": "assistant", "content": "".join(answer)}]


def first_model(client: httpx.Client) -> str:
    """The name of the model that the endpoint serves.

    Raises:
        UnavailableError, MalformedError: it names none.
        SealroomError, httpx.TransportError: see `sealroom.client.transport`.
    """
    response = client.get("/v1/models")
    _check(response)
    try:
        return str(response.json()["data"][0]["id"])
    except (ValueError, LookupError, TypeError):
        raise MalformedError("chat.no-model", "the endpoint names no model", where="/v1/models") from None


def printable(text: str) -> str:
    """``text`` without control characters: a model's words must not move the cursor or set the window's title."""
    return "".join(letter for letter in text if letter in "\n\t" or letter.isprintable())


def _contents(response: httpx.Response) -> Iterator[str]:
    reader = EventReader()
    for piece in response.iter_bytes():
        for data in reader.receive(piece):
            if data != "[DONE]" and (text := text_of_event(data)):
                yield text


def text_of_event(data: str) -> str:
    """The words that one event of a streamed chat completion adds; empty where it adds none.

    Raises:
        UnavailableError: the event says that the answer broke off.
        MalformedError: it is no part of an answer.
    """
    try:
        event = json.loads(data)
        if "error" in event:
            raise UnavailableError("chat.broken-answer", "the answer broke off", got=str(event["error"]["message"]))
        choices = event["choices"]
        return str(choices[0]["delta"].get("content") or "") if choices else ""
    except (ValueError, LookupError, TypeError, AttributeError):
        raise MalformedError("chat.bad-event", "the endpoint sent an event that is no part of an answer") from None


def _check(response: httpx.Response) -> None:
    if response.status_code < _FAILED:
        return
    try:
        error = json.loads(response.read())["error"]
        words, code = str(error["message"]), error.get("code")
    except (ValueError, LookupError, TypeError, AttributeError):
        words, code = "no reason given", None
    raise UnavailableError("chat.refused", "the endpoint did not answer", got=f"status {response.status_code}"
                           + (f", {code}" if code else "") + f": {printable(words)}")  # fmt: skip
