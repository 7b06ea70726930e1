"""What the kernel says about another process: the supervisor's own look at its child's layers.

A compromised child could report anything. Everything that /proc shows is read here instead; Landlock and closed
descriptors show nowhere and rest on the child's word, given before it touched anything untrusted.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sealroom.engines.sandbox.layers import Layer
from sealroom.errors import RefusedError

__all__ = ["ProcessFacts", "confirmed", "may_change_user", "read_facts", "require"]

_FILTERING = 2
_FOR_ANOTHER_USER = (0, 1, 5, 6, 7)  # CHOWN, DAC_OVERRIDE, KILL, SETGID, SETUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFacts:
    """From ``/proc/PID/status``: what it says and whose it is."""

    uids: tuple[int, ...]
    capabilities: int
    """Inherited, permitted, effective, bounding-independent and ambient sets, joined."""
    no_new_privileges: bool
    filtering: bool
    locked_bytes: int
    owner: int
    """0 for a process that is not dumpable, whoever runs it."""


def read_facts(pid: int, *, proc: Path = Path("/proc")) -> ProcessFacts:
    """Read them; raises `RefusedError` if the process is gone."""
    try:
        text = (proc / str(pid) / "status").read_text()
        owner = (proc / str(pid) / "status").stat().st_uid
    except OSError as error:
        raise RefusedError("sandbox.child-gone", "the engine ended before it could be checked") from error
    status = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    sets = ("CapInh", "CapPrm", "CapEff", "CapAmb")
    if missing := sorted({"Uid", *sets} - status.keys()):
        raise RefusedError("sandbox.facts-missing", "the kernel does not say what the engine may do",
                           where=f"/proc/{pid}/status", got=f"no {', '.join(missing)}")  # fmt: skip
    return ProcessFacts(
        uids=tuple(int(word) for word in status["Uid"].split()),
        capabilities=sum(int(status[name], 16) for name in sets),
        no_new_privileges=status.get("NoNewPrivs", "0").strip() == "1",
        filtering=int(status.get("Seccomp", "0")) == _FILTERING,
        locked_bytes=int(status.get("VmLck", "0 kB").split()[0]) * 1024,
        owner=owner,
    )


def may_change_user(*, proc: Path = Path("/proc")) -> bool:
    """Whether this process can give its child another user, and still reach what belongs to it."""
    needed = sum(1 << capability for capability in _FOR_ANOTHER_USER)
    for line in (proc / "self" / "status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16) & needed == needed
    return False


def confirmed(reported: Iterable[Layer], facts: ProcessFacts, *, user: int | None, weights: int) -> tuple[Layer, ...]:
    """The reported layers, less those that the facts contradict. ``weights`` in bytes."""
    locked = facts.locked_bytes >= weights
    seen = {
        # a child gets a user only from a supervisor that is root, so root's would be no user of its own
        Layer.OWN_USER: user not in (None, 0) and set(facts.uids) == {user},
        Layer.NO_CAPABILITIES: facts.capabilities == 0,
        Layer.NO_NEW_PRIVILEGES: facts.no_new_privileges,
        Layer.SECCOMP: facts.filtering,
        Layer.WEIGHTS_LOCKED: locked,
        # a process of uid 0 belongs to root either way; its own word has to do
        Layer.NOT_DUMPABLE: facts.owner == 0,
    }
    kept = [layer for layer in reported if seen.get(layer, True)]
    if Layer.WEIGHTS_LOCKED not in kept and Layer.WEIGHTS_NOT_LOCKED not in kept:
        kept.append(Layer.WEIGHTS_NOT_LOCKED)
    return tuple(kept)


def require(required: Iterable[Layer], present: Iterable[Layer]) -> None:
    """Raise `RefusedError` unless every required layer is there."""
    missing = sorted(set(required) - set(present))
    if missing:
        raise RefusedError(
            "sandbox.layer-missing",
            "a required layer of the engine's sandbox is not in force",
            where="engine.required_layers",
            got=", ".join(sorted(present)) or "no layer",
            expected=", ".join(missing),
            hint="run on a kernel with Landlock and seccomp, or change engine.required_layers, which changes the"
            " attested configuration",
        )
