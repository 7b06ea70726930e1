"""The engine's process from start to end: what it is given, what it can not do, and what happens when it dies."""

import asyncio
import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from engine_world import EMBEDDINGS, chat, sealed, sealed_model, whole

from sealroom.engines.base import EnginePhase, EngineRequest, EngineUnavailableError
from sealroom.engines.child_plan import ChildPlan
from sealroom.engines.child_process import remove_socket_directory
from sealroom.engines.llama_cpp import LlamaCppEngine
from sealroom.engines.llama_cpp_settings import LlamaCppSettings
from sealroom.engines.prepared_child import PreparedChild
from sealroom.engines.sandbox import outside
from sealroom.engines.sandbox.layers import DEFAULT_REQUIRED, Layer
from sealroom.errors import MalformedError, MisuseError, RefusedError

pytestmark = [pytest.mark.flow, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("engine-life")]

_MARK = "MARKED-bluebird-7c1f"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncIterator[dict[str, int]]:
    with sealed_model() as files:
        yield files


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(model: dict[str, int]) -> AsyncIterator[LlamaCppEngine]:
    os.environ["SEALROOM_TEST_SECRET"] = _MARK
    started = LlamaCppEngine(_settings(embeddings=True))
    await started.start(model)
    yield started
    await started.stop()
    del os.environ["SEALROOM_TEST_SECRET"]


def _settings(**changes: object) -> LlamaCppSettings:
    defaults: dict[str, object] = {"model_name": "room", "slots": 1, "context_tokens": 512, "threads": 1}
    return LlamaCppSettings(**(defaults | changes))  # type: ignore[arg-type]


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _environment(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def _descriptors(pid: int) -> set[str]:
    return {str(entry.readlink()).split(":")[0] for entry in Path(f"/proc/{pid}/fd").iterdir()}


def _gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists() or _status(pid)["State"][0] == "Z"


def _is_there(path: str) -> bool:
    return Path(path).exists()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - another process has no event for us
            await asyncio.sleep(0.02)


async def test_the_required_layers_are_in_force_and_seen_from_outside(engine: LlamaCppEngine) -> None:
    assert set(engine.layers) >= {layer.value for layer in DEFAULT_REQUIRED}
    status = _status(engine.pid)
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}


async def test_the_weights_exist_once_and_are_locked_or_said_not_to_be(engine: LlamaCppEngine) -> None:
    kilobytes = {name: int(value.split()[0]) for name, value in _status(engine.pid).items() if value.endswith(" kB")}
    weights = 98_362_432 // 1024
    assert kilobytes["RssAnon"] < weights
    assert (kilobytes["VmLck"] >= weights) == (Layer.WEIGHTS_LOCKED in engine.layers)
    assert (Layer.WEIGHTS_NOT_LOCKED in engine.layers) != (Layer.WEIGHTS_LOCKED in engine.layers)


async def test_its_memory_is_closed_to_its_own_user(engine: LlamaCppEngine) -> None:
    user = int(_status(engine.pid)["Uid"].split()[0])
    same_user = {"user": user, "group": user, "extra_groups": []} if outside.may_change_user() else {}
    for name in ("environ", "mem", "maps"):
        command = ["/usr/bin/head", "-c", "1", f"/proc/{engine.pid}/{name}"]
        tried = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False, **same_user)
        assert tried.returncode != 0, name
        assert b"ermission denied" in tried.stderr


async def test_it_is_given_no_environment_and_no_descriptor_but_its_own(engine: LlamaCppEngine) -> None:
    if not outside.may_change_user():
        pytest.skip("only a privileged root may look into a process that is not dumpable")
    assert _MARK.encode() not in _environment(engine.pid)
    assert _descriptors(engine.pid) <= {"pipe", "socket", "/memfd"}


async def test_no_part_of_a_prompt_is_in_what_the_engine_printed(engine: LlamaCppEngine) -> None:
    await whole(engine, chat(f"Remember {_MARK}", caller=b"anna"))
    assert _MARK.encode() not in engine._answering._supervisor.child().noise


