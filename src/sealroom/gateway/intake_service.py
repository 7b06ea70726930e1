"""The first half of an exchange: from pieces of a sealed body to an opened request with an authenticated end."""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sealroom.channel import Data, Event, Form, Limits, RequestHead, ServerExchange
from sealroom.errors import MalformedError, UnavailableError
from sealroom.room.key_generations import KeyGenerations
from sealroom.room.limits import GatewayLimits

__all__ = ["CallerLeftError", "Intake", "OpenedRequest", "Receive"]

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class CallerLeftError(UnavailableError):
    """The connection is gone; there is nobody to answer."""

    def __init__(self) -> None:
        super().__init__("gateway.caller-left", "the caller left")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedRequest:
    """A request whose end is authentic. The body is content, so no repr shows it."""

    head: RequestHead = field(repr=False)
    body: bytes = field(repr=False)


class Intake:
    """Opens one request.

    Args:
        keys: the room's channel keys; the request names which.
        form: by its media type.
        limits: on sizes.
        at: when it arrived.

    Attributes:
        exchange: once the first byte is there; says where a refusal goes, and seals the answer.
        sealed_bytes: received so far.
    """

    def __init__(self, keys: KeyGenerations, form: Form, limits: GatewayLimits, *, at: datetime) -> None:
        self._keys = keys
        self._form = form
        self._limits = limits
        self._at = at
        self._head: RequestHead | None = None
        self._body = bytearray()
        self.exchange: ServerExchange | None = None
        self.sealed_bytes = 0

    async def run(self, receive: Receive) -> OpenedRequest:
        """Receive until the authenticated end.

        Raises:
            CallerLeftError: the connection ended first.
            MalformedError: ``gateway.request-too-large``.
            SealroomError: what `ServerExchange` raises.
        """
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise CallerLeftError
            self._take(message.get("body", b""))
            if not message.get("more_body", False):
                return self._whole()

    def _take(self, data: bytes) -> None:
        self.sealed_bytes += len(data)
        if self.sealed_bytes > self._limits.request_bytes:
            raise MalformedError("gateway.request-too-large", "the sealed request is too large",
                                 expected=f"at most {self._limits.request_bytes} bytes")  # fmt: skip
        if data:
            self._keep(self._exchange(data[0]).receive(data))

    def _whole(self) -> OpenedRequest:
        self._keep(self._exchange(0).end_of_input())
        if self._head is None:
            raise MalformedError("channel.malformed", "the request has no head")
        return OpenedRequest(head=self._head, body=bytes(self._body))

    def _exchange(self, first_byte: int) -> ServerExchange:
        if self.exchange is None:
            generation = self._keys.for_request(first_byte)
            self.exchange = ServerExchange(
                generation.keys, generation.replay, at=self._at, limits=self._channel_limits(), form=self._form
            )
        return self.exchange

    def _channel_limits(self) -> Limits:
        return Limits(
            head=self._limits.inner_header_bytes,
            fields=self._limits.inner_headers,
            body=self._limits.inner_body_bytes,
        )

    def _keep(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Data):
                self._body += event.data
            elif isinstance(event, RequestHead):
                self._head = event
