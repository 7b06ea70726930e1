"""What a room asks of the program that runs the model, whichever program it is.

An engine is given the model as descriptors of sealed memory, answers OpenAI-shaped requests, and can be left at any
moment. It says what it is (`name`, `version`, `config_digest`) and what holds it in (`layers`), because the room
binds both into its evidence.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

from sealroom.errors import UnavailableError

__all__ = [
    "ENGINE_PATHS",
    "Engine",
    "EnginePath",
    "EnginePhase",
    "EngineRequest",
    "EngineResponse",
    "EngineState",
    "EngineUnavailableError",
]

EnginePath = Literal["/v1/chat/completions", "/v1/completions", "/v1/embeddings"]
ENGINE_PATHS: tuple[EnginePath, ...] = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
"""Everything that an engine may be asked. No other path ever reaches one."""


class EnginePhase(StrEnum):
    """Where an engine stands. Only a ready one takes requests."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineState:
    """The phase, and when it is worth asking again."""

    phase: EnginePhase
    retry_after: float = 0.0
    """Seconds, an estimate; 0 when ready."""


class EngineUnavailableError(UnavailableError):
    """The engine does not serve now; the gateway answers 503 with ``Retry-After``."""

    def __init__(self, code: str, message: str, *, retry_after: float, hint: str | None = None) -> None:
        super().__init__(code, message, where="engine", hint=hint)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRequest:
    """One question. The body is content, so no repr shows it."""

    path: EnginePath
    body: Mapping[str, object] = field(repr=False)
    """An OpenAI request body that the gateway rebuilt from its allow-list. ``stream`` inside it is ignored."""
    caller: bytes | None = field(repr=False)
    """Opaque id under which the engine may reuse the caller's own state; None = keep nothing afterwards."""
    stream: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineResponse:
    """The answer: JSON in one or several pieces, or server-sent events as they come."""

    status: int
    content_type: str
    body: AsyncIterator[bytes] = field(repr=False)


class Engine(Protocol):
    """A program that runs one model, and its supervisor."""

    name: str
    version: str
    config_digest: bytes
    """SHA-256 over everything that decides how the engine runs, dangerous switches included."""

    @property
    def layers(self) -> tuple[str, ...]:
        """What holds the engine in, as verified from outside; empty before the start."""
        ...

    @property
    def state(self) -> EngineState:
        """Where the engine stands now."""
        ...

    async def start(self, model: Mapping[str, int]) -> None:
        """Start on the descriptors of sealed memory in ``model``, by file name; return when ready.

        The descriptors stay the caller's and must stay open until `stop`: a restart needs them again.

        Raises:
            MalformedError: the model is not what the engine can take.
            RefusedError: a required layer of the sandbox is missing here.
            EngineUnavailableError: it did not come up in time.
        """
        ...

    async def stop(self) -> None:
        """End it and remove every trace; further calls do nothing."""
        ...

    def open(self, request: EngineRequest) -> AbstractAsyncContextManager[EngineResponse]:
        """Ask. Leaving the context cancels the work in the engine if it is not done.

        Raises:
            MisuseError: the body holds what no engine may see.
            EngineUnavailableError: not ready, or it died on the way (then while reading the body, too).
        """
        ...
