"""What a refused sender is told (spec/channel.md section 9): a status and a constant object, nothing of the input."""

import json
from dataclasses import dataclass

from sealroom.errors import SealroomError

__all__ = ["DATE_PROBLEM", "KEY_PROBLEM", "PROBLEM_MEDIA_TYPE", "Problem", "problem_for"]

PROBLEM_MEDIA_TYPE = "application/problem+json"
KEY_PROBLEM = "https://iana.org/assignments/http-problem-types#ohttp-key"
"""RFC 9458 section 5.3: fetch the keys (for us: the evidence) anew."""
DATE_PROBLEM = "https://iana.org/assignments/http-problem-types#date"
"""RFC 9458 section 6.5.2."""

_BLANK = "about:blank"
_KNOWN = {
    "channel.unknown-key": (400, KEY_PROBLEM, "the key is not one of this room"),
    "channel.unsupported-suite": (400, KEY_PROBLEM, "the key does not offer these algorithms"),
    "channel.chunk-too-large": (400, _BLANK, "a sealed chunk is too large"),
    "channel.not-authentic": (400, _BLANK, "the request is not authentic"),
    "channel.truncated": (400, _BLANK, "the request was cut"),
    "channel.replayed": (400, _BLANK, "the request was received before"),
    "channel.replay-window-full": (503, _BLANK, "the room has too many exchanges in memory"),
    "channel.date-missing": (400, DATE_PROBLEM, "the request carries no date"),
    "channel.date-outside-window": (400, DATE_PROBLEM, "the date is too far from the room's clock"),
    "channel.bad-message": (400, _BLANK, "the message is no Binary HTTP request"),
    "channel.head-too-large": (400, _BLANK, "the head is too large"),
    "channel.body-too-large": (413, _BLANK, "the content is too large"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An answer of media type application/problem+json."""

    status: int
    body: bytes
    retry_after: int | None = None
    """Seconds, for the Retry-After field."""


def problem_for(error: SealroomError) -> Problem | None:
    """The answer to an exchange that failed with ``error``, or None if that is no refusal of the channel's.

    It goes inside the encryption if `ServerExchange.answerable`, else in clear.
    """
    if error.code not in _KNOWN:
        return None
    status, kind, title = _KNOWN[error.code]
    body = {"type": kind, "title": title, "status": status, "code": error.code}
    return Problem(status=status, body=json.dumps(body).encode(), retry_after=30 if status == 503 else None)
