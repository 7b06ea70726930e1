"""`httpx` over the sealed channel, for threads: a client whose every request is sealed to a verified room.

What a caller of such a client meets:

- Every `SealroomError` of the families unverified, refused, malformed and misuse comes out as itself. It is no
  `httpx` error, so nothing that retries failed connections (the OpenAI client, for one) tries again behind the
  user's back.
- A room that can not be reached is an `httpx.ConnectError`, an answer that was cut off is an
  `httpx.RemoteProtocolError`, each with our error as its ``__cause__``: networks do both without malice, and programs
  know how to meet them. Each new attempt is sealed to a verified key again, or not sent.
- ``response.extensions["sealroom"]`` is the `AttestedRoom` that could read the exchange.
"""

import logging
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

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
from sealroom.client.session import EVIDENCE_HEADERS, Session, check_evidence_answer, evidence_body
from sealroom.collateral.bundle import MAX_BUNDLE_SIZE
from sealroom.errors import MisuseError, SealroomError, UnavailableError
from sealroom.statement import NONCE_SIZE
from sealroom.verifier import AttestedRoom

__all__ = ["SealedClient", "SealedTransport"]

_log = logging.getLogger("sealroom.client")


class SealedTransport(httpx.BaseTransport):
    """Seals each request to the room; shared by threads.

    Args:
        address: of the room.
        session: the policy, and what was proved under it.
        outer: carries the sealed bytes; sees an address and lengths. Must not follow redirects (no transport does).
    """

    def __init__(self, address: RoomAddress, session: Session, outer: httpx.BaseTransport) -> None:
        self._address = address
        self._session = session
        self._outer = outer
        self._one_verification = threading.Lock()
        self._session_id = secrets.token_bytes(32)

    def verify(self) -> AttestedRoom:
        """The room as proved, verified now unless the key in hand is fresh. One verification at a time.

        Raises:
            SealroomError: why there is no key; nothing but evidence has been asked for.
        """
        if (room := self._session.fresh(_now())) is not None:
            return room
        with self._one_verification:
            if (room := self._session.fresh(_now())) is not None:
                return room  # another thread has just done it
            return self._verify_now()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Seal, send, open; verify anew and send once more if the room's key has changed since."""
        try:
            room = self.verify()
            try:
                return self._exchange(request, room)
            except RotatedKeyError:
                self._session.drop(room)
                if kept_body(request) is None:
                    raise  # the body was a stream, and it is gone
                _log.info("the room's key has changed; verifying anew")
                return self._exchange(request, self.verify())
        except SealroomError as error:
            raise_as_httpx(error, request)

    def close(self) -> None:
        """Close the connections."""
        self._outer.close()

    def _verify_now(self) -> AttestedRoom:
        nonce = secrets.token_bytes(NONCE_SIZE)
        try:
            bundle = self._fetch_evidence(nonce)
        except UnavailableError:
            if (room := self._session.put_off(_now())) is not None:
                return room  # only the renewal failed: what was proved still holds
            raise
        return self._session.admit(bundle, nonce=nonce, at=_now())

    def _fetch_evidence(self, nonce: bytes) -> bytes:
        """In a thread of its own: the time-outs of blocking sockets run anew with every byte that drips in."""
        found: Future[bytes] = Future()
        threading.Thread(target=_settle, args=(found, self._ask_for_evidence, nonce), daemon=True).start()
        try:
            return found.result(EVIDENCE_SECONDS)
        except TimeoutError as error:
            raise room_unreachable(error, self._address) from error

    def _ask_for_evidence(self, nonce: bytes) -> bytes:
        until = time.monotonic() + EVIDENCE_SECONDS  # after that nobody waits for it any more
        request = httpx.Request("GET", self._address.evidence_url(nonce), headers=EVIDENCE_HEADERS,
                                extensions={"timeout": EVIDENCE_TIMEOUT})  # fmt: skip
        try:
            response = self._outer.handle_request(request)
            try:
                check_evidence_answer(response.status_code, response.headers.get("content-type"))
                body = _read_at_most(response, MAX_BUNDLE_SIZE, until=until)
                return evidence_body(body, response.headers.get("content-encoding"))
            finally:
                response.close()
        except httpx.TransportError as error:
            raise room_unreachable(error, self._address) from error

    def _exchange(self, request: httpx.Request, room: AttestedRoom) -> httpx.Response:
        call = call_for(request, room, address=self._address, session_id=self._session_id, at=_now())
        body = kept_body(request)
        content = call.whole(body) if body is not None else call.stream(_pieces(request))
        try:
            outer = self._outer.handle_request(outer_request(self._address, content, request))
        except httpx.ConnectError as error:
            raise room_unreachable(error, self._address) from error
        with ExitStack() as unless_handed_on:
            unless_handed_on.callback(outer.close)
            if not is_sealed_answer(outer.status_code, outer.headers.get("content-type")):
                refusal = _read_at_most(outer, OUTER_REFUSAL_LIMIT)
                raise outer_refusal(outer.status_code, outer.headers, refusal)
            answer = _Answer(call, outer, request)
            head = answer.wait_for_head()
            unless_handed_on.pop_all()
        return httpx.Response(
            head.status, headers=list(head.headers), stream=answer, request=request, extensions={"sealroom": room}
        )


