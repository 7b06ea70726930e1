"""What the two `httpx` transports have in common, all of it pure: requests and errors in `httpx`'s words."""

from collections.abc import AsyncIterable, Iterable
from datetime import datetime
from typing import Any, NoReturn

import httpx

from sealroom.client.address import RoomAddress
from sealroom.client.exchange import REQUEST_HEADERS, CutAnswerError, RoomUnavailableError, SealedCall, inner_request
from sealroom.errors import MisuseError, SealroomError, UnavailableError
from sealroom.verifier import AttestedRoom

__all__ = [
    "DEFAULT_TIMEOUT",
    "EVIDENCE_SECONDS",
    "EVIDENCE_TIMEOUT",
    "call_for",
    "check_options",
    "kept_body",
    "outer_request",
    "raise_as_httpx",
    "room_unreachable",
]

DEFAULT_TIMEOUT = httpx.Timeout(600, connect=5)
"""Seconds; the OpenAI client's own default. A model may think for minutes before its first token."""

EVIDENCE_SECONDS = 30.0
"""How long evidence may take, from the question to its last byte."""
EVIDENCE_TIMEOUT = httpx.Timeout(EVIDENCE_SECONDS, connect=5).as_dict()
"""The same for each single wait."""

_OURS = frozenset({"transport", "mounts", "proxy", "proxies", "app", "trust_env", "http1", "http2"})


def raise_as_httpx(error: SealroomError, request: httpx.Request) -> NoReturn:
    """Raise ``error`` itself, or what `httpx` says for what every network does now and then (see `transport`)."""
    if isinstance(error, UnavailableError):
        raise httpx.ConnectError(str(error), request=request) from error
    if isinstance(error, CutAnswerError):
        raise httpx.RemoteProtocolError(str(error), request=request) from error
    raise error


def room_unreachable(error: Exception, address: RoomAddress) -> RoomUnavailableError:
    """Our word for a connection to the room that failed."""
    return RoomUnavailableError(
        "client.room-unreachable",
        "the room can not be reached",
        got=f"{type(error).__name__} at {address.origin}",
        hint="is it running, and is this its address?",
    )


def call_for(
    request: httpx.Request, room: AttestedRoom, *, address: RoomAddress, session_id: bytes, at: datetime
) -> SealedCall:
    """The exchange that carries ``request``."""
    head = inner_request(
        request.method,
        request.url.raw_path.decode("ascii"),
        request.headers.raw,
        authority=address.authority,
        session_id=session_id,
    )
    return SealedCall(room, head, at=at)


def outer_request(
    address: RoomAddress, content: bytes | Iterable[bytes] | AsyncIterable[bytes], like: httpx.Request
) -> httpx.Request:
    """What goes over the wire: nothing of ``like`` but its time-outs is seen outside."""
    timeouts = {"timeout": like.extensions["timeout"]} if "timeout" in like.extensions else {}
    return httpx.Request("POST", address.gateway_url, headers=REQUEST_HEADERS, content=content, extensions=timeouts)


def kept_body(request: httpx.Request) -> bytes | None:
    """The whole body, if it is in memory anyway; then it can be sealed a second time. None for a stream."""
    try:
        return request.content
    except httpx.RequestNotRead:
        return None


def check_options(options: dict[str, Any]) -> None:
    """Raise `MisuseError` for an option of `httpx.Client` that would lead requests past the channel."""
    taken = sorted(_OURS & options.keys())
    if taken:
        raise MisuseError(
            "client.option-not-ours-to-give", "an option would lead requests past the sealed channel",
            got=", ".join(taken), expected="timeout, headers, limits, verify and the like",
        )  # fmt: skip
