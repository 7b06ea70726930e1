"""Answers on their way to the caller, before they are sealed: heads, whole answers, and refusals of the engine."""

import json
from dataclasses import dataclass, field

from sealroom.channel import Fields, Problem, ResponseHead
from sealroom.gateway.errors import ApiError
from sealroom.gateway.problems import headers_of

__all__ = ["ENGINE_REFUSAL_BYTES", "EVENT_STREAM", "WholeAnswer", "engine_refusal", "event_stream_head"]

EVENT_STREAM = "text/event-stream"
ENGINE_REFUSAL_BYTES = 64 * 1024
"""As much as is read of an engine's refusal."""

_JSON: Fields = ((b"content-type", b"application/json"),)
_CODES = {400: "invalid_request", 404: "not_found", 413: "request_too_large", 422: "invalid_request"}
_LONGEST_MESSAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeAnswer:
    """An answer that is all there."""

    head: ResponseHead
    body: bytes = field(repr=False)

    @classmethod
    def of_json(cls, body: bytes) -> "WholeAnswer":
        """Status 200 and a JSON document."""
        return cls(head=ResponseHead(status=200, headers=_JSON), body=body)

    @classmethod
    def of_error(cls, error: ApiError) -> "WholeAnswer":
        """A refusal in OpenAI's shape."""
        return cls(head=ResponseHead(status=error.status, headers=error.headers()), body=error.body())

    @classmethod
    def of_problem(cls, problem: Problem) -> "WholeAnswer":
        """A refusal of the channel that goes inside the encryption."""
        return cls(head=ResponseHead(status=problem.status, headers=tuple(headers_of(problem))), body=problem.body)


def event_stream_head() -> ResponseHead:
    """The head of a streamed answer; the engine's own fields are not passed on."""
    return ResponseHead(
        status=200, headers=((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store"))
    )


def engine_refusal(status: int, body: bytes) -> ApiError:
    """An engine's refusal in our shape: a fault of the request with the engine's words, its own without."""
    if not 400 <= status < 500:
        return ApiError(status=502, type="server_error", code="engine_failed", message="the engine failed")
    code = _CODES.get(status, "invalid_request")
    shown = status if status in _CODES else 400
    return ApiError(status=shown, type="invalid_request_error", code=code, message=_message_of(body))


def _message_of(body: bytes) -> str:
    try:
        message = json.loads(body)["error"]["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        message = None
    if not isinstance(message, str):
        return "the engine refused the request"
    return message[:_LONGEST_MESSAGE].encode("utf-8", "replace").decode()
