"""The whole system at its noisiest, asked a marked question: mark and answer are nowhere but at the two ends."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sealroom.embedded.launch import DEMONSTRATION_MODEL
from sealroom.embedded.system import shipped_models

pytestmark = [
    pytest.mark.flow,
    pytest.mark.timeout(180),
    pytest.mark.xdist_group("whole-system"),
    pytest.mark.skipif(
        not (shipped_models() / DEMONSTRATION_MODEL).exists(), reason="the demonstration model is not installed"
    ),
]

MARK = "zanzibarquokka7731"


def test_a_marked_prompt_is_in_no_log_no_file_and_no_database_at_the_noisiest_level(tmp_path: Path) -> None:
    state, scratch = tmp_path / "state", tmp_path / "tmp"
    scratch.mkdir()
    environment = {
        **os.environ,
        "SEALROOM_STATE": str(state),
        "SEALROOM_LOG_LEVEL": "DEBUG",
        "PYTHONASYNCIODEBUG": "1",
        "TMPDIR": str(scratch),
    }
    words = ("up", "--prompt", f"Repeat the word {MARK} three times.", "--max-tokens", "24", "--json")
    done = subprocess.run(
        [sys.executable, "-m", "sealroom", *words], check=False, capture_output=True, env=environment, timeout=170
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    answer = json.loads(done.stdout)["answer"]

    logs = {path.name: path.read_bytes() for path in (state / "logs").iterdir()}
    assert set(logs) == {"broker.log", "room.log"}
    assert any(b"DEBUG" in log for log in logs.values()), "the level did not reach the children: the test is blind"
    places = {"stderr": done.stderr} | {
        str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    }
    assert str(state / "broker" / "broker.sqlite") in places
    for secret in secrets_in(answer):
        assert [place for place, content in places.items() if secret in content] == []


def secrets_in(answer: str) -> list[bytes]:
    """The mark, and stretches of the answer that are too long to stand anywhere by chance."""
    stretches = re.findall(r"[^\n\"]{24,60}", answer)
    return [MARK.encode(), *(stretch.encode() for stretch in stretches)]
