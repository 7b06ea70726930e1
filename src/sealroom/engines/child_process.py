"""One life of the engine's process, from its start to its last trace.

It has nothing but a socket, two pipes and the model's descriptor; it is looked at from outside before it may open the
model; its noise is drained into a bounded ring that nobody prints, because what an engine says when it fails can hold
a prompt.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from sealroom.engines.base import EngineUnavailableError
from sealroom.engines.child_plan import GO, NOT_LOADABLE, ChildPlan
from sealroom.engines.prepared_child import PreparedChild
from sealroom.engines.sandbox import outside
from sealroom.engines.sandbox.layers import Layer
from sealroom.errors import MalformedError, RefusedError, SealroomError, UnavailableError

__all__ = ["ChildProcess", "NoiseRing", "make_socket_directory", "remove_socket_directory"]

_LONGEST_REPORT = 1 << 16
_NOISE_KEPT = 1 << 16
_LONGEST_SOCKET_DIRECTORY = 80  # sun_path is 108 bytes, less the socket's own name
_RETRY_AFTER = 2.0


class NoiseRing(asyncio.Protocol):
    """The last 64 KiB of the child's stderr: for a debugger attached to this process, never for a log."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def data_received(self, data: bytes) -> None:
        """Keep the end."""
        self._kept += data
        del self._kept[:-_NOISE_KEPT]

    def __contains__(self, word: bytes) -> bool:
        return word in self._kept


def make_socket_directory(root: Path | None, user: int | None) -> Path:
    """A fresh 0700 directory in memory, if this system has one, that belongs to ``user``."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    # a runtime directory is closed to every other user, so it serves only a child of our own
    wanted = [root, Path(runtime) if runtime and user is None else None, Path("/dev/shm")]  # noqa: S108 - mkdtemp
    usable = [path for path in wanted if path and path.is_dir() and os.access(path, os.W_OK | os.X_OK)]
    made = Path(tempfile.mkdtemp(prefix="sealroom-", dir=usable[0] if usable else None))
    if user is not None:
        os.chown(made, user, user)
    if len(str(made)) > _LONGEST_SOCKET_DIRECTORY:
        made.rmdir()
        raise RefusedError("engine.socket-path", "the path of the engine's socket is too long", got=made,
                           hint="configure a shorter socket_root")  # fmt: skip
    return made


class ChildProcess:
    """A running engine. `start` brings one up to the point where it waits for consent, `serve` gives it."""

    def __init__(self, prepared: PreparedChild, plan: ChildPlan) -> None:
        self._prepared = prepared
        self._process = prepared.process
        self._pidfd = os.pidfd_open(self._process.pid)
        prepared.take()
        self._plan = plan
        self._reports = asyncio.StreamReader(limit=_LONGEST_REPORT)
        self._pipes: list[asyncio.BaseTransport] = []
        self._closed = False
        self.noise = NoiseRing()
        self.layers: tuple[Layer, ...] = ()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def pid(self) -> int:
        """The process id, while it lives."""
        return self._process.pid

    @property
    def socket(self) -> str:
        """Path of its socket."""
        return self._plan.socket

    @classmethod
    async def start(cls, plan: ChildPlan, model: int, prepared: PreparedChild | None = None) -> "ChildProcess":
        """Hand plan and model to ``prepared``, or to a fresh child if it is not usable. Always ends with `kill`."""
        usable = prepared if prepared is not None and prepared.usable else PreparedChild()
        child = cls(usable, plan)
        await child._attach()
        usable.hand_over(plan, model)
        return child

    async def _attach(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._pidfd, self._reap)
        for pipe, protocol in (
            (self._process.stdout, asyncio.StreamReaderProtocol(self._reports)),
            (self._process.stderr, self.noise),
        ):
            transport, _ = await loop.connect_read_pipe(lambda made=protocol: made, pipe)  # type: ignore[misc]
            self._pipes.append(transport)

    async def contain(self, required: Collection[Layer]) -> None:
        """Wait for the child's report and check it from outside; the model is still closed.

        Raises:
            RefusedError: a required layer is missing, or an attempt to get out succeeded.
        """
        report = await self._report("contained")
        escaped = _words(report.get("escaped"))
        reported = [Layer(name) for name in _words(report.get("layers"))]
        if not escaped:
            reported.append(Layer.PROBES_REFUSED)
        facts = outside.read_facts(self.pid)
        self.layers = outside.confirmed(reported, facts, user=self._plan.user, weights=self._plan.model_size)
        if escaped and Layer.PROBES_REFUSED in required:
            raise RefusedError("sandbox.escaped", "an attempt to get out of the sandbox succeeded",
                               got=", ".join(escaped), hint="this kernel does not hold what it promises")  # fmt: skip
        outside.require(required, self.layers)

    async def serve(self) -> None:
        """Let it open the model; return when it listens.

        Raises:
            MalformedError: the engine does not take the model.
        """
        self._prepared.say(GO)
        await self._report("ready")

    async def _report(self, wanted: str) -> dict[str, object]:
        line = await self._reports.readline()
        if not line:
            raise EngineUnavailableError("engine.start-failed", "the engine ended while it started",
                                         retry_after=_RETRY_AFTER)  # fmt: skip
        report: dict[str, object] = json.loads(line)
        if report.get("event") == wanted:
            return report
        raise failure_of(report)

    def _reap(self) -> None:
        self._process.wait()
        asyncio.get_running_loop().remove_reader(self._pidfd)
        if not self.ended.done():
            self.ended.set_result(None)

    async def kill(self) -> None:
        """End it, wait until it is gone, and close everything that led to it."""
        if not self.ended.done():
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            await asyncio.shield(self.ended)
        if self._closed:  # several may have waited for the same end
            return
        self._closed = True
        os.close(self._pidfd)
        for transport in self._pipes:
            transport.close()
        self._prepared.words.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.socket)  # noqa: PTH108 - in memory, and pathlib is taken for blocking here


def remove_socket_directory(directory: Path | str) -> None:
    """Remove what `make_socket_directory` made, and anything in it."""
    shutil.rmtree(directory, ignore_errors=True)


def _words(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def failure_of(report: Mapping[str, object]) -> SealroomError:
    """What a child's report of a failure means to whoever started it."""
    reason = str(report.get("reason"))
    if reason == NOT_LOADABLE:
        return UnavailableError(
            NOT_LOADABLE,
            "the engine can not be loaded on this machine",
            got=report.get("detail"),
            hint="install the library that is named; libgomp.so.1: apt-get install libgomp1",
        )
    if reason.startswith("sandbox."):
        return RefusedError("sandbox.failed", "the engine could not be contained", got=reason)
    return MalformedError("engine.model-refused", "the engine does not take this model", got=reason)
