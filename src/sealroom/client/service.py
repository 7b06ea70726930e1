"""The sealed channel for asyncio programs that stream much: `proxy_app` and whatever sits on a measured path.

The same rules as in `transport`, over aiohttp, which spends half as much on a request as `httpx` does. All errors are
ours; none of aiohttp's leaks.
"""

import logging
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp

from sealroom.channel.messages import ResponseHead
from sealroom.client.address import RoomAddress
from sealroom.client.exchange import (
    OUTER_REFUSAL_LIMIT,
    REQUEST_HEADERS,
    RoomUnavailableError,
    RotatedKeyError,
    SealedCall,
    inner_request,
    is_sealed_answer,
    outer_refusal,
)
from sealroom.client.session import EVIDENCE_HEADERS, Session, check_evidence_answer, evidence_body
from sealroom.client.verification_service import SharedVerification
from sealroom.collateral.bundle import MAX_BUNDLE_SIZE
from sealroom.errors import MisuseError
from sealroom.verifier import AttestedRoom

__all__ = ["OpenAnswer", "RoomService", "UserRequest"]

_log = logging.getLogger("sealroom.client")

_EVIDENCE_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=5)
_EXCHANGE_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=600)
_FAILURES = (aiohttp.ClientError, TimeoutError, OSError)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRequest:
    """What the user's program asked. The body is content, so no repr shows it."""

    method: str
    target: str
    """Path and query."""
    headers: Iterable[tuple[bytes, bytes]] = field(repr=False)
    body: bytes = field(repr=False)


class OpenAnswer:
    """An answer whose status and headers are authentic, and whose body is being read."""

    def __init__(self, call: SealedCall, outer: aiohttp.ClientResponse) -> None:
        self._call = call
        self._outer = outer
        self._first = b""

    @property
    def room(self) -> AttestedRoom:
        """Whom the exchange is sealed to."""
        return self._call.room

    @property
    def head(self) -> ResponseHead:
        """Status and headers."""
        if self._call.head is None:
            raise MisuseError("client.no-head-yet", "the answer has not begun")
        return self._call.head

    async def wait_for_head(self) -> None:
        """Read until status and headers are authentic. Called by `RoomService`.

        Raises:
            SealroomError: there is no answer, or it is not authentic.
        """
        if not is_sealed_answer(self._outer.status, self._outer.headers.get("content-type")):
            try:
                refusal = await _read_at_most(self._outer, OUTER_REFUSAL_LIMIT)
            except _FAILURES:
                refusal = b""
            raise outer_refusal(self._outer.status, self._outer.headers, refusal)
        while self._call.head is None:
            self._first = await self._next()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body. Reaching the end without an error means that it is whole.

        Raises:
            CutAnswerError: the connection ended before the answer did.
            UnverifiedError, MalformedError: somebody changed it.
        """
        if self._first:
            yield self._first
        while not self._call.over:
            if piece := await self._next():
                yield piece

    def close(self) -> None:
        """End the exchange. A connection that still carries the answer is closed, which the gateway notices."""
        if self._call.over:
            self._outer.release()
        else:
            self._outer.close()

    async def _next(self) -> bytes:
        try:
            data = await self._outer.content.readany()
        except _FAILURES:
            return self._call.end_of_input(broken_off=True)
        return self._call.receive(data) if data else self._call.end_of_input()


class RoomService:
    """One room, many concurrent exchanges. Use it as an async context manager, in one event loop.

    Args:
        address: of the room.
        session: the policy, and what was proved under it.
    """

    def __init__(self, address: RoomAddress, session: Session) -> None:
        self.address = address
        self._session = session
        self._session_id = secrets.token_bytes(32)
        self._verification = SharedVerification(session, self._fetch_evidence)
        self._outer: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "RoomService":
        # No proxy from the environment, no cookies, no redirects: the bytes go to the room or nowhere.
        self._outer = aiohttp.ClientSession(
            trust_env=False,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(limit=0),
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._outer is not None:
            await self._outer.close()
        self._outer = None

    async def verify(self) -> AttestedRoom:
        """The room as proved, verified now unless the key in hand is fresh. One verification at a time.

        Raises:
            SealroomError: why there is no key; nothing but evidence has been asked for.
        """
        return await self._verification.room()

    @asynccontextmanager
    async def open(self, request: UserRequest) -> AsyncIterator[OpenAnswer]:
        """Seal ``request`` and open its answer. Leaving the context early closes the exchange.

        Verifies anew and sends once more if the room's key has changed since.

        Raises:
            SealroomError: of any family; see `exchange`.
        """
        room = await self.verify()
        try:
            answer = await self._exchange(request, room)
        except RotatedKeyError:
            self._session.drop(room)
            _log.info("the room's key has changed; verifying anew")
            answer = await self._exchange(request, await self.verify())
        try:
            yield answer
        finally:
            answer.close()

    async def _fetch_evidence(self, nonce: bytes) -> bytes:
        url = self.address.evidence_url(nonce)
        try:
            async with self._open_session().get(
                url, allow_redirects=False, timeout=_EVIDENCE_TIMEOUT, headers=EVIDENCE_HEADERS
            ) as response:
                check_evidence_answer(response.status, response.headers.get("content-type"))
                body = await _read_at_most(response, MAX_BUNDLE_SIZE)
                return evidence_body(body, response.headers.get("content-encoding"))
        except _FAILURES as error:
            raise self._unreachable(error) from error

    async def _exchange(self, request: UserRequest, room: AttestedRoom) -> OpenAnswer:
        head = inner_request(
            request.method,
            request.target,
            request.headers,
            authority=self.address.authority,
            session_id=self._session_id,
        )
        call = SealedCall(room, head, at=_now())
        try:
            outer = await self._open_session().post(
                self.address.gateway_url,
                data=call.whole(request.body),
                headers=REQUEST_HEADERS,
                allow_redirects=False,
                timeout=_EXCHANGE_TIMEOUT,
            )
        except _FAILURES as error:
            raise self._unreachable(error) from error
        answer = OpenAnswer(call, outer)
        try:
            await answer.wait_for_head()
        except BaseException:
            answer.close()
            raise
        return answer

    def _open_session(self) -> aiohttp.ClientSession:
        if self._outer is None:
            raise MisuseError("client.not-open", "the service of a room is used outside of its `async with`")
        return self._outer

    def _unreachable(self, error: Exception) -> RoomUnavailableError:
        return RoomUnavailableError(
            "client.room-unreachable",
            "the room can not be reached",
            got=f"{type(error).__name__} at {self.address.origin}",
            hint="is it running, and is this its address?",
        )


async def _read_at_most(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body up to ``limit`` bytes and a little more; the rest stays unread."""
    found = bytearray()
    while len(found) <= limit and (piece := await response.content.readany()):
        found += piece
    return bytes(found)


def _now() -> datetime:
    return datetime.now(UTC)
