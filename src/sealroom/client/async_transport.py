"""`httpx` over the sealed channel, for asyncio and trio. What a caller meets is described in `transport`."""

import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import anyio
import httpx

from sealroom.channel.messages import ResponseHead
from sealroom.client.address import RoomAddress
from sealroom.client.exchange import OUTER_REFUSAL_LIMIT, RotatedKeyError, SealedCall, is_sealed_answer, outer_refusal
from sealroom.client.httpx_words import (
    EVIDENCE_SECONDS,
    EVIDENCE_TIMEOUT,
    call_for,
    kept_body,
    outer_request,
    raise_as_httpx,
    room_unreachable,
)
from sealroom.client.session import (
    EVIDENCE_HEADERS,
    Session,
    check_evidence_answer,
    evidence_body,
)
from sealroom.client.verification_service import SharedVerification
from sealroom.collateral.bundle import MAX_BUNDLE_SIZE
from sealroom.errors import MisuseError, SealroomError
from sealroom.verifier import AttestedRoom

__all__ = ["AsyncSealedClient", "AsyncSealedTransport"]

_log = logging.getLogger("sealroom.client")


class AsyncSealedTransport(httpx.AsyncBaseTransport):
    """Seals each request to the room; shared by tasks.

    Args:
        address: of the room.
        session: the policy, and what was proved under it.
        outer: carries the sealed bytes; sees an address and lengths.
    """

    def __init__(self, address: RoomAddress, session: Session, outer: httpx.AsyncBaseTransport) -> None:
        self._address = address
        self._session = session
        self._outer = outer
        self._verification = SharedVerification(session, self._fetch_evidence)
        self._session_id = secrets.token_bytes(32)

    async def verify(self) -> AttestedRoom:
        """The room as proved, verified now unless the key in hand is fresh. One verification at a time.

        Raises:
            SealroomError: why there is no key; nothing but evidence has been asked for.
        """
        return await self._verification.room()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Seal, send, open; verify anew and send once more if the room's key has changed since."""
        try:
            room = await self.verify()
            try:
                return await self._exchange(request, room)
            except RotatedKeyError:
                self._session.drop(room)
                if kept_body(request) is None:
                    raise  # the body was a stream, and it is gone
                _log.info("the room's key has changed; verifying anew")
                return await self._exchange(request, await self.verify())
        except SealroomError as error:
            raise_as_httpx(error, request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._outer.aclose()

    async def _fetch_evidence(self, nonce: bytes) -> bytes:
        try:
            with anyio.fail_after(EVIDENCE_SECONDS):
                return await self._ask_for_evidence(nonce)
        except TimeoutError as error:
            raise room_unreachable(error, self._address) from error

    async def _ask_for_evidence(self, nonce: bytes) -> bytes:
        request = httpx.Request("GET", self._address.evidence_url(nonce), headers=EVIDENCE_HEADERS,
                                extensions={"timeout": EVIDENCE_TIMEOUT})  # fmt: skip
        try:
            response = await self._outer.handle_async_request(request)
            try:
                check_evidence_answer(response.status_code, response.headers.get("content-type"))
                body = await _read_at_most(response, MAX_BUNDLE_SIZE)
                return evidence_body(body, response.headers.get("content-encoding"))
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            raise room_unreachable(error, self._address) from error

    async def _exchange(self, request: httpx.Request, room: AttestedRoom) -> httpx.Response:
        call = call_for(request, room, address=self._address, session_id=self._session_id, at=_now())
        body = kept_body(request)
        content = call.whole(body) if body is not None else call.astream(_pieces(request))
        try:
            outer = await self._outer.handle_async_request(outer_request(self._address, content, request))
        except httpx.ConnectError as error:
            raise room_unreachable(error, self._address) from error
        async with AsyncExitStack() as unless_handed_on:
            unless_handed_on.push_async_callback(outer.aclose)
            if not is_sealed_answer(outer.status_code, outer.headers.get("content-type")):
                refusal = await _read_at_most(outer, OUTER_REFUSAL_LIMIT)
                raise outer_refusal(outer.status_code, outer.headers, refusal)
            answer = _Answer(call, outer, request)
            head = await answer.wait_for_head()
            unless_handed_on.pop_all()
        return httpx.Response(
            head.status, headers=list(head.headers), stream=answer, request=request, extensions={"sealroom": room}
        )


class AsyncSealedClient(httpx.AsyncClient):
    """An `httpx.AsyncClient` whose requests are all sealed to one room. Made by `sealroom.async_httpx_client`.

    The host of a request's URL is not looked at: whatever it says, the request goes to the room or nowhere.
    """

    def __init__(self, transport: AsyncSealedTransport, **options: Any) -> None:
        super().__init__(transport=transport, trust_env=False, **options)
        self._sealed = transport

    async def verify(self) -> AttestedRoom:
        """What is proved about the room, verified now unless the key in hand is fresh.

        Raises:
            SealroomError: the room did not prove itself; it has been told nothing.
        """
        return await self._sealed.verify()


class _Answer(httpx.AsyncByteStream):
    """The opened answer. Reading it to its end without an error means that it is whole."""

    def __init__(self, call: SealedCall, outer: httpx.Response, request: httpx.Request) -> None:
        self._call = call
        self._outer = outer
        self._request = request
        self._sealed = aiter(_async_stream(outer))
        self._first = b""

    async def wait_for_head(self) -> ResponseHead:
        """Read until status and headers are authentic."""
        while self._call.head is None:
            self._first = await self._next()
        return self._call.head

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            if self._first:
                yield self._first
            while not self._call.over:
                if piece := await self._next():
                    yield piece
        except SealroomError as error:
            await self.aclose()
            raise_as_httpx(error, self._request)

    async def _next(self) -> bytes:
        try:
            data = await anext(self._sealed, None)
        except (httpx.NetworkError, httpx.RemoteProtocolError):
            return self._call.end_of_input(broken_off=True)
        return self._call.receive(data) if data is not None else self._call.end_of_input()

    async def aclose(self) -> None:
        await self._outer.aclose()


def _async_stream(response: httpx.Response) -> httpx.AsyncByteStream:
    if not isinstance(response.stream, httpx.AsyncByteStream):
        raise MisuseError("client.wrong-transport", "the outer transport of an asynchronous client has to be one")
    return response.stream


def _pieces(request: httpx.Request) -> httpx.AsyncByteStream:
    if not isinstance(request.stream, httpx.AsyncByteStream):
        raise MisuseError("client.wrong-body", "a synchronous body in an asynchronous client")
    return request.stream


async def _read_at_most(response: httpx.Response, limit: int) -> bytes:
    """The body up to ``limit`` bytes and a little more; the rest stays unread."""
    found = bytearray()
    async for piece in _async_stream(response):
        found += piece
        if len(found) > limit:
            break
    return bytes(found)


def _now() -> datetime:
    return datetime.now(UTC)
