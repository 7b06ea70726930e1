"""``POST /v1/chat/completions``: what a request may hold, and what the engine is given of it."""

from collections.abc import Mapping

from sealroom.gateway.errors import InvalidRequestError
from sealroom.gateway.fields import (
    Rule,
    dropped,
    either,
    flag,
    json_object,
    list_of,
    one_of,
    only,
    record,
    refused,
    text,
    whole,
)
from sealroom.gateway.sampling import MAX_TOKENS, SAMPLING_FIELDS, check_stream_options

__all__ = ["CHAT_FIELDS", "chat_request"]

SCHEMA_BYTES = 64 * 1024
_NAME = text(64, shortest=1)
_SCHEMA = json_object(SCHEMA_BYTES)


_TEXT_PART = record({"type": one_of("text"), "text": text()}, required=("type", "text"))
_NO_PICTURES = refused("this room takes text only")


def _content_part(value: object, param: str) -> object:
    """Text. A picture would make the engine fetch an address that the caller chose."""
    if isinstance(value, dict) and value.get("type") in ("image_url", "input_audio", "file", "video_url"):
        return _NO_PICTURES(value, f"{param}.type={value['type']}")
    return _TEXT_PART(value, param)


_FUNCTION_CALL = record({"name": _NAME, "arguments": text()}, required=("name", "arguments"))
_TOOL_CALL = record(
    {
        "id": text(128, shortest=1),
        "type": one_of("function"),
        "function": _FUNCTION_CALL,
        "index": dropped(whole(0, 128)),
    },
    required=("id", "type", "function"),
)
_MESSAGE = record(
    {
        "role": one_of("system", "developer", "user", "assistant", "tool"),
        "content": either("text or a list of text parts", as_text=text(), as_list=list_of(_content_part, 256)),
        "name": _NAME,
        "tool_calls": list_of(_TOOL_CALL, 128),
        "tool_call_id": text(128, shortest=1),
        # An answer is often sent back as it came, with all of its fields.
        "refusal": dropped(text()),
        "annotations": dropped(list_of(json_object(4096), 128)),
        "reasoning_content": dropped(text()),
        "audio": refused("this room takes text only"),
        "function_call": refused("use tool_calls"),
    },
    required=("role",),
)
_FUNCTION = record(
    {"name": _NAME, "description": text(16_384), "parameters": _SCHEMA, "strict": flag}, required=("name",)
)
_TOOL = record({"type": one_of("function"), "function": _FUNCTION}, required=("type", "function"))
_CHOSEN_TOOL = record(
    {"type": one_of("function"), "function": record({"name": _NAME}, required=("name",))},
    required=("type", "function"),
)
_JSON_SCHEMA = record(
    {"name": _NAME, "description": text(16_384), "schema": _SCHEMA, "strict": flag}, required=("name", "schema")
)
_RESPONSE_FORMAT = record(
    {"type": one_of("text", "json_object", "json_schema"), "json_schema": _JSON_SCHEMA}, required=("type",)
)

CHAT_FIELDS: Mapping[str, Rule] = {
    **SAMPLING_FIELDS,
    "messages": list_of(_MESSAGE, 4096, shortest=1),
    "max_completion_tokens": MAX_TOKENS,
    "logprobs": flag,
    "top_logprobs": whole(0, 20),
    "response_format": _RESPONSE_FORMAT,
    "tools": list_of(_TOOL, 128),
    "tool_choice": either("'none', 'auto', 'required' or a function", as_text=one_of("none", "auto", "required"),
                          as_object=_CHOSEN_TOOL),
    "parallel_tool_calls": flag,
    "modalities": only(["text"], "this room answers in text"),
    "audio": refused("this room answers in text"),
    "functions": refused("use tools"),
    "function_call": refused("use tool_choice"),
    "web_search_options": refused("a room reaches nothing outside itself"),
    "prediction": refused("not offered"),
}  # fmt: skip

_CHAT = record(CHAT_FIELDS, required=("model", "messages"))


def chat_request(body: dict[str, object]) -> dict[str, object]:
    """The request as the engine may have it.

    Raises:
        InvalidRequestError: with the field that is unknown, missing, wrong or not offered.
    """
    request = _CHAT(body, "")
    _check_combinations(request)
    if (most := request.pop("max_completion_tokens", None)) is not None:
        request["max_tokens"] = most  # the newer name, under which not every engine knows it
    return request


def _check_combinations(request: dict[str, object]) -> None:
    check_stream_options(request)
    if "top_logprobs" in request and not request.get("logprobs"):
        raise InvalidRequestError("invalid_value", "'top_logprobs' needs 'logprobs': true.", param="top_logprobs")
    if "tool_choice" in request and not request.get("tools") and request["tool_choice"] != "none":
        raise InvalidRequestError("invalid_value", "'tool_choice' needs 'tools'.", param="tool_choice")
    form = request.get("response_format")
    if isinstance(form, dict) and (form["type"] == "json_schema") is not ("json_schema" in form):
        raise InvalidRequestError(
            "invalid_value", "'json_schema' goes with 'type': 'json_schema'.", param="response_format.json_schema"
        )
