"""The guide to the parts by hand, every command of it as printed."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sealroom.embedded.launch import DEMONSTRATION_MODEL
from sealroom.embedded.system import shipped_models

_GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "run-the-parts.md"
_COMMANDS = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
_PORTS = ("8080", "8642", "8643")

pytestmark = [
    pytest.mark.flow,
    pytest.mark.timeout(180),
    pytest.mark.xdist_group("whole-system"),
    pytest.mark.skipif(
        not (shipped_models() / DEMONSTRATION_MODEL).exists(), reason="the demonstration model is not installed"
    ),
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine, and the guide uses it"),
]


def _script() -> str:
    """The commands of the guide, with free ports in place of its own."""
    script = "\n".join(_COMMANDS.findall(_GUIDE.read_text(encoding="utf-8")))
    script = script.replace("/path/to/sealroom/.venv", sys.prefix)
    with contextlib.ExitStack() as taken:
        listeners = [taken.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in _PORTS]
        free = [str(listener.getsockname()[1]) for listener in listeners]
    for printed, port in zip(_PORTS, free, strict=True):
        script = script.replace(printed, port)
    return script


def test_the_guide_by_hand_does_what_it_says(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}

    done = subprocess.run(["/bin/bash", "-m", "-c", _script()], check=False, capture_output=True, text=True,
                          cwd=tmp_path, env=environment, timeout=150)  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.count('ACCEPTED by policy "rooms that I trust"') == 2, (
        "judged now, and as of when it was fetched"
    )
    assert '"chat.completion"' in done.stdout
    assert "exit status 1" in done.stdout
    assert done.stdout.rstrip().endswith("init-data.not-accepted")
    assert f"{tmp_path}" not in "".join(_working_folders())


def _working_folders() -> list[str]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                found.append(str((folder / "cwd").readlink()))
            except OSError:
                continue
    return found
