"""The second half of an exchange: what the caller gets, sealed, over ASGI's send."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from sealroom.channel import Problem, ResponseHead, ResponseSealer
from sealroom.gateway.answers import WholeAnswer
from sealroom.gateway.errors import ApiError
from sealroom.gateway.problems import headers_of

__all__ = ["SealedReply", "Send", "send_clear", "send_problem"]

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class SealedReply:
    """One sealed answer: whole, or begun, continued and ended.

    Attributes:
        begun: whether bytes have gone out, so that no other answer can be given.
        pieces: sealed pieces of content sent.
    """

    def __init__(self, sealer: ResponseSealer, send: Send) -> None:
        self._sealer = sealer
        self._send = send
        self.begun = False
        self.pieces = 0

    async def whole(self, answer: WholeAnswer) -> None:
        """Everything at once, padded; with a length, for it tells no more than the bytes do."""
        sealed = self._sealer.whole(answer.head, answer.body)
        await self._start(len(sealed))
        await self._send({"type": "http.response.body", "body": sealed})

    async def first(self, head: ResponseHead, piece: bytes) -> None:
        """The head and the first piece, in one write."""
        sealed = self._sealer.start(head) + self._sealer.data(piece)
        await self._start(None)
        await self._flush(sealed)

    def piece(self, piece: bytes) -> Awaitable[None]:
        """One more piece, flushed at once. No coroutine of its own: it runs for every token."""
        return self._flush(self._sealer.data(piece))

    async def end(self) -> None:
        """The authenticated end."""
        await self._send({"type": "http.response.body", "body": self._sealer.finish()})

    async def fail(self, error: ApiError) -> None:
        """A refusal: the whole answer, or the last event of a stream that then lacks its authenticated end."""
        if not self.begun:
            await self.whole(WholeAnswer.of_error(error))
            return
        await self._send({"type": "http.response.body", "body": self._sealer.data(error.event())})

    def _flush(self, sealed: bytes) -> Awaitable[None]:
        self.pieces += 1
        return self._send({"type": "http.response.body", "body": sealed, "more_body": True})

    async def _start(self, length: int | None) -> None:
        self.begun = True
        headers = [(b"content-type", self._sealer.media_type.encode()), (b"cache-control", b"no-store")]
        # Incremental (RFC 10036) asks intermediaries not to gather the answer.
        headers.append((b"incremental", b"?1") if length is None else (b"content-length", str(length).encode()))
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})


async def send_problem(send: Send, problem: Problem) -> None:
    """A refusal in clear."""
    await send_clear(send, problem.status, headers_of(problem), problem.body)


async def send_clear(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """An answer outside the encryption."""
    headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
