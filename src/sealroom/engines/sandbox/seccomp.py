"""Which system calls an engine on the CPU may make: few, and by name.

Two filters, the second on top of the first. `loading_filter` stands before the model is opened: what serving needs,
plus reading files and making the one socket. `serving_filter` stands once the engine listens: no further socket and
no further file. A call that is not named fails with ENOSYS, as on a kernel that lacks it, because C libraries know
how to live with that; a named call with a wrong argument fails with EPERM.

The list comes from traces of the pinned engine build (start, chat, streams, schemas, embeddings, cancellation) and
what the C library does around threads and memory. It belongs to that build: a new one is traced anew.
"""

import ctypes
import errno
import struct

from sealroom.engines.sandbox.bpf import ALLOW, ArgumentTest, Rule, assemble, errno_action
from sealroom.engines.sandbox.syscalls import Architecture, invoke

__all__ = ["apply", "loading_filter", "serving_filter"]

_FILES = """read readv pread64 write writev close lseek fstat newfstatat stat lstat statx access faccessat faccessat2
    readlink readlinkat getdents64 getcwd unlink unlinkat fadvise64 dup pipe2 eventfd2
    poll ppoll select pselect6 epoll_create1 epoll_ctl epoll_wait epoll_pwait"""
"""Descriptors that are open already, and names to read; which names is Landlock's affair."""
_MEMORY = "munmap mremap madvise brk mlock mlock2 munlock membarrier"
_THREADS = """futex set_robust_list rseq set_tid_address gettid getpid getppid getuid geteuid getgid getegid
    exit exit_group sched_yield sched_getaffinity sched_setaffinity sched_getparam sched_getscheduler
    sched_get_priority_max sched_get_priority_min sigaltstack rt_sigaction rt_sigprocmask rt_sigreturn
    restart_syscall"""
_FACTS = """clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time times getrusage sysinfo uname
    getrandom getcpu getrlimit"""
_SERVING = "bind listen accept accept4 recvfrom sendto shutdown setsockopt getsockopt getsockname getpeername"
"""The one listening socket and what comes in through it. `connect` and `sendmsg` are absent."""
_ALLOWED = tuple(" ".join((_FILES, _MEMORY, _THREADS, _FACTS, _SERVING)).split())

_SET_MODE_FILTER, _FLAG_TSYNC = 1, 1
_REFUSED = errno_action(errno.EPERM)
_ABSENT = errno_action(errno.ENOSYS)

_PROT_EXEC = 0x4
_CLONE_THREAD = 0x10000
_AF_UNIX, _SOCK_STREAM, _SOCK_TYPE_MASK = 1, 1, 0xF
_WRITING = 0o3 | 0o100 | 0o1000 | 0o20000000  # O_ACCMODE, O_CREAT, O_TRUNC, O_TMPFILE's own bit
_PR_GET_DUMPABLE, _PR_SET_NAME, _PR_SET_VMA = 3, 15, 0x53564D41
_HARMLESS_FCNTLS = (0, 1, 2, 3, 4, 1030, 1034)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, F_GET_SEALS."""
_TCGETS, _FIONREAD, _FIONBIO = 0x5401, 0x541B, 0x5421


def _rules(process: int) -> tuple[Rule, ...]:
    no_code = ArgumentTest(argument=2, mask=_PROT_EXEC, values=(0,))

    def only(call: str, *tests: ArgumentTest) -> Rule:
        return Rule(call=call, tests=tests, otherwise=_REFUSED)

    return (
        only("mmap", no_code),
        only("mprotect", no_code),
        only("clone", ArgumentTest(argument=0, mask=_CLONE_THREAD, values=(_CLONE_THREAD,))),
        only("openat", ArgumentTest(argument=2, mask=_WRITING, values=(0,))),
        only("open", ArgumentTest(argument=1, mask=_WRITING, values=(0,))),
        # datagrams could be sent to any path without connect, so streams only
        only("socket", ArgumentTest(argument=0, values=(_AF_UNIX,)),
             ArgumentTest(argument=1, mask=_SOCK_TYPE_MASK, values=(_SOCK_STREAM,))),
        # not PR_SET_DUMPABLE, PR_SET_PTRACER, PR_SET_PDEATHSIG: they would undo what the process did to itself
        only("prctl", ArgumentTest(argument=0, values=(_PR_GET_DUMPABLE, _PR_SET_NAME, _PR_SET_VMA))),
        # not F_SETOWN and F_SETSIG: signals to others
        only("fcntl", ArgumentTest(argument=1, values=_HARMLESS_FCNTLS)),
        only("ioctl", ArgumentTest(argument=1, values=(_TCGETS, _FIONREAD, _FIONBIO))),
        only("prlimit64", ArgumentTest(argument=0, values=(0, process))),
        # a further filter can only take away; a listener (another flag) could let in
        only("seccomp", ArgumentTest(argument=0, values=(_SET_MODE_FILTER,)),
             ArgumentTest(argument=1, values=(_FLAG_TSYNC,))),
        only("tgkill", ArgumentTest(argument=0, values=(process,))),
    )  # fmt: skip


def loading_filter(architecture: Architecture, *, process: int) -> bytes:
    """The filter for ``process`` (its id; 0 for a digest that is the same for every process)."""
    return assemble(architecture, allowed=_ALLOWED, rules=_rules(process), otherwise=_ABSENT)


def serving_filter(architecture: Architecture) -> bytes:
    """What is taken away once the engine listens. Stacked filters: the stricter answer counts."""
    gone = tuple(
        Rule(call=call, tests=(ArgumentTest(argument=0, mask=0, values=()),), otherwise=_REFUSED)
        for call in ("socket", "bind", "listen", "open", "openat", "seccomp")
    )
    return assemble(architecture, allowed=(), rules=gone, otherwise=ALLOW)


def apply(program: bytes) -> int:
    """Put the filter on every thread of this process; 0 or the negative errno."""
    kept = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(kept))
    return invoke("seccomp", _SET_MODE_FILTER, _FLAG_TSYNC, header)
