"""One sealed exchange over ASGI.

1. Receive and open, within the limits on size and time. The engine hears of nothing before the authenticated end.
2. Check the request against the allow-list of its endpoint.
3. Wait for a place; turned away if there are too many.
4. Ask the engine. A caller who leaves takes the question back.
5. Seal what comes, piece by piece, and at last the end.

A refusal in clear tells nothing of the content; one that depends on content goes inside the encryption. If an answer
breaks after it began, it ends without its authenticated end, and the caller's client reports it as cut.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime

from sealroom.channel import Form, ServerExchange, problem_for
from sealroom.engines.base import Engine, EnginePhase, EngineRequest, EngineResponse, EngineUnavailableError
from sealroom.errors import SealroomError, UnavailableError
from sealroom.gateway.answers import (
    ENGINE_REFUSAL_BYTES,
    EVENT_STREAM,
    WholeAnswer,
    engine_refusal,
    event_stream_head,
)
from sealroom.gateway.callers import CallerIds, check_content_type
from sealroom.gateway.errors import api_error, internal_error
from sealroom.gateway.intake_service import CallerLeftError, Intake, OpenedRequest, Receive
from sealroom.gateway.models import ServedModel
from sealroom.gateway.problems import TOO_LARGE, TOO_SLOW, clear_problem
from sealroom.gateway.queue_service import EngineQueue
from sealroom.gateway.reply_service import SealedReply, Send, send_problem
from sealroom.gateway.routes import OwnAnswer, Question, route
from sealroom.room.key_generations import KeyGenerations
from sealroom.room.limits import GatewayLimits

__all__ = ["ExchangeService"]

_log = logging.getLogger("sealroom.gateway")
_WHOLE_ANSWER_BYTES = 64 * 1024 * 1024


class ExchangeService:
    """Serves exchanges, any number at a time.

    Args:
        keys: the room's channel keys.
        engine: what answers.
        model: the one model, by the name that the room statement binds.
        limits: on each caller and all together.
        clock: the time, timezone-aware.
    """

    def __init__(
        self, *, keys: KeyGenerations, engine: Engine, model: ServedModel, limits: GatewayLimits,
        clock: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._keys = keys
        self._engine = engine
        self._model = model
        self._limits = limits
        self._clock = clock
        self._callers = CallerIds()
        self._queue = EngineQueue(
            concurrency=limits.concurrency, queue=limits.queue, wait_seconds=limits.queue_seconds
        )

    async def serve(self, form: Form, receive: Receive, send: Send) -> None:
        """One exchange, from the first byte of the request to the last of the answer."""
        began = time.monotonic()
        intake = Intake(self._keys, form, self._limits, at=self._clock())
        try:
            async with asyncio.timeout(self._limits.request_seconds):
                request = await intake.run(receive)
        except TimeoutError:
            await send_problem(send, TOO_SLOW)
        except CallerLeftError:
            _log.debug("a caller left before the end of the request, after %d bytes", intake.sealed_bytes)
        except SealroomError as error:
            await _refuse(intake.exchange, error, send)
        else:
            assert intake.exchange is not None  # noqa: S101 - a whole request has come through it
            reply = SealedReply(intake.exchange.response(), send)
            outcome = await self._answer_unless_left(request, reply, receive)
            _log.info("exchange: %s, %d bytes in, %d pieces out, %.1f ms", outcome, intake.sealed_bytes, reply.pieces,
                      1000 * (time.monotonic() - began))  # fmt: skip

    async def _answer_unless_left(self, request: OpenedRequest, reply: SealedReply, receive: Receive) -> str:
        """Answer, but stop at once when the caller is gone: leaving the engine's context is what cancels there."""
        work = asyncio.create_task(self._answer(request, reply))
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            return work.result() if work.done() else "caller left"
        finally:
            gone.cancel()
            work.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)

    async def _answer(self, request: OpenedRequest, reply: SealedReply) -> str:
        """Answer, whatever happens; the outcome in a word for the log, without content."""
        try:
            async with asyncio.timeout(self._limits.total_seconds):
                await self._dispatch(request, reply)
        except SealroomError as error:
            await reply.fail(api_error(error))
            return error.code
        except TimeoutError:
            if not reply.begun:  # else whoever does not read would not read this either
                await reply.fail(api_error(UnavailableError("gateway.timeout", "the answer took too long")))
            return "gateway.timeout"
        except Exception as error:  # noqa: BLE001 - the fence: a fault of ours must not carry content into a log
            _log.error("internal %s", type(error).__name__)
            await reply.fail(internal_error())
            return "gateway.failed"
        return "ok"

    async def _dispatch(self, request: OpenedRequest, reply: SealedReply) -> None:
        head = request.head
        check_content_type(head.headers)
        caller = self._callers.of(head.headers)
        decision = route(head.method, head.path, request.body, self._model)
        if isinstance(decision, OwnAnswer):
            await reply.whole(WholeAnswer.of_json(decision.body))
            return
        self._require_engine()
        async with self._queue.place(), self._engine.open(_engine_request(decision, caller)) as response:
            await self._relay(decision, response, reply)

    def _require_engine(self) -> None:
        """Turn a caller away at once, rather than after a wait, if nobody would answer."""
        state = self._engine.state
        if state.phase is not EnginePhase.READY:
            raise EngineUnavailableError("engine.not-ready", "the engine is not ready", retry_after=state.retry_after)

    async def _relay(self, question: Question, response: EngineResponse, reply: SealedReply) -> None:
        if response.status != 200:
            body = await self._collect(response, ENGINE_REFUSAL_BYTES)
            await reply.whole(WholeAnswer.of_error(engine_refusal(response.status, body)))
        elif question.stream and response.content_type.startswith(EVENT_STREAM):
            await self._stream(response, reply)
        else:
            await reply.whole(WholeAnswer.of_json(await self._collect(response, _WHOLE_ANSWER_BYTES)))

    async def _stream(self, response: EngineResponse, reply: SealedReply) -> None:
        """Seal and flush each piece as it comes. An engine's piece is all that it has said since the last one.

        The head waits for the first piece: until then an engine that fails can still be told by a status.
        """
        now, idle = asyncio.get_running_loop().time, self._limits.idle_seconds
        async with asyncio.timeout(idle) as deadline:
            renew_at = now() + idle / 8  # moving a timer for every token would cost more than sealing it
            async for piece in response.body:
                if reply.begun:
                    await reply.piece(piece)
                else:
                    await reply.first(event_stream_head(), piece)
                if (at := now()) >= renew_at:
                    deadline.reschedule(at + idle)
                    renew_at = at + idle / 8
            if not reply.begun:
                raise UnavailableError("engine.no-answer", "the engine ended its answer before it began")
            await reply.end()

    async def _collect(self, response: EngineResponse, most: int) -> bytes:
        body = bytearray()
        async with asyncio.timeout(self._limits.idle_seconds):
            async for piece in response.body:
                body += piece
                if len(body) > most:
                    raise UnavailableError("engine.answer-too-large", "the engine's answer has no end")
        return bytes(body)


def _engine_request(question: Question, caller: bytes | None) -> EngineRequest:
    return EngineRequest(path=question.path, body=question.body, caller=caller, stream=question.stream)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refuse(exchange: ServerExchange | None, error: SealroomError, send: Send) -> None:
    """Say no to a request that was not opened: inside where its sender proved to hold the key, else in clear."""
    _log.info("exchange refused: %s", error.code)
    problem = problem_for(error)
    if exchange is None or not exchange.answerable or problem is None:
        await send_problem(send, TOO_LARGE if error.code == "gateway.request-too-large" else clear_problem(error))
        return
    await SealedReply(exchange.response(), send).whole(WholeAnswer.of_problem(problem))
