"""llama.cpp as an engine: sandboxed ``xllamacpp`` processes over one sealed memfd.

One process answers chats and completions. A second, over the same memory, makes embeddings if the settings say so; it
starts when it is first asked. The weights exist once, however many processes map them.
"""

import asyncio
import fcntl
import mmap
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from sealroom.engines.base import EnginePhase, EngineRequest, EngineResponse, EngineState
from sealroom.engines.gguf import read_gguf
from sealroom.engines.llama_cpp_parameters import (
    config_digest,
    default_threads,
    embedding_parameters,
    package_version,
    parameters,
    thread_parameters,
)
from sealroom.engines.llama_cpp_service import LlamaCppService
from sealroom.engines.llama_cpp_settings import LlamaCppSettings
from sealroom.engines.prepared_child import PreparedChild
from sealroom.engines.sandbox.layers import Layer
from sealroom.errors import MalformedError, MisuseError

__all__ = ["LlamaCppEngine"]

_F_GET_SEALS = 1034
_SEALED = 0x1 | 0x2 | 0x4 | 0x8  # F_SEAL_SEAL, SHRINK, GROW, WRITE


class LlamaCppEngine:
    """See `sealroom.engines.base.Engine`. ``prepared`` is a child that has been loading since before the model."""

    name = "llama.cpp"

    def __init__(self, settings: LlamaCppSettings, prepared: PreparedChild | None = None) -> None:
        self.settings = settings
        self.version = package_version()
        self.config_digest = config_digest(settings)
        # not in the digest: machines of different size share one
        here = thread_parameters(settings.threads or default_threads(len(os.sched_getaffinity(0))))
        self._answering = LlamaCppService(settings, parameters(settings) | here, slots=settings.slots, embeds=False,
                                          prepared=prepared)  # fmt: skip
        self._embedding = LlamaCppService(settings, embedding_parameters(settings) | here, slots=1, embeds=True)
        self._embedding_start = asyncio.Lock()
        self._checked: asyncio.Task[None] | None = None
        self._model: int | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        """What holds the engine in, as verified from outside; empty before the start."""
        layers = self._answering.layers
        if layers and self.settings.insecure_allow_missing_layers:
            layers += (Layer.INSECURE_MISSING_LAYERS_ALLOWED,)
        return tuple(layer.value for layer in layers)

    @property
    def state(self) -> EngineState:
        """Of the process that answers."""
        return self._answering.state

    @property
    def pid(self) -> int:
        """Process id of the answering child, for those who look at it from outside."""
        return self._answering.pid

    @property
    def socket(self) -> str:
        """Where the answering child listens: for measurements that bypass this adapter, never for callers."""
        return self._answering.socket

    async def start(self, model: Mapping[str, int]) -> None:
        """Check the model's header while the child contains itself, then let the child open it."""
        self._model = _sealed_gguf(model)
        self._checked = asyncio.create_task(asyncio.to_thread(_check, self._model))
        try:
            await self._answering.start(self._model, self._checked)
        finally:
            # whatever went wrong, the check's own complaint must not be lost as an unread exception
            await asyncio.wait([self._checked])

    async def stop(self) -> None:
        """End both processes."""
        await self._answering.stop()
        await self._embedding.stop()
        self._model = None

    @asynccontextmanager
    async def open(self, request: EngineRequest) -> AsyncIterator[EngineResponse]:
        """Ask; see the protocol."""
        service = self._answering
        if request.path == "/v1/embeddings":
            service = await self._embedding_service()
        async with service.open(request) as response:
            yield response

    async def _embedding_service(self) -> LlamaCppService:
        if not self.settings.embeddings:
            raise MisuseError("engine.no-embeddings", "this room does not make embeddings",
                              hint="set engine.embeddings, which changes the attested configuration")  # fmt: skip
        async with self._embedding_start:
            if self._embedding.state.phase is EnginePhase.STOPPED and self._model is not None and self._checked:
                # it may not have less around it than the statement says
                self._embedding.layers = self._answering.layers
                await self._embedding.start(self._model, self._checked)
        return self._embedding


def _sealed_gguf(model: Mapping[str, int]) -> int:
    names = [name for name in model if name.endswith(".gguf")]
    if len(names) != 1:
        raise MalformedError("engine.one-gguf", "this engine takes one GGUF file", got=", ".join(names) or "none",
                             hint="join a split GGUF before sealing it")  # fmt: skip
    descriptor = model[names[0]]
    try:
        seals = fcntl.fcntl(descriptor, _F_GET_SEALS)
    except OSError:
        seals = 0
    if seals & _SEALED != _SEALED:
        raise MisuseError("engine.model-not-sealed", "the model's memory can still change", where=names[0],
                          expected="a memfd sealed against writing, growing, shrinking and unsealing")  # fmt: skip
    return descriptor


def _check(descriptor: int) -> None:
    if os.fstat(descriptor).st_size == 0:
        raise MalformedError("gguf.truncated", "the model file is empty")
    with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as view:
        read_gguf(view)
