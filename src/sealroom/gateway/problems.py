"""What is said outside the encryption when something is wrong: constant bytes, whatever the input was.

What the channel refuses is told as spec/channel.md section 9 has it (`sealroom.channel.problems`); the rest is here.
"""

import json
from http import HTTPStatus

from sealroom.channel import PROBLEM_MEDIA_TYPE, Problem, problem_for
from sealroom.errors import SealroomError

__all__ = [
    "BAD_MEDIA_TYPE",
    "BAD_NONCE",
    "BROKEN",
    "TOO_LARGE",
    "TOO_SLOW",
    "UNAVAILABLE",
    "clear_problem",
    "headers_of",
]


def _problem(status: int, code: str, *, retry_after: int | None = None) -> Problem:
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "code": code}
    return Problem(status=status, body=json.dumps(body).encode(), retry_after=retry_after)


BAD_NONCE = _problem(400, "room.bad-nonce")
BAD_MEDIA_TYPE = _problem(415, "gateway.media-type")
TOO_LARGE = _problem(413, "gateway.request-too-large")
TOO_SLOW = _problem(408, "gateway.request-too-slow")
UNAVAILABLE = _problem(503, "room.unavailable", retry_after=1)
BROKEN = _problem(500, "gateway.failed")

_MALFORMED = _problem(400, "channel.malformed")


def clear_problem(error: SealroomError) -> Problem:
    """The answer to a request that can not be opened. A code that the channel does not list tells least of all."""
    return problem_for(error) or _MALFORMED


def headers_of(problem: Problem) -> list[tuple[bytes, bytes]]:
    """The header fields of a problem, inside the encryption or outside."""
    fields = [(b"content-type", PROBLEM_MEDIA_TYPE.encode())]
    if problem.retry_after is not None:
        fields.append((b"retry-after", str(problem.retry_after).encode()))
    return fields
