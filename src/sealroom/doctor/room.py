"""What a room needs of a machine beside evidence: an engine, what holds it in, and memory that stays in memory."""

from collections.abc import Iterator

from sealroom.doctor.facts import Facts, ProcessFacts
from sealroom.doctor.finding import Area, Finding, absent, missing, ok

__all__ = ["room_findings"]

_SINCE_ALL_SCOPES = 6


def room_findings(facts: Facts) -> Iterator[Finding]:
    """One for each need."""
    process = facts.process
    yield _engine(process)
    yield _files(process, facts.host.release)
    yield _calls(process)
    yield _user(process)
    yield _swap(process)
    yield _locking(process)


def _engine(process: ProcessFacts) -> Finding:
    if process.engine_fault:
        return missing("engine", f"llama.cpp is installed and can not be loaded: {process.engine_fault}",
                       "install the library that is named; libgomp.so.1: apt-get install libgomp1",
                       area=Area.ROOM)  # fmt: skip
    if process.engine:
        return ok("engine", "llama.cpp (xllamacpp) is installed", area=Area.ROOM)
    return missing("engine", "no engine is installed", 'pip install "sealroom[engine]"', area=Area.ROOM)


def _files(process: ProcessFacts, release: str) -> Finding:
    if process.landlock is None:
        return absent("sandbox: files", "rooms run on x86_64 and aarch64 alone", area=Area.ROOM)
    if not process.landlock:
        return missing("sandbox: files", f"kernel {release} offers no Landlock, and rooms need it by default",
                       "use a kernel of 5.13 or later, with landlock in its lsm= list", area=Area.ROOM)  # fmt: skip
    more = "" if process.landlock >= _SINCE_ALL_SCOPES else "; later kernels hold in more (6.12)"
    return ok("sandbox: files", f"Landlock, version {process.landlock}{more}", area=Area.ROOM)


def _calls(process: ProcessFacts) -> Finding:
    if process.seccomp:
        return ok("sandbox: calls", "seccomp filters system calls", area=Area.ROOM)
    return missing("sandbox: calls", "the kernel offers no seccomp, and rooms need it by default",
                   "use a kernel with CONFIG_SECCOMP_FILTER", area=Area.ROOM)  # fmt: skip


def _user(process: ProcessFacts) -> Finding:
    if process.changes_user:
        return ok("sandbox: user", "the engine can run as a user of its own", area=Area.ROOM)
    return missing("sandbox: user", "the engine runs as the same user as the room: this one can start it as no other",
                   "start the room as root; it gives up what it does not need", area=Area.ROOM)  # fmt: skip


def _swap(process: ProcessFacts) -> Finding:
    if process.swap:
        return missing("swap", "memory may be written to disk", "swapoff -a", area=Area.ROOM)
    return ok("swap", "off: memory stays in memory", area=Area.ROOM)


def _locking(process: ProcessFacts) -> Finding:
    if process.locks_anything:
        return ok("locked memory", "no limit: weights of any size can be locked", area=Area.ROOM)
    limit = (process.lockable or 0) // 2**20
    return missing("locked memory", f"{limit} MiB may be locked; larger weights are left unlocked",
                   "ulimit -l unlimited; of a service: LimitMEMLOCK=infinity", area=Area.ROOM)  # fmt: skip
