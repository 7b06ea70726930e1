"""A process that holds keys (room, broker): nothing of its memory leaves by a core dump, a debugger, the swap, its
environment, or a traceback."""

import ctypes
import logging
import os
import resource
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["harden_process", "quiet_asyncio", "silence_tracebacks", "swap_in_use", "take_variable", "wipe"]

_log = logging.getLogger("sealroom.room")
_PR_SET_DUMPABLE = 4


def harden_process() -> list[str]:
    """Forbid core dumps and debuggers of the same user; return what is left to warn of, in words."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings = []
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        warnings.append("this process can be dumped: prctl(PR_SET_DUMPABLE) failed")
    if swap_in_use(Path("/proc/swaps")):
        warnings.append("swap is on: memory of this process may be written to disk; turn it off with swapoff -a")
    for warning in warnings:
        _log.warning("%s", warning)
    return warnings


def swap_in_use(swaps: Path) -> bool:
    """Whether the kernel has anywhere to swap to. A table that can not be read counts as yes."""
    try:
        return len(swaps.read_text().splitlines()) > 1
    except OSError:
        return True


def wipe(secret: bytes) -> None:
    """Overwrite the one copy that a bytes object is. Copies that were made of it stay until their memory is reused.

    Python has no way to do this; CPython keeps the content of a bytes object at its end, before one zero byte.
    """
    if len(secret) > 1:  # shorter ones are shared by the whole interpreter
        ctypes.memset(id(secret) + bytes.__basicsize__ - 1, 0, len(secret))


def take_variable(name: str) -> str | None:
    """The environment variable ``name``, which is gone afterwards: from what children inherit, and its value from the
    memory that ``/proc/PID/environ`` shows."""
    value = os.environ.get(name)
    if value is None:
        return None
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_void_p
    if (place := libc.getenv(os.fsencode(name))) is not None:
        ctypes.memset(place, 0, len(os.fsencode(value)))
    del os.environ[name]
    return value


def silence_tracebacks() -> None:
    """Let no unhandled exception print its text: it may hold content. Type and place are enough to find a bug."""
    sys.excepthook = _tell_exception
    sys.unraisablehook = lambda unraisable: _tell(unraisable.exc_type, unraisable.exc_traceback)
    threading.excepthook = lambda arguments: _tell(arguments.exc_type, arguments.exc_traceback)


def quiet_asyncio(_loop: object, context: dict[str, Any]) -> None:
    """An event loop's exception handler that tells type and place; the default prints the exception and its task."""
    error = context.get("exception")
    _tell(type(error) if error is not None else None, error.__traceback__ if error is not None else None)


def _tell_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    del error
    if not issubclass(kind, KeyboardInterrupt):
        _tell(kind, trace)


def _tell(kind: type[BaseException] | None, trace: TracebackType | None) -> None:
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "an unknown place"
    _log.error("unhandled %s at %s", kind.__name__ if kind else "event", where)
