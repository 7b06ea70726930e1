"""What llama.cpp may be sent: a body rebuilt from an allow-list, with the slot and the cache written by us.

The gateway rebuilds bodies too; this is the engine's own knowledge of what is dangerous in it. Fields outside the
list are dropped (``id_slot``, ``cache_prompt``, ``n_keep``, ``lora``, ``grammar``, ``timings_per_token`` …: each of
them lets a caller steer the server). Values that would be silently ignored, or that reach for the network, are
refused.
"""

import json
from collections.abc import Mapping

from sealroom.engines.base import EnginePath, EngineRequest
from sealroom.errors import MisuseError

__all__ = ["EMBEDDING_WIPE", "WIPE_PATH", "engine_body", "wipe_body"]

_SAMPLING = ("max_tokens", "temperature", "top_p", "stop", "seed", "presence_penalty", "frequency_penalty",
             "logit_bias", "stream_options")  # fmt: skip
_FIELDS: dict[EnginePath, tuple[str, ...]] = {
    "/v1/chat/completions": (*_SAMPLING, "messages", "max_completion_tokens", "logprobs", "top_logprobs",
                             "response_format", "tools", "tool_choice", "parallel_tool_calls"),
    "/v1/completions": (*_SAMPLING, "prompt", "logprobs"),
    "/v1/embeddings": ("input", "encoding_format"),
}  # fmt: skip
_MESSAGE_FIELDS = ("role", "content", "name", "tool_calls", "tool_call_id")
_MOST_GRAMMAR = 1 << 16
"""Bytes of JSON schema and tools: they are compiled to a grammar, whose cost grows with them."""

WIPE_PATH = "/completion"
EMBEDDING_WIPE = b'{"input":"x"}'


def wipe_body(slot: int) -> bytes:
    """A request that leaves one meaningless token in ``slot``. It also waits until the slot is idle."""
    return json.dumps({"prompt": [0], "n_predict": 0, "id_slot": slot, "cache_prompt": False}).encode()


def engine_body(request: EngineRequest, *, slot: int, reuse: bool) -> bytes:
    """The JSON for the engine.

    Args:
        slot: where to run, already leased; always written, because llama.cpp picks a similar one otherwise.
        reuse: whether what the slot holds may be built upon.

    Raises:
        MisuseError: ``engine.remote-image``, ``engine.many-answers`` and the like; 400 to the caller.
    """
    _refuse_what_is_not_served(request)
    body = {name: request.body[name] for name in _FIELDS[request.path] if request.body.get(name) is not None}
    if request.path == "/v1/embeddings":
        return _encoded(body)
    if "messages" in body:
        body["messages"] = _messages(body["messages"])
    body |= {"stream": request.stream, "id_slot": slot, "cache_prompt": reuse, "n_cmpl": 1}
    if not request.stream:
        body.pop("stream_options", None)
    return _encoded(body)


def _refuse_what_is_not_served(request: EngineRequest) -> None:
    body = request.body
    if body.get("n") not in (None, 1):
        # it would run in slots that are leased to others
        raise MisuseError("engine.many-answers", "one answer a request", where="n", got=body.get("n"), expected=1)
    if body.get("dimensions") is not None:
        raise MisuseError("engine.dimensions", "the engine can not shorten embeddings", where="dimensions")
    prompt = body.get("prompt")
    if isinstance(prompt, list) and not all(isinstance(token, int) for token in prompt):
        raise MisuseError("engine.many-prompts", "one prompt a request", where="prompt",
                          hint="send a string, or token numbers")  # fmt: skip
    grammar = sum(len(_encoded(body[name])) for name in ("response_format", "tools") if body.get(name))
    if grammar > _MOST_GRAMMAR:
        raise MisuseError("engine.schema-too-large", "schema and tools are too large", got=f"{grammar} bytes",
                          expected=f"at most {_MOST_GRAMMAR}")  # fmt: skip


def _messages(messages: object) -> list[dict[str, object]]:
    if not isinstance(messages, list) or not all(isinstance(message, Mapping) for message in messages):
        raise MisuseError("engine.messages", "messages is a list of objects", where="messages")
    return [_message(message, f"messages[{index}]") for index, message in enumerate(messages)]


def _message(message: Mapping[str, object], where: str) -> dict[str, object]:
    kept = {name: message[name] for name in _MESSAGE_FIELDS if name in message}
    if isinstance(content := kept.get("content"), list):
        kept["content"] = [_part(part, f"{where}.content[{index}]") for index, part in enumerate(content)]
    return kept


def _part(part: object, where: str) -> dict[str, object]:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if isinstance(part, Mapping) and kind == "text" and isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    if isinstance(part, Mapping) and kind == "image_url":
        return {"type": "image_url", "image_url": {"url": _embedded(part.get("image_url"), where)}}
    raise MisuseError("engine.content-part", "this engine takes text and images", where=where,
                      expected="text or image_url")  # fmt: skip


def _embedded(image: object, where: str) -> str:
    """The engine would fetch any other URL itself, from inside the room."""
    url = image.get("url") if isinstance(image, Mapping) else None
    if not isinstance(url, str) or not url.startswith("data:image/"):
        scheme = url.split(":", 1)[0][:16] if isinstance(url, str) and ":" in url else "no URL"
        raise MisuseError("engine.remote-image", "images come inside the request or not at all", where=where,
                          got=scheme, expected="data:image/…;base64,…", hint="embed the image")  # fmt: skip
    return url


def _encoded(value: object) -> bytes:
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError):
        raise MisuseError("engine.body", "the request body is not JSON") from None
