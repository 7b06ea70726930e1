"""Programs of other people that answer questions, one JSON object a line (`go/main.go`, `go-tpm/main.go`)."""

import json
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

__all__ = ["Answers", "Ask", "asker"]

Answers = list[dict[str, Any]]
Ask = Callable[[Iterable[dict[str, Any]]], Answers]


def asker(folder: str, program: str) -> Ask:
    """Puts questions to the program; a test skips where it was not built, and fails where its source is newer."""
    place = Path(__file__).parent / folder
    built = place / ".build" / program
    if not built.exists():
        pytest.skip(f"{program} is not built here: scripts/setup-beside builds it where Go is installed")
    if built.stat().st_mtime < max((place / name).stat().st_mtime for name in ("main.go", "go.sum")):
        pytest.fail(f"{program} is older than its source: run scripts/setup-beside")

    def put(questions: Iterable[dict[str, Any]]) -> Answers:
        lines = "\n".join(map(json.dumps, questions)).encode()
        done = subprocess.run([built], input=lines, capture_output=True, check=True, timeout=60)
        return [json.loads(line) for line in done.stdout.splitlines()]

    return put