class SealedClient(httpx.Client):
    """An `httpx.Client` whose requests are all sealed to one room. Made by `sealroom.httpx_client`.

    The host of a request's URL is not looked at: whatever it says, the request goes to the room or nowhere.
    """

    def __init__(self, transport: SealedTransport, **options: Any) -> None:
        super().__init__(transport=transport, trust_env=False, **options)
        self._sealed = transport

    def verify(self) -> AttestedRoom:
        """What is proved about the room, verified now unless the key in hand is fresh.

        Raises:
            SealroomError: the room did not prove itself; it has been told nothing.
        """
        return self._sealed.verify()


class _Answer(httpx.SyncByteStream):
    """The opened answer. Reading it to its end without an error means that it is whole."""

    def __init__(self, call: SealedCall, outer: httpx.Response, request: httpx.Request) -> None:
        self._call = call
        self._outer = outer
        self._request = request
        self._sealed = iter(_sync_stream(outer))
        self._first = b""

    def wait_for_head(self) -> ResponseHead:
        """Read until status and headers are authentic."""
        while self._call.head is None:
            self._first = self._next()
        return self._call.head

    def __iter__(self) -> Iterator[bytes]:
        try:
            if self._first:
                yield self._first
            while not self._call.over:
                if piece := self._next():
                    yield piece
        except SealroomError as error:
            self.close()
            raise_as_httpx(error, self._request)

    def _next(self) -> bytes:
        try:
            data = next(self._sealed, None)
        except (httpx.NetworkError, httpx.RemoteProtocolError):
            return self._call.end_of_input(broken_off=True)
        return self._call.receive(data) if data is not None else self._call.end_of_input()

    def close(self) -> None:
        self._outer.close()


def _sync_stream(response: httpx.Response) -> httpx.SyncByteStream:
    if not isinstance(response.stream, httpx.SyncByteStream):
        raise MisuseError("client.wrong-transport", "the outer transport of a synchronous client has to be one")
    return response.stream


def _pieces(request: httpx.Request) -> httpx.SyncByteStream:
    if not isinstance(request.stream, httpx.SyncByteStream):
        raise MisuseError("client.wrong-body", "an asynchronous body in a synchronous client")
    return request.stream


def _settle(found: "Future[bytes]", ask: Callable[[bytes], bytes], nonce: bytes) -> None:
    try:
        found.set_result(ask(nonce))
    except BaseException as error:  # noqa: BLE001 - whoever waits raises it
        found.set_exception(error)


def _read_at_most(response: httpx.Response, limit: int, *, until: float = math.inf) -> bytes:
    """The body up to ``limit`` bytes and a little more, or ``until`` then; the rest stays unread."""
    found = bytearray()
    for piece in _sync_stream(response):
        found += piece
        if len(found) > limit or time.monotonic() > until:
            break
    return bytes(found)


def _now() -> datetime:
    return datetime.now(UTC)
