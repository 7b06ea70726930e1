"""What llama.cpp may say to a caller: an allow-list over its JSON, so that a field nobody thought of stays inside.

Its answers tell more than the answer: timings and ``cached_tokens`` show whether a prompt was seen before,
``id_slot`` and ``generation_settings`` how the room is run, ``__verbose`` the whole prompt.

A stream is hundreds of small events and all but the first and last have one shape. An event that matches that shape
byte for byte has nothing to take out and passes as it is; every other one is parsed and rebuilt.
"""

import json
import re
from collections.abc import Callable, Mapping

from sealroom.engines.base import EngineUnavailableError

__all__ = ["EventFilter", "clean_json", "corrected_status"]

_TEXT = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_PLAIN = rb'"[^"\\]*"'
_STAMP = rb'"created":\d+,'
_CHAT = (
    rb'\{"choices":\[\{"finish_reason":null,"index":\d+,"delta":\{"content":' + _TEXT + rb"\}\}\]," + _STAMP
    + rb'"id":' + _PLAIN + rb',"model":' + _PLAIN + rb',"system_fingerprint":' + _PLAIN
    + rb',"object":"chat\.completion\.chunk"\}'
)  # fmt: skip
_COMPLETION = (
    rb'\{"choices":\[\{"text":' + _TEXT + rb',"index":\d+,"logprobs":null,"finish_reason":null\}\],' + _STAMP
    + rb'"model":' + _PLAIN + rb',"system_fingerprint":' + _PLAIN + rb',"object":"text_completion","id":' + _PLAIN
    + rb"\}"
)  # fmt: skip
_HARMLESS = re.compile(rb"data: (?:" + _CHAT + rb"|" + _COMPLETION + rb"|\[DONE\])\n\n", re.DOTALL)
_SEPARATOR = b"\n\n"
_LONGEST_EVENT = 1 << 22

Rebuild = Callable[[object], object]


def _whole(value: object) -> object:
    return value


def _each(rebuild: Rebuild) -> Rebuild:
    return lambda value: [rebuild(item) for item in value] if isinstance(value, list) else None


def _only(fields: Mapping[str, Rebuild]) -> Rebuild:
    def rebuild(value: object) -> object:
        if not isinstance(value, dict):
            return None
        return {name: fields[name](inner) for name, inner in value.items() if name in fields}

    return rebuild


def _keep(*names: str) -> dict[str, Rebuild]:
    return dict.fromkeys(names, _whole)


_MESSAGE = _only(_keep("role", "content", "tool_calls", "refusal", "reasoning_content"))
_CHOICE = _only(_keep("index", "finish_reason", "text", "logprobs") | {"message": _MESSAGE, "delta": _MESSAGE})
_ANSWER = _only(
    _keep("id", "object", "created", "model", "system_fingerprint")
    | {
        "choices": _each(_CHOICE),
        "usage": _only(_keep("prompt_tokens", "completion_tokens", "total_tokens")),
        "data": _each(_only(_keep("object", "index", "embedding"))),
        "error": _only(_keep("message", "type", "code", "param", "n_prompt_tokens", "n_ctx")),
    }
)


def clean_json(raw: bytes) -> bytes:
    """The answer's JSON with nothing but what a caller may see."""
    try:
        value = json.loads(raw)
    except ValueError:
        raise _unreadable() from None
    if not isinstance(value, dict):
        raise _unreadable()
    return json.dumps(_ANSWER(value), separators=(",", ":"), ensure_ascii=False).encode()


def corrected_status(status: int, raw: bytes) -> int:
    """The status that the caller should see: an input too long to embed is a mistake of theirs, not of the engine."""
    return 400 if status == 500 and b"is too large to process" in raw else status


class EventFilter:
    """Server-sent events in, the same events with nothing but what a caller may see out."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return the events that ``data`` completes, cleaned; comments and other fields are left out."""
        if not self._rest and _HARMLESS.fullmatch(data):  # by far the most: one event, whole
            return data
        *events, self._rest = (self._rest + data).split(_SEPARATOR)
        if len(self._rest) > _LONGEST_EVENT:
            raise _unreadable()
        return b"".join([_clean_event(event.lstrip(b"\n") + _SEPARATOR) for event in events])

    def finish(self) -> None:
        """Check that the stream ended between two events."""
        if self._rest.strip():
            raise _unreadable()


def _clean_event(event: bytes) -> bytes:
    if _HARMLESS.fullmatch(event):
        return event
    if not event.startswith(b"data: "):
        return b""
    return b"data: " + clean_json(event[6:]) + _SEPARATOR


def _unreadable() -> EngineUnavailableError:
    return EngineUnavailableError("engine.broken-answer", "the engine's answer is not what it should be",
                                  retry_after=1.0)  # fmt: skip
