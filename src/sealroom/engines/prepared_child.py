"""A child that has been started and knows nothing yet: its Python and the engine's code load while others work.

What it loads is measured code. It gets neither plan nor model before `hand_over`, and contains itself only then, so
a prepared child may do no more than any process of ours that has read nothing; it ends by itself if nobody takes it.
"""

import contextlib
import signal
import socket
import subprocess
import sys
from types import TracebackType

from sealroom.engines.child_plan import ChildPlan

__all__ = ["PreparedChild"]

# glibc: take huge pages, and 32 MiB at a time: a vocabulary is 10^5 small allocations (`bench/room_start.py`)
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.top_pad=33554432"}
_COMMAND = (sys.executable, "-I", "-m", "sealroom.engines.llama_cpp_child")


class PreparedChild:
    """The process, and our ends of what leads to it: a socket for words, pipes for its reports and its noise.

    Whoever made it closes it. After `take` it belongs to somebody else, and closing does nothing.
    """

    def __init__(self) -> None:
        """Start it, in this thread: the death signal of a child is tied to the thread that made it."""
        self.words, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - our own module
                _COMMAND, stdin=theirs.fileno(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_ENVIRONMENT,
                cwd="/", start_new_session=True,
            )  # fmt: skip
        self.words.shutdown(socket.SHUT_RD)  # it reports over its pipe; nothing that it might say here is heard
        self._taken = False

    @property
    def usable(self) -> bool:
        """Whether it waits for a plan still, and for nobody else's."""
        return not self._taken and self.process.poll() is None

    def take(self) -> None:
        """Make it somebody's: from here on they end it."""
        self._taken = True

    def hand_over(self, plan: ChildPlan, model: int) -> None:
        """Send the plan, and the model's descriptor with it."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has ended: its reports will say so
            socket.send_fds(self.words, [plan.encode()], [model])

    def say(self, word: bytes) -> None:
        """Send one word."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.words.send(word)

    def close(self) -> None:
        """End it and everything that leads to it, unless it was taken."""
        if self._taken:
            return
        self._taken = True
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.words.close()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> "PreparedChild":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
