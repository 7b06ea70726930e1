"""A person at a terminal, or a script at its place, and the two verbs that they use."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from loopback_room import ANSWER, MODEL, SECRET, TOKENS, LoopbackRoom

from sealroom.testing.snp import POLICY_DEBUG, SimulatedSnp


def run_chat(*options: str, typed: str, state: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sealroom", "chat", *options]
    environment = {**os.environ, "SEALROOM_STATE": str(state), "HOME": str(state)}
    return subprocess.run(
        command, input=typed, capture_output=True, text=True, timeout=60, check=False, env=environment, cwd=state
    )


def test_a_chat_answers_remembers_and_forgets(room: LoopbackRoom, policy: Path, tmp_path: Path) -> None:
    typed = f"{SECRET}\nand then?\n/new\nwho are you?\n/quit\nnever asked\n"
    done = run_chat("--room", room.url, "--policy", str(policy), typed=typed, state=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{ANSWER}\n" * 3
    asked = [json.loads(seen.body)["messages"] for seen in room.inner if seen.body]
    assert [[message["content"] for message in messages] for messages in asked] == [
        [SECRET],
        [SECRET, ANSWER, "and then?"],
        ["who are you?"],
    ]


def test_a_chat_shows_what_was_proved_before_the_first_word_and_on_demand(
    room: LoopbackRoom, policy: Path, tmp_path: Path
) -> None:
    done = run_chat("--room", room.url, "--policy", str(policy), typed="/proof\n", state=tmp_path)
    assert done.stderr.count("SIMULATED hardware") == 2
    assert done.stderr.count(f"model        {MODEL}") == 2
    assert done.stdout == ""


@pytest.mark.parametrize("endpoint", ["http://192.0.2.1:8642", "https://127.0.0.1.example/v1", "nowhere"])
def test_a_chat_says_nothing_to_an_endpoint_on_another_machine(endpoint: str, tmp_path: Path) -> None:
    # between here and there the words would be in clear, and what was proved would be the endpoint's own claim
    done = run_chat("--endpoint", endpoint, typed=f"{SECRET}\n", state=tmp_path)
    assert done.returncode == 2
    assert "chat.not-loopback" in done.stderr


def test_a_chat_writes_nothing_to_disk(room: LoopbackRoom, policy: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    run_chat("--room", room.url, "--policy", str(policy), typed=f"{SECRET}\n", state=tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_chat_with_a_room_that_is_refused_ends_before_the_first_word(
    room: LoopbackRoom, policy: Path, tmp_path: Path
) -> None:
    room.hardware = SimulatedSnp(platform=room.hardware.platform, policy=0x30000 | POLICY_DEBUG)
    done = run_chat("--room", room.url, "--policy", str(policy), typed=f"{SECRET}\n", state=tmp_path)
    assert done.returncode == 1
    assert "snp.debug" in done.stderr
    assert room.paths() == ["GET /.well-known/sealroom/evidence"]


def test_a_broken_answer_is_reported_and_the_chat_goes_on(room: LoopbackRoom, policy: Path, tmp_path: Path) -> None:
    room.script.finish = False
    done = run_chat("--room", room.url, "--policy", str(policy), typed="one\ntwo\n", state=tmp_path)
    assert done.returncode == 0
    assert done.stderr.count("client.cut-answer") == 2


def test_ctrl_c_stops_the_answer_in_the_room_and_ctrl_d_ends_the_chat(
    room: LoopbackRoom, policy: Path, tmp_path: Path
) -> None:
    try:
        ours, theirs = pty.openpty()
    except OSError:
        pytest.skip("this machine has no pseudo-terminals (/dev/pts)")
    room.script.pause_after_first_token = True
    command = [sys.executable, "-m", "sealroom", "chat", "--room", room.url, "--policy", str(policy)]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path) as process:
        os.close(theirs)
        read_until(ours, "> ")
        os.write(ours, b"question\n")
        read_until(ours, TOKENS[0])
        process.send_signal(signal.SIGINT)
        assert "stopped" in read_until(ours, "> ")
        assert room.left.wait(10)
        os.write(ours, b"\x04")
        assert process.wait(20) == 0
    os.close(ours)


def read_until(terminal: int, words: str) -> str:
    """What the terminal shows until ``words`` stand there."""
    shown = ""
    while words not in shown:
        shown += os.read(terminal, 4096).decode()
    return shown


def test_a_chat_without_anything_running_says_what_to_do(tmp_path: Path) -> None:
    done = run_chat(typed="", state=tmp_path)
    assert done.returncode == 5
    assert "sealroom up" in done.stderr


def test_the_proxy_proves_serves_and_ends_on_ctrl_c(room: LoopbackRoom, policy: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sealroom", "proxy", "--room", room.url, "--policy", str(policy),
               "--port", "0", "--json"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        announced = json.loads(process.stdout.readline())
        assert announced["appraisal"]["simulated"] is True
        endpoint = announced["endpoint"]
        assert httpx.get(f"{endpoint}/v1/models").json()["data"][0]["id"] == MODEL

        (tmp_path / "up.json").write_text(json.dumps({"endpoint": endpoint}))
        chatted = run_chat(typed=f"{SECRET}\n", state=tmp_path)
        assert chatted.stdout == f"{ANSWER}\n"
        assert "SIMULATED hardware" in chatted.stderr

        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in said


def test_the_proxy_does_not_listen_where_others_reach_it(room: LoopbackRoom, policy: Path) -> None:
    command = [sys.executable, "-m", "sealroom", "proxy", "--room", room.url, "--policy", str(policy),
               "--listen", "0.0.0.0"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "proxy.not-loopback" in done.stderr
    assert room.paths() == []


@pytest.mark.parametrize("options", [["--room", "http://127.0.0.1:9"], ["--policy", "p.toml"]])
def test_half_a_room_is_a_usage_error(options: list[str], tmp_path: Path) -> None:
    assert run_chat(*options, typed="", state=tmp_path).returncode == 2
