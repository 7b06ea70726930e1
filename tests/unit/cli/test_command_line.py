"""The command line itself: how it ends, what it says of itself, what a terminal shows."""

import http.server
import importlib
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import pytest
from rich.console import Console

from sealroom.cli.attack import table_lines
from sealroom.cli.main import VERBS, _run
from sealroom.cli.progress import Steps
from sealroom.policy import load_policy
from sealroom.testing.snp_guest import load_guest

_POLICY = 'policy = 1\nname = "any"\n[trust]\ntees = ["snp"]\n[snp]\n[unchecked]\n' + "".join(
    f'{name} = "a test"\n'
    for name in ("measurement", "minimum_tcb", "freshness", "report_data", "model", "init_data")
)


def sealroom(*words: object, **more: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sealroom", *map(str, words)]
    return subprocess.run(command, check=False, text=True, timeout=60, **more)  # type: ignore[call-overload]


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(_POLICY)
    return path


def test_a_reader_that_goes_away_is_neither_a_refusal_nor_a_bug(policy: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    done = sealroom("policy", "explain", policy, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)

    assert done.returncode == 128 + signal.SIGPIPE
    assert done.stderr == ""


def test_a_full_disk_behind_stdout_is_told_and_is_no_bug(policy: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = sealroom("policy", "check", policy, stdout=full, stderr=subprocess.PIPE)

    assert done.returncode == 5
    assert "(machine.refused)" in done.stderr
    assert "No space left" in done.stderr


@pytest.mark.parametrize("words", [(), ("--json",)])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_the_status_says_what_is_wrong_where_nothing_can_be_written(words: tuple[str, ...], stream: str) -> None:
    other = {"stdout": "stderr", "stderr": "stdout"}[stream]
    with Path("/dev/full").open("wb") as full:
        done = sealroom("verify", "/dev/null", *words, **{stream: full, other: subprocess.PIPE})

    assert done.returncode == 3
    assert "Traceback" not in (done.stderr or "")


def test_with_stdout_closed_nothing_that_is_opened_later_gets_the_output(policy: Path, tmp_path: Path) -> None:
    script = f'exec "{sys.executable}" -m sealroom simulate "{tmp_path}/guest" --init-data "{tmp_path}/init.toml" >&-'
    (tmp_path / "init.toml").write_text('version = "0.1.0"\nalgorithm = "sha256"\n[data]\n')

    done = subprocess.run(["/bin/sh", "-c", script], check=False, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert load_guest(tmp_path / "guest").simulated
    assert not any(b"insecure_simulated" in file.read_bytes() for file in (tmp_path / "guest").iterdir())


@pytest.mark.parametrize("verb", ["up", "proxy", "broker"])
@pytest.mark.parametrize("port", ["99999", "-1", "a"])
def test_a_port_that_is_none_is_a_mistake_in_the_command(
    verb: str, port: str, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--room", "http://127.0.0.1:1", "--policy", str(policy)] if verb == "proxy" else []

    assert _run([verb, *more, "--port", port]) == 2
    assert "--port" in capsys.readouterr().err


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]

    assert _run(["--version"]) == 0
    assert capsys.readouterr().out.strip() == project["version"]


@pytest.mark.parametrize("group", ["", "policy", "broker", "broker policy"])
def test_a_page_says_in_one_whole_line_what_each_verb_does(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run([*group.split(), "--help"]) == 0
    page = capsys.readouterr().out.partition("Commands:")[2]

    assert page
    assert "..." not in page
    assert group or all(f"  {verb} " in page for verb in VERBS)


@pytest.mark.parametrize(
    "verb", [*VERBS, "policy check", "policy explain", "policy engine", "broker run", "broker log", "broker floor"]
)
def test_no_switch_offers_its_own_opposite(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run([*verb.split(), "--help"]) == 0

    assert "--no-" not in capsys.readouterr().out


def test_sigterm_lets_a_verb_clean_up(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys, tempfile\n"
        "from sealroom.cli import main\n"
        "def verb(arguments):\n"
        "    with tempfile.TemporaryDirectory(dir=sys.argv[1]):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        signal.pause()\n"
        "    return 0\n"
        "main._run = verb\n"
        "main.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, timeout=60)

    assert done.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_live_progress_leaves_the_last_columns_to_what_the_terminal_echoes(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = Steps()
    steps.begin("seal", "sealing " + "a-very-long-name-of-a-model-" * 5)
    steps.progress("seal", 1, 2)
    steps.begin("room", "booting the room: engine")
    screen = Console(file=io.StringIO(), width=columns, force_terminal=False)

    screen.print(steps._progress.get_renderable())
    lines = screen.file.getvalue().rstrip("\n").split("\n")  # type: ignore[attr-defined]

    assert all(len(line.rstrip()) <= columns - 2 for line in lines)
    assert all(line.rstrip().endswith(" s") for line in lines), "the time is never what is cut"


def test_a_table_folds_its_words_and_never_its_codes() -> None:
    rows = [("evidence of another key, from a man in the middle", "caller", "binding.report-data", "pass")]

    lines = list(table_lines(("tried", "who noticed", "error code", "result"), rows, columns=70))

    assert all(len(line) <= 70 for line in lines)
    assert "binding.report-data" in lines[1]
    assert list(table_lines(("a", "b"), [("x" * 200, "y")], columns=None))[1].endswith("y")


def test_a_simulated_guest_is_launched_once_more_on_the_same_chip_and_gives_policies_their_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, guest = tmp_path / "first.toml", tmp_path / "second.toml", tmp_path / "guest"
    for path, model in ((first, "one"), (second, "two")):
        path.write_text(f'version = "0.1.0"\nalgorithm = "sha256"\n[data]\n"sealroom.model" = "{model}"\n')

    assert _run(["simulate", str(guest), "--init-data", str(first)]) == 0
    before, sections = load_guest(guest), capsys.readouterr().out
    assert _run(["simulate", str(guest), "--init-data", str(second)]) == 0
    after = load_guest(guest)

    assert before.root_fingerprint == after.root_fingerprint
    assert before.report(bytes(64)) != after.report(bytes(64))
    rules = load_policy(f'policy = 1\nname = "x"\n{sections}[model]\nname = "m"\ndigest = ["sha256:{"00" * 32}"]\n',
                        source="test")  # fmt: skip
    assert before.root_fingerprint in rules.trust.insecure_simulated


def test_init_data_that_no_broker_would_take_is_refused_before_anything_is_launched(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[data]\n")

    assert _run(["simulate", str(tmp_path / "guest"), "--init-data", str(wrong)]) == 3
    assert not (tmp_path / "guest").exists()


def test_every_verb_is_a_module_that_registers_it() -> None:
    for verb, module in VERBS.items():
        assert hasattr(importlib.import_module(module), "register"), verb


def test_an_endpoint_that_is_something_else_is_no_bug_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    class Stranger(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"error": {}}')

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        status = _run(["chat", "--endpoint", f"http://127.0.0.1:{server.server_port}"])
        server.shutdown()

    assert status == 5
    assert "(chat.no-proof)" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"no model", b"GGU"])
def test_a_file_that_is_no_gguf_is_refused_before_it_is_sealed(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(content)

    assert _run(["up", "--model", str(model), "--port", "0", "--state", str(tmp_path / "state")]) == 3
    assert "(embedded.not-gguf)" in capsys.readouterr().err
    assert not (tmp_path / "state" / "models").exists()


def test_a_state_folder_that_can_not_be_used_is_told_with_a_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()

    assert _run(["up", "--port", "0", "--state", str(tmp_path / "file")]) == 5
    shown = capsys.readouterr().err
    assert "(embedded.state-folder)" in shown
    assert "--state" in shown


def test_a_port_in_use_is_told_with_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert _run(["up", "--port", str(port), "--state", str(tmp_path)]) == 5

    shown = capsys.readouterr().err
    assert f"127.0.0.1 port {port}" in shown
    assert "Address already in use\n" in shown


@pytest.mark.parametrize(
    "words",
    [["chat"], ["up", "--port", "0"], ["broker", "log"], ["seal", "m", "--key-file", "k"]],
    ids=lambda words: words[0],
)
def test_a_user_without_a_home_is_told_how_to_name_a_place(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("HOME", "SEALROOM_STATE", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda number: (_ for _ in ()).throw(KeyError(number)))

    assert _run(words) == 2
    shown = capsys.readouterr().err
    assert "no-home)" in shown
    assert "hint: --" in shown


def test_a_policy_for_the_broker_is_refused_with_the_name_of_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("policy = 1\nnam = 1\n")

    assert _run(["broker", "policy", "set", "models/a/b", str(wrong), "--state", str(tmp_path)]) == 3
    assert f"{wrong}:2" in capsys.readouterr().err


def test_whatever_is_wrong_with_a_key_the_error_names_its_file_and_nothing_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, wrong, sealed = tmp_path / "model.gguf", tmp_path / "wrong", tmp_path / "sealed"
    model.write_bytes(b"GGUF")
    wrong.write_text("5ec2e7" * 20)
    wrong.chmod(0o600)
    to = ["--output", str(sealed), "--publisher-key", str(tmp_path / "publisher.pem")]
    assert _run(["seal", str(model), "--key-file", str(tmp_path / "key"), *to]) == 0
    for words in (
        ["unseal", str(sealed), "--key-file", str(wrong)],
        ["unseal", str(sealed), "--recipient-key", str(wrong)],
        ["seal", str(model), "--recipient", str(wrong)],
        ["seal", str(model), "--key-file", str(tmp_path / "other"), "--publisher-key", str(wrong)],
    ):
        capsys.readouterr()
        assert _run(words) == 3
        shown = capsys.readouterr().err
        assert str(wrong) in shown, words
        assert "5ec2e7" not in shown, words


def test_evidence_that_is_none_is_named(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["verify", str(policy)]) == 3
    assert f"where:    {policy}" in capsys.readouterr().err