async def test_embeddings_come_from_a_second_process_over_the_same_weights(engine: LlamaCppEngine) -> None:
    status, raw = await whole(engine, EngineRequest(path=EMBEDDINGS, body={"input": ["fox", "budget"]}, caller=None))
    first, second = (datum["embedding"] for datum in json.loads(raw)["data"])
    assert status == 200
    assert len(first) == len(second) == 576
    assert first != second
    assert engine._embedding.pid != engine.pid
    assert int(_status(engine._embedding.pid)["RssAnon"].split()[0]) < 98_362_432 // 1024
    assert set(engine._embedding.layers) >= set(engine._answering.layers)


async def test_an_input_too_long_to_embed_is_the_callers_mistake(engine: LlamaCppEngine) -> None:
    status, raw = await whole(engine, EngineRequest(path=EMBEDDINGS, body={"input": "fox " * 900}, caller=None))
    assert status == 400
    assert b"too large" in raw


async def test_a_killed_engine_ends_its_stream_turns_callers_away_and_comes_back(engine: LlamaCppEngine) -> None:
    first = engine.pid
    async with engine.open(chat("tell", caller=b"anna", tokens=400, stream=True, ignore_eos=True)) as response:
        await anext(response.body)
        os.kill(first, 9)
        with pytest.raises(EngineUnavailableError):
            async with asyncio.timeout(10):
                _ = [piece async for piece in response.body]
    with pytest.raises(EngineUnavailableError) as turned_away:
        await whole(engine, chat("hi", caller=b"bert"))
    assert turned_away.value.retry_after > 0
    await _until(lambda: engine.state.phase is EnginePhase.READY and engine.pid != first)
    assert (await whole(engine, chat("hi", caller=b"bert")))[0] == 200


async def test_after_the_end_no_process_and_no_socket_is_left(model: dict[str, int]) -> None:
    engine = LlamaCppEngine(_settings())
    await engine.start(model)
    pid, path = engine.pid, engine.socket
    assert _is_there(path)
    await engine.stop()
    await engine.stop()
    assert not _is_there(f"/proc/{pid}")
    assert not _is_there(os.path.dirname(path))  # noqa: PTH120
    assert engine.state.phase is EnginePhase.STOPPED


async def test_the_engine_dies_with_its_supervisor() -> None:
    program = (
        "import asyncio, os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from engine_world import sealed_model\n"
        "from test_engine_life import LlamaCppEngine, _settings\n"
        "async def main():\n"
        "    with sealed_model() as model:\n"
        "        engine = LlamaCppEngine(_settings()); await engine.start(model)\n"
        "        print(engine.pid, engine.socket, flush=True); os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", program, here]
    ended = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    pid, path = ended.stdout.split()
    await _until(lambda: _gone(int(pid)))
    remove_socket_directory(os.path.dirname(path))  # noqa: PTH120


async def test_a_prepared_child_becomes_the_engine_and_a_crash_is_mended_without_one(model: dict[str, int]) -> None:
    with PreparedChild() as prepared:
        engine = LlamaCppEngine(_settings(), prepared)
        await engine.start(model)
        assert engine.pid == prepared.process.pid
        assert set(engine.layers) >= {layer.value for layer in DEFAULT_REQUIRED}
        os.kill(engine.pid, 9)
        await _until(lambda: engine.state.phase is EnginePhase.READY and engine.pid != prepared.process.pid)
    assert (await whole(engine, chat("hi", caller=None)))[0] == 200, "what was taken is not its maker's to end"
    await engine.stop()


async def test_a_prepared_child_that_died_before_the_start_is_replaced(model: dict[str, int]) -> None:
    with PreparedChild() as prepared:
        prepared.process.kill()
        await asyncio.to_thread(prepared.process.wait)
        engine = LlamaCppEngine(_settings(), prepared)
        await engine.start(model)
        assert engine.pid != prepared.process.pid
        await engine.stop()


