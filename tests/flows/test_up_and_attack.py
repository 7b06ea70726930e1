"""The whole system as a newcomer runs it: one command, every part real."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sealroom.embedded.launch import DEMONSTRATION_MODEL
from sealroom.embedded.system import shipped_models

pytestmark = [
    pytest.mark.flow,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("whole-system"),
    pytest.mark.skipif(
        not (shipped_models() / DEMONSTRATION_MODEL).exists(), reason="the demonstration model is not installed"
    ),
]


MODEL = "SmolLM2-135M-Instruct"


def sealroom(*words: str, state: Path, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SEALROOM_STATE": str(state)}
    command = [sys.executable, "-m", "sealroom", *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=timeout)


@contextmanager
def running_system(state: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """`sealroom up` that listens, and what it said of itself."""
    command = [sys.executable, "-m", "sealroom", "up", "--port", "0", "--json"]
    environment = {**os.environ, "SEALROOM_STATE": str(state)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as running:
        assert running.stdout is not None
        yield running, json.loads(running.stdout.readline())


def ask(url: str, body: dict[str, object]) -> dict[str, Any]:
    request = urllib.request.Request(
        url, data=json.dumps(body).encode(), headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found


def stat_of(pid: int) -> tuple[int, int] | None:
    """Parent and start time of a process that lives (a zombie does not)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else (int(fields[1]), int(fields[19]))


def descendants_of(root: int) -> dict[tuple[int, int], str]:
    """Command lines by process id and start time. By parentage, for the engine's command names no folder of ours."""
    found: dict[tuple[int, int], str] = {}
    family = {root}
    while True:
        pids = [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]
        born = {pid: stat for pid in pids if (stat := stat_of(pid)) and stat[0] in family and pid not in family}
        if not born:
            return found
        family |= set(born)
        for pid, (_, started) in born.items():
            found[pid, started] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def alive(started: dict[tuple[int, int], str]) -> list[str]:
    return [command for (pid, at), command in started.items() if (stat := stat_of(pid)) and stat[1] == at]


def processes_with(marker: str) -> list[str]:
    """Command lines of living processes that mention ``marker``."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if marker in command:
                found.append(command)
    return found


def test_a_question_is_answered_by_a_room_that_proved_itself_and_nothing_is_left_running(tmp_path: Path) -> None:
    done = sealroom("up", "--prompt", "What is a seal?", "--max-tokens", "16", "--json", state=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)

    assert set(result) == {"answer", "appraisal", "model_digest", "timeline_ms"}
    assert result["answer"].strip()
    assert result["appraisal"]["accepted"] is True
    assert result["appraisal"]["simulated"] is True
    assert all(check["passed"] for check in result["appraisal"]["checks"])
    by_name = {check["check"]: check for check in result["appraisal"]["checks"]}
    assert by_name["engine.config-digest"]["source"] == "policy: [engine] config_digest"
    assert "landlock-files" in by_name["engine.sandbox-layers"]["wanted"]
    assert by_name["engine.insecure-layers"]["got"] == "none"
    assert result["model_digest"].startswith("sha256:")
    order = ["evidence", "verification", "key_release", "unsealing", "engine_ready", "first_token", "last_token"]
    marks = [result["timeline_ms"][name] for name in order]
    assert marks == sorted(marks), result["timeline_ms"]
    assert processes_with(str(tmp_path)) == []


def test_the_second_start_does_not_seal_again_unless_the_release_policy_changed(tmp_path: Path) -> None:
    first, second = (
        json.loads(sealroom("up", "--prompt", "hello", "--max-tokens", "4", "--json", state=tmp_path).stdout)
        for _ in range(2)
    )
    assert first["model_digest"] == second["model_digest"]
    assert [path.name for path in (tmp_path / "models").iterdir() if path.is_dir()] == ["SmolLM2-135M-Instruct-v1"]


def test_an_interruption_between_sealing_and_its_record_does_not_stop_the_next_start(tmp_path: Path) -> None:
    words = ("up", "--prompt", "hello", "--max-tokens", "1", "--json")
    assert sealroom(*words, state=tmp_path).returncode == 0
    (tmp_path / "models" / "SmolLM2-135M-Instruct.json").unlink()  # as if it had not been written yet
    again = sealroom(*words, state=tmp_path)
    assert again.returncode == 0, again.stderr
    assert [path.name for path in (tmp_path / "models").iterdir() if path.is_dir()] == ["SmolLM2-135M-Instruct-v2"]


def test_the_endpoint_answers_an_openai_client_and_ctrl_c_ends_everything(tmp_path: Path) -> None:
    with running_system(tmp_path) as (running, said):
        started = descendants_of(running.pid)
        assert any("llama_cpp_child" in command for command in started.values()), "no engine seen: the test is blind"
        chat = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}
        assert ask(f"{said['endpoint']}/chat/completions", chat)["choices"][0]["message"]["content"]
        texts = {"model": MODEL, "input": ["a", "b"], "encoding_format": "float"}
        assert len(ask(f"{said['endpoint']}/embeddings", texts)["data"]) == 2
        started |= descendants_of(running.pid)  # the process for embeddings came with the first question to it
        assert sum("llama_cpp_child" in command for command in started.values()) == 2
        second = sealroom("up", "--port", "0", state=tmp_path)
        assert second.returncode == 5
        assert "embedded.already-running" in second.stderr
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=30) == 0
    assert alive(started) == []
    assert processes_with(str(tmp_path)) == []
    assert not (tmp_path / "up.json").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_start_that_is_broken_off_says_by_which_signal(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "sealroom", "up", "--port", "0"]
    environment = {**os.environ, "SEALROOM_STATE": str(tmp_path)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as starting:
        assert starting.stderr is not None
        starting.stderr.readline()  # the first step is done: it listens to signals
        starting.send_signal(number)
        assert starting.wait(timeout=30) == 128 + number
    assert processes_with(str(tmp_path)) == []


def test_no_child_survives_even_if_up_is_killed(tmp_path: Path) -> None:
    with running_system(tmp_path) as (running, _):
        started = descendants_of(running.pid)
        assert any("llama_cpp_child" in command for command in started.values()), "no engine seen: the test is blind"
        running.kill()
    deadline = time.monotonic() + 20
    while alive(started) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert alive(started) == []


def test_every_attack_is_refused_for_its_own_reason(tmp_path: Path) -> None:
    done = sealroom("attack", "--json", state=tmp_path)
    result = json.loads(done.stdout)
    assert [row["attack"] for row in result["attacks"] if not row["pass"]] == []
    assert len(result["attacks"]) == 12
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("up", "--prompt", " "), 2, "up.empty-prompt"),
        (("up", "--model", "/nowhere/model.gguf", "--prompt", "x"), 2, "embedded.no-model"),
    ],
)
def test_wrong_input_is_told_what_is_wrong(tmp_path: Path, words: tuple[str, ...], status: int, code: str) -> None:
    done = sealroom(*words, state=tmp_path)
    assert (done.returncode, done.stdout) == (status, "")
    assert code in done.stderr
    assert "Traceback" not in done.stderr
