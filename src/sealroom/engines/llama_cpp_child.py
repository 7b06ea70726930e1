"""The engine's process: ``python -I -m sealroom.engines.llama_cpp_child``, started by `supervision` alone.

    1. read the plan from stdin; import the engine (measured, trusted code) while files can still be read
    2. keep three pipes and the model; lock the weights; leave the network; become another user
    3. give up capabilities, dumpability, files (Landlock) and system calls (seccomp)
    4. try to get out, in every way that the layers promise to refuse
    5. report, and wait for the supervisor's consent
    6. only now open the model: everything untrusted happens inside
    7. serve until the supervisor closes the pipe or ends

Nothing here logs, and stderr is the engine's own noise, which the supervisor drains and keeps to itself.
"""

import json
import os
import sys
from types import ModuleType

from sealroom.engines.child_plan import GO, ChildPlan
from sealroom.engines.sandbox import landlock, probes, process, seccomp
from sealroom.engines.sandbox.landlock import Access, Grant
from sealroom.engines.sandbox.layers import Layer
from sealroom.engines.sandbox.syscalls import here
from sealroom.errors import RefusedError, SealroomError

__all__ = ["READABLE", "main"]

READABLE = (
    Grant(path="/proc/cpuinfo", access=Access.READ_FILE),
    Grant(path="/proc/meminfo", access=Access.READ_FILE),
    Grant(path="/proc/sys/vm/overcommit_memory", access=Access.READ_FILE),
    Grant(path="/sys/devices/system/cpu", access=Access.READ_FILE | Access.READ_DIR),
    Grant(path="/dev/urandom", access=Access.READ_FILE),
)
"""What the engine may still read by name. The model is none of it: a memfd has no place in the file system."""
_OWN_DIRECTORY = Access.MAKE_SOCK | Access.REMOVE_FILE
_STDIN, _STDOUT, _STDERR = 0, 1, 2


def main() -> int:
    """Run the seven steps; the exit status tells the supervisor no more than that it ended."""
    reports = os.dup(_STDOUT)
    os.dup2(_STDERR, _STDOUT)  # whatever the engine prints is noise
    try:
        plan = ChildPlan.decode(_line())
        import xllamacpp  # noqa: PLC0415 - after the plan, so that a wrong start costs nothing

        layers = _contain(plan, reports)
        around = probes.Surroundings(parent=plan.supervisor, directory=plan.directory)
        escaped = probes.escapes(layers, around)
        _report(reports, event="contained", layers=layers, escaped=escaped)
        if _line() != GO:
            return 1
        server = _serve(xllamacpp, plan, layers)
        _report(reports, event="ready")
        _line()
        del server
    except SealroomError as error:
        _report(reports, event="failed", reason=error.code)
    except Exception as error:  # noqa: BLE001 - the engine's own; its text may quote the model, so only the type leaves
        _report(reports, event="failed", reason=type(error).__name__)
    return 0


def _contain(plan: ChildPlan, reports: int) -> tuple[Layer, ...]:
    process.limit_resources()
    layers = process.close_other_descriptors({_STDIN, _STDOUT, _STDERR, reports, plan.model})
    layers += process.lock_memory(plan.model, plan.model_size)
    layers += process.leave_network()
    process.drop_bounding_set()
    layers += process.become_user(plan.user)
    layers += process.drop_capabilities()
    process.die_with_parent(plan.supervisor)
    layers += process.hide_memory()
    layers += process.forbid_new_privileges()
    layers += landlock.restrict((*READABLE, Grant(path=plan.directory, access=_OWN_DIRECTORY)))
    if seccomp.apply(seccomp.loading_filter(here(), process=os.getpid())) == 0:
        layers += (Layer.SECCOMP,)
    return layers


def _serve(engine: ModuleType, plan: ChildPlan, layers: tuple[Layer, ...]) -> object:
    parameters = engine.CommonParams()
    parameters.model.path = f"/proc/self/fd/{plan.model}"
    parameters.hostnames = [plan.socket]
    for name, value in plan.parameters.items():
        _set(engine, parameters, name, value)
    server = engine.Server(parameters)
    if Layer.SECCOMP in layers and seccomp.apply(seccomp.serving_filter(here())) != 0:
        raise RefusedError("sandbox.serving-filter", "the kernel refused the second filter")
    return server


def _set(engine: ModuleType, parameters: object, name: str, value: object) -> None:
    *path, last = name.split(".")
    for part in path:
        parameters = getattr(parameters, part)
    old = getattr(parameters, last)
    if isinstance(value, str) and not isinstance(old, str):
        value = getattr(engine, type(old).__name__)[value]
    elif isinstance(old, set) and isinstance(value, list):
        value = set(value)
    setattr(parameters, last, value)


def _line() -> bytes:
    """One line of stdin, or nothing at its end. Unbuffered: there is no second reader, and no lookahead."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(_STDIN, 1)
        if not byte:
            return b""
        line += byte
    return line


def _report(descriptor: int, **facts: object) -> None:
    os.write(descriptor, json.dumps(facts).encode() + b"\n")


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # the engine's threads are not joined: there is nothing to save
