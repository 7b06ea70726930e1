"""Trying to get out, for real, from inside: the sandbox's own test, run before the model is opened.

Each probe makes one attempt that the sandbox must refuse. Refused means that the kernel said EPERM, EACCES or ENOSYS:
"no such file" or "connection refused" would mean that the attempt got past the sandbox and failed for another reason.
"""

import errno
import os
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sealroom.engines.sandbox.layers import Layer
from sealroom.engines.sandbox.syscalls import invoke

__all__ = ["PROBES", "Probe", "Surroundings", "escapes"]

_REFUSALS = (errno.EPERM, errno.EACCES, errno.ENOSYS)
_NOWHERE = "/nonexistent"
_SOCK_ANY_FAMILY = {"tcp4": (2, 1), "tcp6": (10, 1), "udp4": (2, 2), "udp6": (10, 2), "netlink": (16, 3),
                    "packet": (17, 3), "vsock": (40, 1), "af-alg": (38, 5), "unix-datagram": (1, 2)}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One attempt, and the layer that promises to refuse it."""

    name: str
    layer: Layer
    attempt: Callable[["Surroundings"], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the probes aim at."""

    parent: int
    directory: str
    """The only directory in which the process may do anything: make its socket."""


def escapes(layers: Iterable[Layer], surroundings: Surroundings) -> tuple[str, ...]:
    """Make every attempt that a layer in ``layers`` promises to refuse; return the names of those that got out."""
    in_force = frozenset(layers)
    return tuple(probe.name for probe in PROBES if probe.layer in in_force and not _refused(probe, surroundings))


def _refused(probe: Probe, surroundings: Surroundings) -> bool:
    try:
        probe.attempt(surroundings)
    except OSError as error:
        return error.errno in _REFUSALS
    return False


def _call(name: str, *arguments: int | bytes) -> Callable[[Surroundings], None]:
    def attempt(_: Surroundings) -> None:
        _raw(name, *arguments)

    return attempt


def _raw(name: str, *arguments: int | bytes) -> None:
    result = invoke(name, *arguments)
    if result < 0:
        raise OSError(-result, name)


def _make_socket(family: int, kind: int) -> Callable[[Surroundings], None]:
    def attempt(_: Surroundings) -> None:
        socket.socket(family, kind).close()

    return attempt


def _connect(address: str) -> Callable[[Surroundings], None]:
    def attempt(_: Surroundings) -> None:
        with socket.socket(socket.AF_UNIX) as end:
            end.connect(address)

    return attempt


def _open(path: str, flags: int) -> Callable[[Surroundings], None]:
    def attempt(_: Surroundings) -> None:
        os.close(os.open(path, flags, 0o600))

    return attempt


def _write_beside_the_socket(around: Surroundings) -> None:
    os.close(os.open(f"{around.directory}/probe", os.O_CREAT | os.O_WRONLY, 0o600))


def _fork(_: Surroundings) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)


_PTRACE_GETREGS, _PR_SET_DUMPABLE, _NEW_USER_NAMESPACE = 12, 4, 0x10000000
_ANONYMOUS_PRIVATE, _READ_WRITE_EXECUTE = 0x22, 7
_CREATE_FOR_WRITING = os.O_CREAT | os.O_WRONLY

_ATTEMPTS: dict[Layer, dict[str, Callable[[Surroundings], object]]] = {
    Layer.SECCOMP: {
        **{f"socket {name}": _make_socket(*kind) for name, kind in _SOCK_ANY_FAMILY.items()},
        "connect by path": _connect(_NOWHERE),
        "connect by abstract name": _connect("\0sealroom-probe"),
        "send a descriptor": _call("sendmsg", 0, 0, 0),
        "socketpair": _call("socketpair", 1, 1, 0, bytes(8)),
        "execve": _call("execve", _NOWHERE.encode() + b"\0", 0, 0),
        "execveat": _call("execveat", -100, _NOWHERE.encode() + b"\0", 0, 0, 0),
        "fork": _fork,
        "clone3": _call("clone3", 0, 0),
        "ptrace the supervisor": lambda around: _raw("ptrace", _PTRACE_GETREGS, around.parent, 0, 0),
        "read the supervisor's memory": lambda around: _raw("process_vm_readv", around.parent, 0, 0, 0, 0, 0),
        "signal the supervisor": lambda around: os.kill(around.parent, 0),
        "pidfd of the supervisor": lambda around: _raw("pidfd_open", around.parent, 0),
        "new user namespace": _call("unshare", _NEW_USER_NAMESPACE),
        "enter a namespace": _call("setns", 0, 0),
        "mount": _call("mount", 0, 0, 0, 0, 0),
        "load bpf": _call("bpf", 0, 0, 0),
        "perf events": _call("perf_event_open", 0, 0, 0, 0, 0),
        "userfaultfd": _call("userfaultfd", 0),
        "io_uring": _call("io_uring_setup", 1, 0),
        "kernel keyring": _call("keyctl", 0, -3, 0),
        "executable memory": _call("mmap", 0, 4096, _READ_WRITE_EXECUTE, _ANONYMOUS_PRIVATE, -1, 0),
        "become dumpable": _call("prctl", _PR_SET_DUMPABLE, 1, 0, 0, 0),
        "anonymous file": _call("memfd_create", b"probe\0", 0),
        "change a mode": lambda around: _raw("fchmodat", -100, around.directory.encode() + b"\0", 0o777, 0),
        "write a file": _open("/dev/null", os.O_WRONLY),
        "write beside the socket": _write_beside_the_socket,
    },
    Layer.LANDLOCK_FILES: {
        "read a file": _open("/etc/passwd", os.O_RDONLY),
        "list the root": _open("/", os.O_RDONLY | os.O_DIRECTORY),
        "list the processes": _open("/proc", os.O_RDONLY | os.O_DIRECTORY),
        "read the supervisor's environment": lambda around: _open(f"/proc/{around.parent}/environ", os.O_RDONLY)(
            around
        ),
        "create in /tmp": _open("/tmp/sealroom-probe", _CREATE_FOR_WRITING),  # noqa: S108 - it must not succeed
        "create in /dev/shm": _open("/dev/shm/sealroom-probe", _CREATE_FOR_WRITING),  # noqa: S108
    },
}

PROBES = tuple(
    Probe(name=name, layer=layer, attempt=attempt)
    for layer, attempts in _ATTEMPTS.items()
    for name, attempt in attempts.items()
)
