"""No way out: what the engine's sandbox refuses, tried against things that are really there.

Each attempt is also made without the sandbox, by the same program: an attempt that fails anyway would prove nothing.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealroom.engines.child_process import make_socket_directory, remove_socket_directory
from sealroom.engines.sandbox import landlock, outside

pytestmark = [pytest.mark.flow]

_PROGRAM = Path(__file__).with_name("engine_escapes.py")
_BY_LANDLOCK_ALONE = {"read_file", "list_folder", "parent_environment"}


@pytest.fixture(scope="module")
def targets() -> Iterator[dict[str, object]]:
    """Listeners, files and folders that anybody on this machine may use."""
    user = 65_432 if os.geteuid() == 0 and outside.may_change_user() else None
    own = make_socket_directory(None, user)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o777)
        (folder / "file").write_text("content")
        (folder / "file").chmod(0o644)
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=50))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        for kind, name in ((socket.SOCK_STREAM, "stream"), (socket.SOCK_DGRAM, "datagram")):
            end = stack.enter_context(socket.socket(socket.AF_UNIX, kind))
            end.bind(str(folder / name))
            (folder / name).chmod(0o777)
            if kind is socket.SOCK_STREAM:
                end.listen(50)
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0sealroom-test-{os.getpid()}")
        abstract.listen(50)
        yield {
            "tcp": tcp.getsockname()[1], "udp": udp.getsockname()[1], "stream": str(folder / "stream"),
            "datagram": str(folder / "datagram"), "abstract": f"sealroom-test-{os.getpid()}",
            "file": str(folder / "file"), "folder": str(folder), "shm": f"/dev/shm/sealroom-test-{os.getpid()}",
            "own": str(own), "program": "/bin/true", "user": user,
        }  # fmt: skip
    remove_socket_directory(own)


def _outcomes(targets: dict[str, object], *, contained: bool) -> dict[str, str]:
    """Run every attempt in a process of its own; stdin is what stands for the model."""
    aim = json.dumps({**targets, "contained": contained})
    with tempfile.TemporaryFile() as stand_in:
        stand_in.truncate(4096)
        ran = subprocess.run(
            [sys.executable, "-I", str(_PROGRAM), aim], stdin=stand_in, stdout=subprocess.PIPE, check=True
        )
    outcome: dict[str, str] = json.loads(ran.stdout)
    return outcome


def test_without_the_sandbox_every_attempt_succeeds(targets: dict[str, object]) -> None:
    outcome = _outcomes(targets, contained=False)
    assert {name for name, result in outcome.items() if result != "got out"} == set()


def test_inside_the_sandbox_no_attempt_succeeds(targets: dict[str, object]) -> None:
    outcome = _outcomes(targets, contained=True)
    refused = {"EPERM", "EACCES", "ENOSYS", "EBADF"}
    got_out = {name for name, result in outcome.items() if result not in refused}
    if landlock.abi() == 0:
        got_out -= _BY_LANDLOCK_ALONE
    assert got_out == set()


def test_files_stay_readable_without_landlock_and_that_is_said() -> None:
    if landlock.abi() > 0:
        pytest.skip(f"this kernel has Landlock (ABI {landlock.abi()}); the case needs one without")
    assert landlock.restrict(()) == ()
