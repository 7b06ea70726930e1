"""``POST /v1/completions``: what a request may hold, and what the engine is given of it."""

from collections.abc import Mapping

from sealroom.gateway.fields import Rule, either, list_of, only, record, refused, text, whole
from sealroom.gateway.sampling import SAMPLING_FIELDS, check_stream_options

__all__ = ["COMPLETION_FIELDS", "completion_request"]

_PROMPT = either("text, or a list of one text", as_text=text(), as_list=list_of(text(), 1, shortest=1))

COMPLETION_FIELDS: Mapping[str, Rule] = {
    **SAMPLING_FIELDS,
    "prompt": _PROMPT,
    "logprobs": whole(0, 5),
    "echo": only(False, "the prompt is not sent back"),
    "best_of": only(1, "one choice an answer, since a second would share the engine's memory with other callers"),
    "suffix": refused("filling in the middle is not offered"),
}

_COMPLETION = record(COMPLETION_FIELDS, required=("model", "prompt"))


def completion_request(body: dict[str, object]) -> dict[str, object]:
    """The request as the engine may have it: one prompt, as text.

    Raises:
        InvalidRequestError: with the field that is unknown, missing, wrong or not offered.
    """
    request = _COMPLETION(body, "")
    check_stream_options(request)
    if isinstance(prompts := request["prompt"], list):
        request["prompt"] = prompts[0]
    return request