async def test_a_prepared_child_that_nobody_starts_leaves_nothing() -> None:
    with PreparedChild() as prepared:
        assert not _gone(prepared.process.pid)
    assert not _is_there(f"/proc/{prepared.process.pid}")
    assert prepared.words.fileno() == -1


async def test_a_prepared_child_ends_when_its_supervisor_hangs_up() -> None:
    with PreparedChild() as prepared:
        prepared.words.close()
        assert await asyncio.to_thread(prepared.process.wait, 60) == 1


async def test_a_prepared_child_dies_with_its_supervisor() -> None:
    program = (
        "import os\n"
        "from sealroom.engines.prepared_child import PreparedChild\n"
        "print(PreparedChild().process.pid, flush=True); os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-c", program]
    ended = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    await _until(lambda: _gone(int(ended.stdout)))


async def test_a_child_that_is_given_no_plan_in_time_ends() -> None:
    program = (
        "from sealroom.engines import llama_cpp_child as child\n"
        "child.PLAN_WITHIN = 0.05\n"
        "raise SystemExit(child.main())\n"
    )
    words, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with words, theirs:
        command = [sys.executable, "-c", program]
        ended = await asyncio.to_thread(subprocess.run, command, stdin=theirs, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, b"")


async def test_a_plan_that_comes_without_its_model_is_refused() -> None:
    plan = ChildPlan(supervisor=os.getpid(), model_size=1, directory="/nowhere", user=None, parameters={})
    with PreparedChild() as prepared:
        prepared.say(plan.encode())
        assert prepared.process.stdout is not None
        report = json.loads(await asyncio.to_thread(prepared.process.stdout.readline))
    assert report == {"event": "failed", "reason": "sandbox.bad-plan"}


async def test_a_missing_required_layer_means_no_engine(model: dict[str, int]) -> None:
    engine = LlamaCppEngine(_settings(required_layers=frozenset({Layer.WEIGHTS_LOCKED, Layer.WEIGHTS_NOT_LOCKED})))
    with pytest.raises(RefusedError) as refused:
        await engine.start(model)
    assert refused.value.code == "sandbox.layer-missing"
    assert refused.value.hint
    assert engine.state.phase is EnginePhase.STOPPED


async def test_the_switch_for_development_shows_in_the_layers_and_in_the_digest(model: dict[str, int]) -> None:
    impossible = frozenset({Layer.WEIGHTS_LOCKED, Layer.WEIGHTS_NOT_LOCKED})
    engine = LlamaCppEngine(_settings(required_layers=impossible, insecure_allow_missing_layers=True))
    await engine.start(model)
    assert "insecure-missing-layers-allowed" in engine.layers
    assert engine.config_digest != LlamaCppEngine(_settings(required_layers=impossible)).config_digest
    await engine.stop()


async def test_a_file_that_is_no_model_never_reaches_the_engine() -> None:
    descriptor = sealed(b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1))
    with pytest.raises(MalformedError) as refused:
        await LlamaCppEngine(_settings()).start({"m.gguf": descriptor})
    assert refused.value.code == "gguf.count"
    os.close(descriptor)


async def test_a_model_that_only_the_engine_finds_wrong_is_refused_without_its_words() -> None:
    key, value = b"general.architecture", b"nonsense"
    pair = struct.pack("<Q", len(key)) + key + struct.pack("<IQ", 8, len(value)) + value
    descriptor = sealed((b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + pair).ljust(256, b"\0"))
    with pytest.raises(MalformedError) as refused:
        await LlamaCppEngine(_settings()).start({"m.gguf": descriptor})
    assert refused.value.code == "engine.model-refused"
    assert "nonsense" not in str(refused.value)
    os.close(descriptor)


async def test_memory_that_can_still_change_is_refused() -> None:
    descriptor = os.memfd_create("model", os.MFD_ALLOW_SEALING)
    with pytest.raises(MisuseError, match="can still change"):
        await LlamaCppEngine(_settings()).start({"m.gguf": descriptor})
    os.close(descriptor)
