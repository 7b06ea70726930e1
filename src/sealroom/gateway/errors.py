"""How the gateway says no: inside the encryption in OpenAI's shape, outside it in a few constant sentences.

Inside, the caller has proved that it holds the request, so an answer may name the field that was wrong. Outside,
anybody may be asking: the bytes depend on nothing but the kind of refusal, so that they tell an attacker nothing.
"""

import json
import math
from dataclasses import dataclass
from typing import ClassVar

from sealroom.engines.base import EngineUnavailableError
from sealroom.errors import MisuseError, SealroomError, UnavailableError

__all__ = ["ApiError", "BusyError", "InvalidRequestError", "api_error"]


class InvalidRequestError(MisuseError):
    """The opened request is not one that we answer. ``param`` is the field, as OpenAI names it."""

    def __init__(self, code: str, message: str, *, param: str | None = None, status: int = 400) -> None:
        super().__init__(code, message, where=param)
        self.param = param
        self.status = status


class BusyError(UnavailableError):
    """Every slot is taken and so is every place in the queue, or the wait was too long."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__("gateway.busy", message, hint="ask again after Retry-After seconds")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiError:
    """A refusal as an OpenAI client reads it: a status, and one JSON object."""

    INTERNAL_CODE: ClassVar[str] = "internal_error"

    status: int
    type: str
    code: str
    message: str
    param: str | None = None
    retry_after: float | None = None

    def body(self) -> bytes:
        """The JSON object."""
        return json.dumps({"error": self.fields()}, separators=(",", ":")).encode()

    def event(self) -> bytes:
        """The same as a server-sent event, for a stream that has begun: the client's SDK raises on it."""
        return b"data: " + self.body() + b"\n\n"

    def fields(self) -> dict[str, str | None]:
        """OpenAI's four fields."""
        return {"message": self.message, "type": self.type, "param": self.param, "code": self.code}

    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """The inner header fields that go with it."""
        fields = ((b"content-type", b"application/json"),)
        if self.retry_after is None:
            return fields
        return (*fields, (b"retry-after", str(max(1, math.ceil(self.retry_after))).encode()))


def api_error(error: SealroomError) -> ApiError:
    """``error`` for the caller whose request met it. Only what the caller did itself is told in detail."""
    if isinstance(error, InvalidRequestError):
        return ApiError(status=error.status, type="invalid_request_error", code=error.code, message=error.message,
                        param=error.param)  # fmt: skip
    if isinstance(error, BusyError):
        return ApiError(status=429, type="rate_limit_error", code="rate_limit_exceeded", message=error.message,
                        retry_after=error.retry_after)  # fmt: skip
    if isinstance(error, EngineUnavailableError):
        return ApiError(status=503, type="server_error", code="engine_unavailable",
                        message="the model is not being served at this moment",
                        retry_after=error.retry_after)  # fmt: skip
    if isinstance(error, UnavailableError):
        return ApiError(status=503, type="server_error", code="unavailable", message="the room can not answer now",
                        retry_after=1.0)  # fmt: skip
    if isinstance(error, MisuseError):
        return ApiError(status=400, type="invalid_request_error", code="unsupported_request",
                        message="the engine of this room does not take such a request")  # fmt: skip
    return internal_error()


def internal_error() -> ApiError:
    """What a caller is told of a fault of ours: nothing but that it was one."""
    return ApiError(status=500, type="server_error", code=ApiError.INTERNAL_CODE, message="the room failed")
