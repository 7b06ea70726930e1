"""A machine that lacks a library of the engine is told so, and not that its model is refused."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sealroom.engines.child_process import failure_of
from sealroom.errors import MalformedError, RefusedError, SealroomError, UnavailableError

_WORDS = "libgomp.so.1: cannot open shared object file"


def test_the_child_says_which_library_before_it_takes_a_model(tmp_path: Path) -> None:
    (tmp_path / "xllamacpp.py").write_text(f"raise ImportError({_WORDS!r})\n")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        done = subprocess.run([sys.executable, "-m", "sealroom.engines.llama_cpp_child"], stdin=theirs, text=True,
                              capture_output=True, timeout=60, check=False,
                              env={"PYTHONPATH": str(tmp_path)})  # fmt: skip
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"event": "failed", "reason": "engine.not-loadable", "detail": _WORDS}


@pytest.mark.parametrize(
    ("report", "kind", "code"),
    [
        ({"reason": "engine.not-loadable", "detail": _WORDS}, UnavailableError, "engine.not-loadable"),
        ({"reason": "sandbox.serving-filter"}, RefusedError, "sandbox.failed"),
        ({"reason": "RuntimeError"}, MalformedError, "engine.model-refused"),
        ({}, MalformedError, "engine.model-refused"),
    ],
)
def test_each_failure_has_its_own_family(report: dict[str, object], kind: type[SealroomError], code: str) -> None:
    failure = failure_of(report)
    assert (type(failure), failure.code) == (kind, code)
    if "detail" in report:
        assert _WORDS in str(failure.got)
        assert "apt-get install libgomp1" in str(failure.hint)
