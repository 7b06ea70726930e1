"""Fields that chat and text completions share, each decided once.

What is not offered is refused in words; what OpenAI uses for its own accounting is dropped, for we keep none.
"""

from collections.abc import Mapping

from sealroom.gateway.errors import InvalidRequestError
from sealroom.gateway.fields import (
    Rule,
    dropped,
    either,
    flag,
    list_of,
    map_of,
    one_of,
    only,
    real,
    record,
    text,
    whole,
)

__all__ = ["MAX_TOKENS", "SAMPLING_FIELDS", "check_stream_options"]

MAX_TOKENS = whole(1, 1 << 20)
"""The engine stops at its context anyway; the bound keeps absurd numbers out of its arithmetic."""

_SEED = whole(-(1 << 63), (1 << 63) - 1)
_STOP = text(256, shortest=1)
_METADATA = map_of(text(64), text(512), largest=16)


def _seed(value: object, param: str) -> object:
    """OpenAI's 64-bit seed in the 32 bits that engines take; never all ones, which some read as "random"."""
    _SEED(value, param)
    return value % 0xFFFFFFFF if isinstance(value, int) else None


SAMPLING_FIELDS: Mapping[str, Rule] = {
    "model": text(256, shortest=1),
    "stream": flag,
    "stream_options": record({"include_usage": flag, "include_obfuscation": dropped(flag)}),
    "temperature": real(0, 2),
    "top_p": real(0, 1),
    "top_k": whole(0, 1 << 20),
    "min_p": real(0, 1),
    "presence_penalty": real(-2, 2),
    "frequency_penalty": real(-2, 2),
    "logit_bias": map_of(text(10, shortest=1), real(-100, 100), largest=1024),
    "seed": _seed,
    "max_tokens": MAX_TOKENS,
    "stop": either("text or a list of at most 4 texts", as_text=_STOP, as_list=list_of(_STOP, 4)),
    "n": only(1, "one choice an answer, since a second would share the engine's memory with other callers"),
    "user": dropped(text(512)),
    "metadata": dropped(_METADATA),
    "safety_identifier": dropped(text(512)),
    "prompt_cache_key": dropped(text(512)),
    "service_tier": dropped(one_of("auto", "default")),
    "store": only(False, "a room stores nothing"),
}


def check_stream_options(request: Mapping[str, object]) -> None:
    """Raise if ``stream_options`` came without ``stream``, as OpenAI does."""
    if "stream_options" in request and not request.get("stream"):
        raise InvalidRequestError(
            "invalid_value", "'stream_options' is only for 'stream': true.", param="stream_options"
        )
