"""HTTP/1.1 to the broker: one connection, one request after another, everything bounded.

Small on purpose: a room asks three short questions in its life, and a whole HTTP client costs more time to import
than the handshake takes. The framing is `h11`'s. No proxy, no redirect, no compression, no environment.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Self
from urllib.parse import quote, unquote, urlsplit

import h11

from sealroom.errors import MalformedError, MisuseError, UnavailableError

__all__ = ["BROKER_DOWN", "BrokerAddress", "BrokerAnswer", "BrokerConnection"]

BROKER_DOWN = "start the broker, or correct its address; the room asks again"
_CONNECTED_WITHIN, _ANSWERED_WITHIN = 10.0, 30.0
_LONGEST_ANSWER = 4 * 1024 * 1024
_MOST_COOKIES, _LONGEST_COOKIE = 8, 4096
_READ_SIZE = 1 << 16
_PORTS = {"http": 80, "https": 443}
_OF_PATHS = "/%!$&'()*+,;=:@~"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Where a broker is. `origin` is for people: a password is not in it."""

    secure: bool
    host: str
    port: int
    authority: str
    """Host and port as the Host header has them."""
    path: str
    """Of the broker itself, without a slash at its end."""
    credentials: tuple[str, str] | None
    """User and password for a proxy in front of it."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URL.

        Raises:
            MisuseError: ``room.broker-address``.
        """
        try:
            url = urlsplit(text)
            port = url.port or _PORTS.get(url.scheme, 0)
        except ValueError as error:
            raise MisuseError("room.broker-address", "the broker's address is not a URL") from error
        if url.scheme not in _PORTS or not url.hostname or not url.netloc.isprintable() or " " in url.netloc:
            raise MisuseError("room.broker-address", "the broker's address is not an http or https URL",
                              got=text.rpartition("@")[2])  # fmt: skip
        named = url.username is not None or url.password is not None
        return cls(
            secure=url.scheme == "https", host=url.hostname, port=port, authority=url.netloc.rpartition("@")[2],
            path=quote(url.path.rstrip("/"), safe=_OF_PATHS),
            credentials=(unquote(url.username or ""), unquote(url.password or "")) if named else None,
        )  # fmt: skip

    @property
    def origin(self) -> str:
        """The URL again, without credentials."""
        return f"{'https' if self.secure else 'http'}://{self.authority}{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAnswer:
    """Status and whole body."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether it is the answer that was asked for."""
        return self.status == HTTPStatus.OK


class BrokerConnection:
    """One handshake's way to its broker. Its cookies live and die with it."""

    def __init__(self, address: BrokerAddress) -> None:
        self._address = address
        self._cookies: dict[str, str] = {}
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._http = h11.Connection(h11.CLIENT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    async def ask(self, method: str, path: str, *, headers: Mapping[str, str], body: bytes = b"") -> BrokerAnswer:
        """Send one request and return its whole answer, whatever its status.

        Raises:
            UnavailableError: ``room.broker-unreachable``: nobody is there, or no HTTP came back in 30 s.
            MalformedError: ``room.broker-answer``: longer than 4 MiB.
            MisuseError: ``room.broker-address``: no name that could be looked up.
        """
        try:
            async with asyncio.timeout(_ANSWERED_WITHIN):
                return await self._exchange(method, path, headers, body)
        except (OSError, EOFError, h11.RemoteProtocolError) as error:  # of which TimeoutError and SSLError are some
            self._close()
            raise UnavailableError("room.broker-unreachable", "the broker does not answer",
                                   where=self._address.origin + path, got=type(error).__name__,
                                   hint=BROKER_DOWN) from error  # fmt: skip
        except (UnicodeError, h11.LocalProtocolError) as error:
            self._close()
            raise MisuseError("room.broker-address", "the broker's address can not be asked",
                              got=self._address.origin) from error  # fmt: skip

    async def _exchange(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> BrokerAnswer:
        reader, writer = await self._connected()
        head = {"host": self._address.authority, **headers, "content-length": str(len(body))}
        if self._cookies:
            head["cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        request = h11.Request(method=method, target=self._address.path + path, headers=list(head.items()))
        for event in (request, h11.Data(data=body), h11.EndOfMessage()):
            writer.write(self._http.send(event) or b"")
        await writer.drain()
        answer = await self._answer(reader)
        if self._http.our_state is h11.MUST_CLOSE or self._http.their_state is not h11.DONE:
            self._close()
        else:
            self._http.start_next_cycle()
        return answer

    async def _answer(self, reader: asyncio.StreamReader) -> BrokerAnswer:
        status, body = 0, bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await reader.read(_READ_SIZE))
            elif isinstance(event, h11.Response):
                status = event.status_code
                self._keep_cookies(event)
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > _LONGEST_ANSWER:
                    self._close()
                    raise MalformedError("room.broker-answer", "the broker's answer is longer than any key")
            elif isinstance(event, h11.EndOfMessage):
                return BrokerAnswer(status=status, body=bytes(body))
            elif not isinstance(event, h11.InformationalResponse):
                raise EOFError

    def _keep_cookies(self, response: h11.Response) -> None:
        """Names and values alone: they go back to the one place that they came from, while this object lives."""
        for name, value in response.headers:
            cookie, equals, content = value.decode("latin-1").partition(";")[0].strip().partition("=")
            if name == b"set-cookie" and equals and len(value) <= _LONGEST_COOKIE:
                self._cookies[cookie] = content
        while len(self._cookies) > _MOST_COOKIES:
            del self._cookies[next(iter(self._cookies))]

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None and self._streams[0].at_eof():
            self._close()
        if self._streams is None:
            async with asyncio.timeout(_CONNECTED_WITHIN):
                self._streams = await asyncio.open_connection(
                    self._address.host, self._address.port, ssl=_trusted() if self._address.secure else None
                )
            self._http = h11.Connection(h11.CLIENT)
        return self._streams

    def _close(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].transport.abort()


def _trusted() -> ssl.SSLContext:
    import certifi  # noqa: PLC0415 - not for brokers on plain HTTP

    return ssl.create_default_context(cafile=certifi.where())
