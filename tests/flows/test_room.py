"""A room that is real but for its silicon: broker, sealed model, sandboxed engine, gateway.

What it answers is the model's business (a small one, which talks nonsense); what is asserted is the protocol.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from room_world import NAME, RoomWorld, room_world

import sealroom
from sealroom.embedded.processes import Child
from sealroom.errors import MalformedError, MisuseError, RefusedError, UnavailableError, UnverifiedError
from sealroom.testing.snp import SnpPlatform

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("room")]

SILICON = Path("/sys/kernel/config/tsm/report").exists()
MARK = "xyzzy-MARKED-plugh"


@pytest.fixture
async def world(tmp_path: Path, snp_platform: SnpPlatform) -> AsyncIterator[RoomWorld]:
    async with room_world(tmp_path, platform=snp_platform) as made:
        yield made


def client(world: RoomWorld, url: str) -> openai.AsyncOpenAI:
    http = sealroom.async_httpx_client(room=url, policy=world.policy)
    return openai.AsyncOpenAI(http_client=http, base_url=f"{url}/v1", api_key="none", max_retries=0)


def children_of(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def files_under(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def ask(ai: openai.AsyncOpenAI, text: str = "hello", **more: Any) -> Any:
    return await ai.chat.completions.create(
        model=NAME, messages=[{"role": "user", "content": text}], max_tokens=8, temperature=0, **more
    )


async def test_a_verified_caller_is_answered_streamed_and_not_and_nothing_is_written_of_it(
    world: RoomWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Any] = []
    config = world.config.read_text()
    monkeypatch.setenv("SEALROOM_LOG_LEVEL", "DEBUG")
    room, url = await world.room(on_event=events.append)
    states = [event["state"] for event in events if event["event"] == "state"]
    assert states == [
        "born",
        "keys",
        "evidence",
        "verification",
        "key-release",
        "weights",
        "engine",
        "serving",
    ]
    assert [event["ms"] for event in events[:-1]] == sorted(event["ms"] for event in events[:-1])
    async with client(world, url) as ai:
        whole = await ask(ai, MARK)
        assert whole.choices[0].finish_reason in ("length", "stop")
        pieces = [piece async for piece in await ask(ai, MARK, stream=True, stream_options={"include_usage": True})]
        assert pieces[-1].usage is not None
        assert [model.id async for model in ai.models.list()] == [NAME]
        completion = await ai.completions.create(model=NAME, prompt=MARK, max_tokens=4)
        assert completion.choices[0].finish_reason
        with pytest.raises(openai.BadRequestError, match="id_slot"):
            await ask(ai, extra_body={"id_slot": 0})
        with pytest.raises(openai.NotFoundError, match=NAME):
            await ai.completions.create(model="gpt-4o", prompt=MARK)
    answer = whole.choices[0].message.content or "no answer, nothing to look for"
    await room.stop()
    for path in files_under(world.folder):
        content = path.read_bytes()
        assert MARK.encode() not in content, path
        assert answer.strip().encode() not in content or len(answer.strip()) < 8, path
    assert "exchange: ok" in world.log("room").read_text()
    assert config == world.config.read_text()


async def test_it_ends_on_sigterm_after_its_answers_and_leaves_no_process(world: RoomWorld) -> None:
    room, url = await world.room()
    engines = children_of(room.pid)
    assert engines, "the engine is a process of its own"
    async with client(world, url) as ai:
        stream = await ask(ai, stream=True)
        first = await anext(aiter(stream))
        os.kill(room.pid, signal.SIGTERM)
        rest = [piece async for piece in stream]
        assert first.choices
        assert rest[-1].choices[0].finish_reason, "what had begun was let end"
    assert await asyncio.wait_for(room.ended(), 30) == 0
    assert not any(map(alive, engines))


@pytest.mark.parametrize("state", ["evidence", "weights", "engine"])
async def test_it_can_be_told_to_stop_while_it_boots_and_leaves_nothing(world: RoomWorld, state: str) -> None:
    def stop_at(event: Any) -> None:
        if event.get("state") == state:
            os.kill(world.started[0].pid, signal.SIGTERM)

    with pytest.raises(UnavailableError, match="ended before it was ready") as caught:
        await world.room(on_event=stop_at)
    assert caught.value.got == "exit status 0"
    assert children_of(world.started[0].pid) == []
    assert not alive(world.started[0].pid)


async def test_an_engine_that_is_killed_is_told_and_comes_back(world: RoomWorld) -> None:
    room, url = await world.room()
    async with client(world, url) as ai:
        await ask(ai)
        for pid in children_of(room.pid):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(openai.InternalServerError) as refused:
            await ask(ai)
        assert refused.value.status_code == 503
        assert int(refused.value.response.headers["retry-after"]) >= 1
    async with client(world, url).with_options(max_retries=10) as patient:
        assert (await ask(patient)).choices, "whoever waits as told is answered"


async def failure(world: RoomWorld, kind: type[BaseException], code: str) -> Child:
    with pytest.raises(kind) as caught:
        await world.room()
    assert getattr(caught.value, "code", None) == code
    (room,) = world.started
    assert await asyncio.wait_for(room.ended(), 30) != 0
    assert children_of(room.pid) == []
    return room


async def test_one_bit_of_the_weights_stops_the_boot(world: RoomWorld) -> None:
    data = world.package / "data" / "00000"
    with data.open("r+b") as file:
        file.seek(50_000_000)
        byte = file.read(1)[0]
        file.seek(50_000_000)
        file.write(bytes((byte ^ 1,)))
    await failure(world, UnverifiedError, "sealed.chunk-not-authentic")


async def test_another_publishers_model_is_refused_before_a_key_is_asked_for(world: RoomWorld) -> None:
    text = world.config.read_text()
    pinned = text.split('publisher = "sha256:')[1][:64]
    world.config.write_text(text.replace(pinned, "ab" * 32))
    await failure(world, UnverifiedError, "sealed.wrong-publisher")
    assert "key-release" not in world.log("room").read_text()


async def test_an_older_version_than_the_operator_allows_is_refused(world: RoomWorld) -> None:
    world.config.write_text(world.config.read_text().replace("minimum_version = 1", "minimum_version = 2"))
    await failure(world, RefusedError, "sealed.version-below-minimum")
    assert "key-release" not in world.log("room").read_text()


async def test_a_machine_launched_for_something_else_gets_no_key(world: RoomWorld) -> None:
    other = world.folder / "init-data.toml"
    other.write_text(other.read_text().replace(NAME, "another"))
    with pytest.raises((RefusedError, UnverifiedError)):
        await world.room()
    assert "key-release" not in world.log("room").read_text()


async def test_simulated_hardware_never_serves_the_world(world: RoomWorld) -> None:
    world.config.write_text(world.config.read_text().replace("127.0.0.1", "0.0.0.0", 1))
    await failure(world, MisuseError, "room.simulated-not-loopback")


async def test_without_silicon_and_without_permission_to_simulate_there_is_no_room(world: RoomWorld) -> None:
    if SILICON:
        pytest.skip("this machine has silicon of its own")
    with pytest.raises(UnavailableError):
        await world.room(hardware=())


async def test_a_key_that_nobody_knows_is_an_error_that_names_it(world: RoomWorld) -> None:
    world.config.write_text(world.config.read_text() + "\n[secrets]\nx = 1\n")
    await failure(world, MalformedError, "room.config")


async def test_a_port_in_use_is_told_before_anything_secret_is_here(world: RoomWorld) -> None:
    _, url = await world.room()
    port = httpx.URL(url).port
    world.config.write_text(world.config.read_text().replace("port = 0", f"port = {port}"))
    with pytest.raises(UnavailableError) as caught:
        await world.room(name="second")
    assert caught.value.code == "room.listen"
    assert "born" not in world.log("second").read_text()


async def test_a_second_room_of_the_same_machine_has_keys_of_its_own(world: RoomWorld) -> None:
    _, first = await world.room()
    _, second = await world.room(name="second")
    async with httpx.AsyncClient() as http:
        keys = [(await http.get(url + "/.well-known/ohttp-gateway")).content for url in (first, second)]
    assert keys[0] != keys[1]
