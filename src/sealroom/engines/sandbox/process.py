"""What a process does to itself before it touches anything that it does not trust. Runs in the engine's child only.

Order matters, and `sealroom.engines.llama_cpp_child` keeps it: what needs a privilege first (lock memory, leave the
network, change the user), then give up privileges, then the switches that a change of user resets.
"""

import ctypes
import errno
import os
import resource
import signal
import struct
from collections.abc import Collection

from sealroom.engines.sandbox.layers import Layer
from sealroom.engines.sandbox.syscalls import invoke
from sealroom.errors import RefusedError

__all__ = [
    "ask_to_die_with_parent",
    "become_user",
    "close_other_descriptors",
    "die_with_parent",
    "drop_bounding_set",
    "drop_capabilities",
    "forbid_new_privileges",
    "hide_memory",
    "leave_network",
    "limit_resources",
    "lock_memory",
]

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_LIBC.mlock.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_MAP_FAILED = ctypes.c_void_p(-1).value
_PROT_READ, _MAP_SHARED = 1, 1

_PR_SET_PDEATHSIG, _PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 1, 3, 4
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38
_CLONE_NEWNET = 0x40000000
_CAPABILITY_VERSION_3 = 0x20080522
_MOST_CAPABILITIES = 64


def limit_resources() -> None:
    """No core file, no file written, and a few hundred descriptors; a clean place to stand."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = 512 if hard == resource.RLIM_INFINITY else min(512, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.umask(0o177)
    os.chdir("/")
    os.environ.clear()


def close_other_descriptors(keep: Collection[int]) -> tuple[Layer, ...]:
    """Close every descriptor that is not in ``keep``."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are numbers here
        if int(name) not in keep:
            try:
                os.close(int(name))
            except OSError as error:
                if error.errno != errno.EBADF:  # the listing's own descriptor is gone already
                    raise
    return (Layer.CLOSED_DESCRIPTORS,)


def lock_memory(descriptor: int, size: int) -> tuple[Layer, ...]:
    """Map the sealed file and lock its pages, for as long as this process lives.

    Any later mapping of it shares the pages, so the engine needs no right to lock. It is done while the process may
    (CAP_IPC_LOCK, or an RLIMIT_MEMLOCK large enough), and what came of it is said, because mlock failures inside
    engines are silent.
    """
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
    address = _LIBC.mmap(None, size, _PROT_READ, _MAP_SHARED, descriptor, 0)
    if address == _MAP_FAILED or _LIBC.mlock(address, size) != 0:
        return (Layer.WEIGHTS_NOT_LOCKED,)
    return (Layer.WEIGHTS_LOCKED,)


def leave_network() -> tuple[Layer, ...]:
    """Into a network namespace of its own, without even loopback, where the privilege for it is at hand."""
    return (Layer.OWN_NETWORK,) if invoke("unshare", _CLONE_NEWNET) == 0 else ()


def become_user(user: int | None) -> tuple[Layer, ...]:
    """Become ``user`` (uid and gid alike), with no other group; None = stay who we are."""
    if user is None:
        return ()
    try:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    except OSError:
        return ()
    return (Layer.OWN_USER,)


def drop_bounding_set() -> None:
    """Take every capability out of the bounding set, as far as the privilege for it is at hand."""
    for capability in range(_MOST_CAPABILITIES):
        _LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def drop_capabilities() -> tuple[Layer, ...]:
    """Give up every capability in every set that a process controls."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    result = invoke("capset", header, bytes(24))
    return (Layer.NO_CAPABILITIES,) if result == 0 else ()


def ask_to_die_with_parent() -> None:
    """Be killed when the thread that made this process ends. Whether it has ended already is not looked at."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def die_with_parent(parent: int) -> None:
    """Be killed when ``parent`` ends. A change of user resets this, so it comes after."""
    ask_to_die_with_parent()
    if os.getppid() != parent:  # it ended before we asked
        raise RefusedError("sandbox.orphan", "the supervisor ended while its engine started")


def hide_memory() -> tuple[Layer, ...]:
    """No core dump, no ptrace, no /proc/PID/mem for others. A change of user resets this, so it comes after."""
    _LIBC.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    return (Layer.NOT_DUMPABLE,) if _LIBC.prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 else ()


def forbid_new_privileges() -> tuple[Layer, ...]:
    """No program run from here can gain a privilege; a filter needs this."""
    return (Layer.NO_NEW_PRIVILEGES,) if _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 else ()
