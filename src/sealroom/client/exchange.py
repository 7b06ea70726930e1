"""One request of the user, as one exchange: what is posted to the room, and what its answer means.

Library-independent and without I/O: `transport` drives it with httpx, `service` with aiohttp. Outside the encryption
stand the address of the gateway and a padded length; method, path, headers and body travel inside.

**Which answers count.** Only what comes out of the encryption is an answer. Whatever a gateway, a relay or an enemy
says outside is a reason to fail, in one of three ways: the key is unknown there (`RotatedKeyError`: verify anew,
once), the room can not be reached now (`RoomUnavailableError`), or it is no answer at all (`UnverifiedError`).
"""

import json
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from datetime import datetime

from sealroom.channel.client_exchange import REQUEST_MEDIA_TYPE, RESPONSE_MEDIA_TYPE, ClientExchange
from sealroom.channel.messages import Data, Event, RequestHead, ResponseHead
from sealroom.channel.problems import KEY_PROBLEM, PROBLEM_MEDIA_TYPE
from sealroom.errors import UnavailableError, UnverifiedError
from sealroom.verifier import AttestedRoom

__all__ = [
    "OUTER_REFUSAL_LIMIT",
    "REQUEST_HEADERS",
    "CutAnswerError",
    "RoomUnavailableError",
    "RotatedKeyError",
    "SealedCall",
    "inner_request",
    "is_sealed_answer",
    "outer_refusal",
]

REQUEST_HEADERS = {
    "content-type": REQUEST_MEDIA_TYPE,
    "accept": RESPONSE_MEDIA_TYPE,
    "incremental": "?1",
}
"""What stands outside a request. ``Incremental`` (RFC 10036) asks intermediaries not to gather the body first."""

OUTER_REFUSAL_LIMIT = 16 * 1024
"""Bytes that are read of an answer that is not sealed: enough for a problem type, useless for anything else."""

_TRUNCATED = "channel.truncated"
_STAYS_OUTSIDE = frozenset(
    {
        # hop by hop (RFC 9110 section 7.6.1)
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade", "expect",
        # framed by the exchange itself
        "host", "content-length", "date",
        # a compressed answer's length tells about its content, and costs the first token time
        "accept-encoding",
        # ours to set
        "sealroom-session",
    }
)  # fmt: skip


