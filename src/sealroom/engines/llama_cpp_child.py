"""The engine's process: ``python -I -m sealroom.engines.llama_cpp_child``, started by `prepared_child` alone.

    1. ask to die with the supervisor; import the engine (measured, trusted code) while files can still be read
    2. wait for the plan and the model's descriptor; if none comes in time, or the supervisor ends, end
    3. keep the socket, the pipes and the model; lock the weights; leave the network; become another user
    4. give up capabilities, dumpability, files (Landlock) and system calls (seccomp)
    5. try to get out, in every way that the layers promise to refuse
    6. report, and wait for the supervisor's consent
    7. only now open the model: everything untrusted happens inside
    8. serve until the supervisor closes the socket or ends

Nothing here logs, and stderr is the engine's own noise, which the supervisor drains and keeps to itself.
"""

import json
import os
import socket
import sys
from types import ModuleType

from sealroom.engines.child_plan import GO, LONGEST_PLAN, NOT_LOADABLE, PLAN_WITHIN, ChildPlan
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
    """Run the eight steps; the exit status tells the supervisor no more than that it ended."""
    reports = os.dup(_STDOUT)
    os.dup2(_STDERR, _STDOUT)  # whatever the engine prints is noise
    try:
        process.ask_to_die_with_parent()
        try:
            import xllamacpp  # noqa: PLC0415 - nothing that fails here may go untold
        except ImportError as error:  # nothing of the model's is here yet: these words are about a library
            _report(reports, event="failed", reason=NOT_LOADABLE, detail=str(error)[:200])
            return 1
        if (given := _plan_and_model()) is None:
            return 1
        plan, model = given
        layers = _contain(plan, model, reports)
        around = probes.Surroundings(parent=plan.supervisor, directory=plan.directory)
        escaped = probes.escapes(layers, around)
        _report(reports, event="contained", layers=layers, escaped=escaped)
        if os.read(_STDIN, LONGEST_PLAN) != GO:
            return 1
        server = _serve(xllamacpp, plan, model, layers)
        _report(reports, event="ready")
        os.read(_STDIN, LONGEST_PLAN)
        del server
    except SealroomError as error:
        _report(reports, event="failed", reason=error.code)
    except Exception as error:  # noqa: BLE001 - the engine's own; its text may quote the model, so only the type leaves
        _report(reports, event="failed", reason=type(error).__name__)
    return 0


def _plan_and_model() -> tuple[ChildPlan, int] | None:
    """What the supervisor hands over; None if it ended, or nothing came in time."""
    words = socket.socket(fileno=_STDIN)
    try:
        words.settimeout(PLAN_WITHIN)
        message, descriptors, flags, _ = socket.recv_fds(words, LONGEST_PLAN, 1, socket.MSG_CMSG_CLOEXEC)
        words.settimeout(None)  # it comes back to a descriptor that blocks, as the reads below want it
    except TimeoutError:
        return None
    finally:
        words.detach()  # stays open: its end is the supervisor's
    if not message:
        return None
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) or len(descriptors) != 1:
        raise RefusedError("sandbox.bad-plan", "the plan came without its model, or not whole")
    return ChildPlan.decode(message), descriptors[0]


def _contain(plan: ChildPlan, model: int, reports: int) -> tuple[Layer, ...]:
    process.limit_resources()
    layers = process.close_other_descriptors({_STDIN, _STDOUT, _STDERR, reports, model})
    layers += process.lock_memory(model, plan.model_size)
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


def _serve(engine: ModuleType, plan: ChildPlan, model: int, layers: tuple[Layer, ...]) -> object:
    parameters = engine.CommonParams()
    parameters.model.path = f"/proc/self/fd/{model}"
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


def _report(descriptor: int, **facts: object) -> None:
    os.write(descriptor, json.dumps(facts).encode() + b"\n")


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # the engine's threads are not joined: there is nothing to save
