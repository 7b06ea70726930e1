"""What tests of several TEEs ask for: a real emulator of a TPM, where there is one."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest


@pytest.fixture
def tcti(tmp_path: Path) -> Iterator[str]:
    """How tpm2-tools reach an emulator (swtpm) that was just switched on."""
    for tool in ("swtpm", "tpm2_quote", "tpm2_flushcontext"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed here")
    state = tmp_path / "swtpm"
    state.mkdir()
    port = two_free_ports()
    command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--server", f"type=tcp,port={port}",
               "--ctrl", f"type=tcp,port={port + 1}", "--flags", "not-need-init,startup-clear"]  # fmt: skip
    emulator = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield f"swtpm:host=127.0.0.1,port={port}"
    finally:
        emulator.kill()
        emulator.wait()


def two_free_ports() -> int:
    """The first of two that follow each other; tpm2-tools expect the second for control."""
    for _ in range(50):
        with closing(socket.socket()) as first, closing(socket.socket()) as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return int(port)
    pytest.skip("no two ports are free")


def wait_for(port: int) -> None:
    """Until the emulator's control port answers; its other port takes one caller at a time."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port + 1)) == 0:
                return
        time.sleep(0.02)
    pytest.skip("the emulator did not start")
