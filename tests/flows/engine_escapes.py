"""Run by test_engine_sandbox.py in a process of its own: tries to get out, with or without the sandbox.

The aims come as JSON in the first argument, the outcome goes to stdout as JSON.
"""

import ctypes
import encodings.idna  # noqa: F401 - host names need it, and the sandbox has no files to import from
import errno
import json
import os
import socket
import sys
from collections.abc import Callable

from sealroom.engines.child_plan import ChildPlan
from sealroom.engines.llama_cpp_child import _contain

_AIM = json.loads(sys.argv[1])
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_long
_READ_WRITE_EXECUTE, _PRIVATE_ANONYMOUS, _PR_SET_DUMPABLE, _PTRACE_TRACEME = 7, 0x22, 4, 0


def tcp() -> None:
    socket.create_connection(("127.0.0.1", _AIM["tcp"]), 5)


def udp() -> None:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", _AIM["udp"]))


def unix_stream() -> None:
    socket.socket(socket.AF_UNIX).connect(_AIM["stream"])


def unix_datagram() -> None:
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"x", _AIM["datagram"])


def abstract_socket() -> None:
    socket.socket(socket.AF_UNIX).connect("\0" + _AIM["abstract"])


def read_file() -> None:
    os.close(os.open(_AIM["file"], os.O_RDONLY))


def list_folder() -> None:
    os.close(os.open(_AIM["folder"], os.O_RDONLY | os.O_DIRECTORY))


def write_file() -> None:
    os.close(os.open(_AIM["folder"] + "/new", os.O_WRONLY | os.O_CREAT))


def write_shared_memory() -> None:
    os.close(os.open(_AIM["shm"], os.O_WRONLY | os.O_CREAT))
    os.unlink(_AIM["shm"])  # noqa: PTH108


def write_beside_the_socket() -> None:
    os.close(os.open(_AIM["own"] + "/new", os.O_WRONLY | os.O_CREAT))


def change_mode() -> None:
    os.chmod(_AIM["own"], 0o700)  # noqa: PTH101


def parent_environment() -> None:
    os.close(os.open(f"/proc/{os.getppid()}/environ", os.O_RDONLY))


def fork() -> None:
    if os.fork() == 0:
        os._exit(0)
    os.wait()


def execute() -> None:
    try:
        child = os.fork()
    except OSError:
        child = 0  # no fork in the sandbox: then this process tries it, and is gone if it succeeds
    if child == 0:
        os.execv("/bin/true", ["true"])
    os.wait()


def signal_parent() -> None:
    os.kill(os.getppid(), 0)


def executable_memory() -> None:
    _checked(_LIBC.mmap(None, 4096, _READ_WRITE_EXECUTE, _PRIVATE_ANONYMOUS, -1, 0))


def become_dumpable() -> None:
    _checked(_LIBC.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0))


def anonymous_file() -> None:
    os.close(os.memfd_create("x"))


def pair_of_sockets() -> None:
    socket.socketpair()


def be_traced() -> None:
    _checked(_LIBC.ptrace(_PTRACE_TRACEME, 0, 0, 0))


def _checked(result: int) -> None:
    if result == -1:
        raise OSError(ctypes.get_errno(), "")


ATTEMPTS: tuple[Callable[[], None], ...] = (
    tcp, udp, unix_stream, unix_datagram, abstract_socket, read_file, list_folder, write_file, write_shared_memory,
    write_beside_the_socket, change_mode, parent_environment, fork, execute, signal_parent, executable_memory,
    become_dumpable, anonymous_file, pair_of_sockets, be_traced,
)  # fmt: skip
outcome: dict[str, str] = {}


def main() -> None:
    """Contain ourselves as the engine's child does, if asked to, and try everything."""
    reports = os.dup(1)
    if _AIM["contained"]:
        plan = ChildPlan(supervisor=os.getppid(), model_size=4096, directory=_AIM["own"], user=_AIM["user"],
                         parameters={})  # fmt: skip
        _contain(plan, 0, reports)
    for attempt in ATTEMPTS:
        try:
            attempt()
            outcome[attempt.__name__] = "got out"
        except OSError as error:
            outcome[attempt.__name__] = errno.errorcode.get(error.errno or 0, "timed out")
    os.write(reports, json.dumps(outcome).encode())
    os._exit(0)


if __name__ == "__main__":
    main()
