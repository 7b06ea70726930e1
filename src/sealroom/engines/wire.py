"""HTTP/1.1 to the engine, over its Unix socket, written here because we need so little of it.

One connection a request, always. llama.cpp closes the connection after every streamed answer although it promises to
keep it (``docs/decisions/0003``), which a pool notices too late now and then; a fresh Unix socket costs less than the
care. Requests are built from nothing: no header of a caller can reach the engine.

A token is a small read, hundreds of times a second: the bytes are taken apart as they arrive, without a task, a
timer or a stream object for each.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from sealroom.engines.base import EngineUnavailableError

__all__ = ["Answer", "ChunkedBody", "LengthBody", "exchange"]

_LONGEST_HEAD = 1 << 14
_LONGEST_CHUNK_LINE = 64
_MOST_WAITING = 1 << 18
_RETRY_AFTER = 1.0
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
_LENGTH = re.compile(r"[0-9]{1,12}")
_STATUS_LINE = re.compile(r"HTTP/1\.1 ([1-5][0-9]{2})(?: .*)?")


class ChunkedBody:
    """Takes the chunked framing (RFC 9112 section 7.1) off, however the bytes are cut."""

    def __init__(self) -> None:
        self._buffer = b""
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        """Return the content in ``data`` and what was left before; sets `ended` at the last chunk."""
        buffer = self._buffer + data if self._buffer else data
        at = 0
        content = b""
        while not self.ended:
            line_end = buffer.find(b"\r\n", at, at + _LONGEST_CHUNK_LINE)
            if line_end < 0:
                if len(buffer) - at >= _LONGEST_CHUNK_LINE:
                    raise _broken("chunk size")
                break
            end = line_end + 2 + _hexadecimal(buffer[at:line_end])
            if len(buffer) < end + 2:
                break
            content += buffer[line_end + 2 : end]
            self.ended = end == line_end + 2
            at = end + 2
        self._buffer = buffer[at:]
        return content


class LengthBody:
    """A body of a length that was announced."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.ended = length == 0

    def feed(self, data: bytes) -> bytes:
        """Return ``data``, up to the announced length; sets `ended` there."""
        content = data[: self._left]
        self._left -= len(content)
        self.ended = self._left == 0
        return content


class Answer(asyncio.Protocol):
    """The engine's answer as it arrives: `status` and `content_type` once `head` returned, then `read`."""

    def __init__(self, silence: float) -> None:
        self.status = 0
        self.content_type = ""
        self._loop = asyncio.get_running_loop()
        self._silence = silence
        self._heard = self._loop.time()
        self._watch = self._loop.call_later(silence, self._check_silence)
        self._transport: asyncio.Transport | None = None
        self._start = b""
        self._framing: ChunkedBody | LengthBody | None = None
        self._content: list[bytes] = []
        self._waiting = 0
        self._failure: EngineUnavailableError | None = None
        self._reader: asyncio.Future[None] | None = None

    async def head(self) -> None:
        """Wait until status and media type are known."""
        while self._framing is None:
            await self._next()

    async def read(self) -> bytes:
        """What has arrived since the last call; waits for some; empty at the authentic end of the body only."""
        while not self._content:
            if self._framing is not None and self._framing.ended:
                return b""
            await self._next()
        content = b"".join(self._content)
        self._content.clear()
        if self._waiting > _MOST_WAITING and self._transport is not None:
            self._transport.resume_reading()
        self._waiting = 0
        return content

    def close(self) -> None:
        """Drop the connection, which tells the engine to stop."""
        self._watch.cancel()
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self._heard = self._loop.time()
        try:
            self._take(data)
        except EngineUnavailableError as error:
            self._fail(error)
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        del exc
        if self._framing is None or not self._framing.ended:
            self._fail(_lost("it closed the connection before the answer was complete"))
        self._watch.cancel()

    def _take(self, data: bytes) -> None:
        if self._framing is None:
            self._start += data
            head, separator, data = self._start.partition(b"\r\n\r\n")
            if len(head) > _LONGEST_HEAD:
                raise _broken("head")
            if not separator:
                return
            self.status, self.content_type, self._framing = _understood(head)
        if not self._framing.ended and (content := self._framing.feed(data)):
            self._content.append(content)
            self._waiting += len(content)
            if self._waiting > _MOST_WAITING and self._transport is not None:
                self._transport.pause_reading()

    async def _next(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._reader = self._loop.create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _fail(self, error: EngineUnavailableError) -> None:
        self._failure = self._failure or error
        self._wake()

    def _check_silence(self) -> None:
        quiet = self._loop.time() - self._heard
        if quiet < self._silence or self._waiting > _MOST_WAITING:
            self._watch = self._loop.call_later(max(0.1, self._silence - quiet), self._check_silence)
            return
        self._fail(EngineUnavailableError("engine.silent", f"the engine said nothing for {quiet:.0f} s",
                                          retry_after=_RETRY_AFTER))  # fmt: skip


@asynccontextmanager
async def exchange(
    socket: str, method: str, path: str, body: bytes = b"", *, silence: float
) -> AsyncIterator[Answer]:
    """Ask the engine and hand out the answer; leaving the context closes the connection, which cancels the work.

    Args:
        silence: seconds without a byte after which the engine counts as hung.

    Raises:
        EngineUnavailableError: no connection, a broken one, or silence; `Answer.read` too.
    """
    try:
        transport, answer = await asyncio.get_running_loop().create_unix_connection(lambda: Answer(silence), socket)
    except OSError as error:
        raise _lost("it takes no connection") from error
    try:
        head = f"{method} {path} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        transport.write(head.encode() + body)
        await answer.head()
        yield answer
    finally:
        answer.close()


def _understood(head: bytes) -> tuple[int, str, ChunkedBody | LengthBody]:
    first, *lines = head.decode("latin-1").split("\r\n")
    if (status := _STATUS_LINE.fullmatch(first)) is None:
        raise _broken("status line")
    pairs = [line.split(":", 1) for line in lines if ":" in line]
    headers = {name.lower(): value.strip().lower() for name, value in pairs}
    if headers.get("transfer-encoding") == "chunked":
        framing: ChunkedBody | LengthBody = ChunkedBody()
    elif _LENGTH.fullmatch(length := headers.get("content-length", "")):
        framing = LengthBody(int(length))
    else:
        raise _broken("length")
    return int(status[1]), headers.get("content-type", "").split(";")[0], framing


def _hexadecimal(line: bytes) -> int:
    if not _CHUNK_SIZE.fullmatch(line):  # int() alone takes signs, spaces and underscores
        raise _broken("chunk size")
    return int(line, 16)


def _lost(message: str) -> EngineUnavailableError:
    return EngineUnavailableError("engine.lost", f"the engine went away: {message}", retry_after=_RETRY_AFTER)


def _broken(what: str) -> EngineUnavailableError:
    return EngineUnavailableError("engine.broken-answer", f"the engine's HTTP is broken at the {what}",
                                  retry_after=_RETRY_AFTER)  # fmt: skip