class RoomUnavailableError(UnavailableError):
    """The room does not answer now. `retry_after` is in seconds, where somebody named a time (unauthenticated)."""

    def __init__(
        self, code: str, message: str, *, got: str, hint: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(code, message, got=got, hint=hint)
        self.retry_after = retry_after


class RotatedKeyError(UnverifiedError):
    """The gateway does not know the key that the request was sealed to, so nobody has read it."""


class CutAnswerError(UnverifiedError):
    """The connection ended before the answer did. Networks do that, and so does who wants to hide the end."""

    def __init__(self) -> None:
        super().__init__(
            "client.cut-answer", "the answer was cut off: its authenticated end is missing",
            hint="ask again; nothing of a cut answer is to be taken for the whole",
        )  # fmt: skip


def inner_request(
    method: str, target: str, headers: Iterable[tuple[bytes, bytes]], *, authority: str, session_id: bytes
) -> RequestHead:
    """The head that travels inside.

    Args:
        method: of the user's request.
        target: path and query of the user's request. Its host is the business of nobody and is left behind.
        headers: of the user's request; hop-by-hop ones and those that `ClientExchange` sets are dropped.
        authority: of the room.
        session_id: 32 random bytes of this client, under which the room may keep the caller's own prompt cache.
    """
    kept = [(name.lower(), value) for name, value in headers]
    dropped = _STAYS_OUTSIDE | _named_by_connection(kept)
    inner = [(name, value) for name, value in kept if name.decode("latin-1") not in dropped]
    inner.append((b"sealroom-session", session_id.hex().encode()))
    return RequestHead(method=method, scheme="https", authority=authority, path=target, headers=tuple(inner))


def is_sealed_answer(status: int, media_type: str | None) -> bool:
    """Whether what follows is the sealed answer, going by what stands outside."""
    return status == 200 and _plain(media_type) == RESPONSE_MEDIA_TYPE


def outer_refusal(
    status: int, headers: Mapping[str, str], body: bytes
) -> RotatedKeyError | RoomUnavailableError | UnverifiedError:
    """What an answer that is not sealed amounts to.

    Args:
        status: of the outer answer.
        headers: of the outer answer, names in lower case or case-insensitive.
        body: of the outer answer, the first `OUTER_REFUSAL_LIMIT` bytes. Never shown: anybody may have written it.
    """
    media_type = _plain(headers.get("content-type"))
    if media_type == PROBLEM_MEDIA_TYPE and _problem_type(body) == KEY_PROBLEM:
        return RotatedKeyError(
            "client.rotated-key", "the room does not know the key that it proved before", got=f"status {status}",
            hint="it has been restarted, or another machine answers at its address; verify it anew",
        )  # fmt: skip
    if status == 429 or status >= 500:
        return RoomUnavailableError(
            "client.room-unavailable", "the room did not take the request", got=f"status {status}",
            retry_after=_seconds(headers.get("retry-after")),
        )  # fmt: skip
    return UnverifiedError(
        "client.unsealed-answer", "the answer is not sealed, so nobody knows whose it is",
        got=f"status {status}, {media_type or 'no media type'}", expected=f"status 200, {RESPONSE_MEDIA_TYPE}",
        hint="something between here and the room answers in its place, or the clocks differ by more than a minute",
    )  # fmt: skip


class SealedCall:
    """One exchange with one verified room: request bytes out, answer bytes in.

    Attributes:
        room: whom it is sealed to; what was proved about the one who can read it.
        head: status and headers of the answer, as soon as they are authentic.
        over: whether the authenticated end has been seen.
    """

    def __init__(self, room: AttestedRoom, head: RequestHead, *, at: datetime) -> None:
        self.room = room
        self.head: ResponseHead | None = None
        self.over = False
        self._exchange = ClientExchange(room.key, at=at)
        self._start = self._exchange.start(head)
        self._opener = self._exchange.response()

    def whole(self, body: bytes) -> bytes:
        """The request for a body that is all there."""
        return b"".join(self.stream((body,)))

    def stream(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The request for a body that comes in pieces."""
        yield self._start
        for piece in pieces:
            if sealed := self._exchange.feed(piece):
                yield sealed
        yield self._exchange.finish()

    async def astream(self, pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        """The same for a body that is waited for."""
        yield self._start
        async for piece in pieces:
            if sealed := self._exchange.feed(piece):
                yield sealed
        yield self._exchange.finish()

    def receive(self, data: bytes) -> bytes:
        """What of the answer's body ``data`` makes authentic; sets `head` on the way.

        Raises:
            MalformedError, UnverifiedError: it is not the answer to this request, in order.
        """
        return self._body_of(self._opener.receive(data))

    def end_of_input(self, *, broken_off: bool = False) -> bytes:
        """Say that the connection has no more; the last of the body. After it the answer is whole.

        Args:
            broken_off: whether the connection failed, and did not just end.

        Raises:
            CutAnswerError: it ended before the answer did.
            MalformedError, UnverifiedError: it is not the answer to this request, in order.
        """
        try:
            events = self._opener.end_of_input()
        except UnverifiedError as error:
            if broken_off or error.code == _TRUNCATED:
                raise CutAnswerError() from error
            raise
        self.over = True
        return self._body_of(events)

    def _body_of(self, events: list[Event]) -> bytes:
        body = [event.data for event in events if isinstance(event, Data)]
        for event in events:
            if isinstance(event, ResponseHead):
                self.head = event
        return body[0] if len(body) == 1 else b"".join(body)


def _named_by_connection(headers: list[tuple[bytes, bytes]]) -> frozenset[str]:
    """Names that a ``Connection`` header declares hop by hop, too."""
    values = b",".join(value for name, value in headers if name == b"connection").decode("latin-1")
    return frozenset(part.strip().lower() for part in values.split(","))


def _plain(media_type: str | None) -> str:
    return (media_type or "").partition(";")[0].strip().lower()


def _problem_type(body: bytes) -> str | None:
    try:
        problem = json.loads(body)
    except (ValueError, RecursionError):
        return None
    kind = problem.get("type") if isinstance(problem, dict) else None
    return kind if isinstance(kind, str) else None


def _seconds(retry_after: str | None) -> float | None:
    return float(retry_after) if retry_after is not None and retry_after.isascii() and retry_after.isdigit() else None
