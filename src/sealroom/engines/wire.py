"""HTTP/1.1 to the engine, over its Unix socket, written here because we need so little of it.

One connection a request, always. llama.cpp closes the connection after every streamed answer although it promises to
keep it (``docs/decisions/0003``), which a pool notices too late now and then; a fresh Unix socket costs less than the
care. Requests are built from nothing: no header of a caller can reach the engine.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from sealroom.engines.base import EngineUnavailableError

__all__ = ["Answer", "ChunkedBody", "exchange"]

_T = TypeVar("_T")
_READ = 1 << 16
_LONGEST_HEAD = 1 << 14
_LONGEST_CHUNK_LINE = 64
_RETRY_AFTER = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The engine's answer: status, media type, and the body as it arrives."""

    status: int
    content_type: str
    body: AsyncIterator[bytes] = field(repr=False)


class ChunkedBody:
    """Takes the chunked framing (RFC 9112 section 7.1) off, however the bytes are cut."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        """Return the content in ``data`` and what was left before; sets `ended` at the last chunk."""
        self._buffer += data
        content: list[bytes] = []
        while not self.ended:
            end_of_line = self._buffer.find(b"\r\n")
            if end_of_line < 0:
                if len(self._buffer) > _LONGEST_CHUNK_LINE:
                    raise _broken("chunk-line")
                break
            size = _hexadecimal(self._buffer[:end_of_line])
            end = end_of_line + 2 + size
            if len(self._buffer) < end + 2:
                break
            content.append(bytes(self._buffer[end_of_line + 2 : end]))
            del self._buffer[: end + 2]
            self.ended = size == 0
        return b"".join(content)


def _hexadecimal(line: bytearray) -> int:
    try:
        return int(line.split(b";")[0], 16)
    except ValueError:
        raise _broken("chunk-size") from None


@asynccontextmanager
async def exchange(
    socket: str, method: str, path: str, body: bytes = b"", *, silence: float
) -> AsyncIterator[Answer]:
    """Ask the engine and hand out the answer; leaving the context closes the connection, which cancels the work.

    Args:
        silence: seconds without a byte after which the engine counts as hung.

    Raises:
        EngineUnavailableError: no connection, a broken one, or silence.
    """
    reader, writer = await _connected(socket)
    try:
        head = f"{method} {path} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        status, headers = await _within(silence, _head(reader))
        yield Answer(
            status=status,
            content_type=headers.get("content-type", "").split(";")[0].strip(),
            body=_body(reader, headers, silence),
        )
    finally:
        writer.transport.abort()


async def _connected(socket: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        return await asyncio.open_unix_connection(socket, limit=_READ)
    except OSError as error:
        raise _lost("it takes no connection") from error


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except (OSError, asyncio.IncompleteReadError) as error:
        raise _lost("it closed the connection before an answer") from error
    except asyncio.LimitOverrunError:
        raise _broken("head") from None
    if len(raw) > _LONGEST_HEAD:
        raise _broken("head")
    first, *lines = raw.decode("latin-1").split("\r\n")[:-2]
    words = first.split(" ", 2)
    if len(words) < 2 or words[0] != "HTTP/1.1" or not words[1].isdigit():
        raise _broken("status-line")
    headers = dict(line.lower().split(":", 1) for line in lines if ":" in line)
    return int(words[1]), {name: value.strip() for name, value in headers.items()}


async def _body(reader: asyncio.StreamReader, headers: dict[str, str], silence: float) -> AsyncIterator[bytes]:
    if headers.get("transfer-encoding") == "chunked":
        chunks = ChunkedBody()
        while not chunks.ended:
            if content := chunks.feed(await _some(reader, silence)):
                yield content
        return
    left = headers.get("content-length", "")
    if not left.isdigit():
        raise _broken("length")
    remaining = int(left)
    while remaining > 0:
        data = await _some(reader, silence)
        remaining -= len(data)
        yield data


async def _some(reader: asyncio.StreamReader, silence: float) -> bytes:
    try:
        data = await _within(silence, reader.read(_READ))
    except OSError as error:
        raise _lost("the connection broke") from error
    if not data:
        raise _lost("it ended in the middle of an answer")
    return data


async def _within(seconds: float, step: Awaitable[_T]) -> _T:
    try:
        async with asyncio.timeout(seconds):
            return await step
    except TimeoutError:
        raise EngineUnavailableError("engine.silent", f"the engine said nothing for {seconds:g} s",
                                     retry_after=_RETRY_AFTER) from None  # fmt: skip


def _lost(message: str) -> EngineUnavailableError:
    return EngineUnavailableError("engine.lost", f"the engine went away: {message}", retry_after=_RETRY_AFTER)


def _broken(what: str) -> EngineUnavailableError:
    return EngineUnavailableError("engine.broken-answer", f"the engine's HTTP is broken at the {what}",
                                  retry_after=_RETRY_AFTER)  # fmt: skip
