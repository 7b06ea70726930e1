"""A room proves itself anew for every nonce, over what it really is, and one slow caller does not stop the others."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sealroom.channel.channel_keys import ChannelKeys
from sealroom.embedded import documents
from sealroom.embedded.launch import Guest
from sealroom.engines.base import Engine
from sealroom.errors import MisuseError, RefusedError, SealroomError, UnavailableError, UnverifiedError
from sealroom.evidence import Attester, CollectedEvidence
from sealroom.policy import load_policy
from sealroom.room.boot import BootEvent, BootState
from sealroom.room.config import RoomConfig
from sealroom.room.evidence_service import Hardware, HardwareEvidence
from sealroom.room.hardening import swap_in_use, wipe
from sealroom.room.key_generations import KeyGenerations
from sealroom.room.limits import GatewayLimits
from sealroom.room.service import Room, _Parts, boot
from sealroom.sealed.publisher import PublisherKey
from sealroom.sealed.stores import open_package, seal_model, unseal
from sealroom.testing.snp import SimulatedSnp, SnpPlatform
from sealroom.testing.stub_engine import StubEngine
from sealroom.verifier import attest_room

NAME = "small"


@dataclass
class Setting:
    room: Room
    policy_text: str
    attester: Attester


def sealed_model(folder: Path, publisher: PublisherKey) -> tuple[Path, object]:
    (folder / "weights.bin").write_bytes(b"weights" * 20_000)
    info = seal_model(folder / "weights.bin", folder / "package", name=NAME, version=3, publisher=publisher)
    return info.path, info.dek


def config_for(folder: Path, publisher: PublisherKey, **changes: object) -> RoomConfig:
    settings: dict[str, object] = {
        "package": folder / "package", "publisher": publisher.digest, "broker": "http://127.0.0.1:1",
        "resource": f"models/{NAME}/v3", "release_wait": timedelta(0), "limits": GatewayLimits(evidence_waiting=2),
    }  # fmt: skip
    return RoomConfig(**settings | changes)  # type: ignore[arg-type]


@pytest.fixture
async def setting(tmp_path: Path, snp_platform: SnpPlatform) -> AsyncIterator[Setting]:
    publisher = PublisherKey.generate()
    path, dek = sealed_model(tmp_path, publisher)
    package = open_package(path, publisher=publisher.digest)
    guest = Guest.on(snp_platform, init_data=documents.init_data(NAME))
    attester = SimulatedSnp(platform=snp_platform, measurement=guest.measurement, host_data=guest.launch.host_data)
    engine = StubEngine()
    await engine.start({})
    now = datetime.now(UTC)
    room = Room(_Parts(
        hardware=Hardware(cpu=attester), package=package, model=unseal(package, dek), engine=engine,  # type: ignore[arg-type]
        keys=KeyGenerations(at=now, lifetime=timedelta(hours=12), overlap=timedelta(hours=1)),
        config=config_for(tmp_path, publisher),
    ))  # fmt: skip
    pins = documents.EnginePins(
        config_digest=engine.config_digest, sandbox_layers=engine.layers, insecure_layers=engine.layers
    )
    policy = documents.room_policy(guest.machine(), model_name=NAME, model_digest=package.model_digest, version=3,
                                   engine=pins)  # fmt: skip
    yield Setting(room, policy, attester)
    await room.close()


async def test_what_it_says_is_what_it_is_and_a_caller_can_verify_it(setting: Setting) -> None:
    bundle = await setting.room.evidence(b"\x01" * 32)
    proved = attest_room(
        bundle, load_policy(setting.policy_text, source="t"), nonce=b"\x01" * 32, at=datetime.now(UTC)
    )
    statement = proved.statement
    assert statement.key_configs == setting.room.keys.key_configs
    assert (statement.model_name, statement.model_version) == (NAME, 3)
    assert (statement.engine_name, statement.sandbox_layers) == ("stub", ("insecure-stub",))
    assert statement.not_after - statement.created_at == timedelta(hours=1)
    assert proved.appraisal.simulated


async def test_evidence_for_one_nonce_is_none_for_another(setting: Setting) -> None:
    bundle = await setting.room.evidence(b"\x01" * 32)
    with pytest.raises(UnverifiedError):
        attest_room(bundle, load_policy(setting.policy_text, source="t"), nonce=b"\x02" * 32, at=datetime.now(UTC))
    assert bundle != await setting.room.evidence(b"\x02" * 32)


async def test_after_a_rotation_the_statement_names_the_new_keys(setting: Setting) -> None:
    keys = setting.room.keys
    old = keys.key_configs
    keys.rotate(keys.current.born + timedelta(hours=12))
    bundle = await setting.room.evidence(b"\x01" * 32)
    proved = attest_room(
        bundle, load_policy(setting.policy_text, source="t"), nonce=b"\x01" * 32, at=datetime.now(UTC)
    )
    assert proved.statement.key_configs == keys.key_configs != old


async def test_a_rotation_that_fails_is_told_by_its_class_alone_and_tried_again(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without it the keys, and what was recorded under them, would live as long as the room."""
    failures = [MemoryError("MARKED"), UnavailableError("x.y", "MARKED")]
    rotated, done = ChannelKeys.rotated, asyncio.Event()

    def failing(keys: ChannelKeys) -> ChannelKeys:
        if failures:
            raise failures.pop()
        done.set()
        return rotated(keys)

    monkeypatch.setattr(ChannelKeys, "rotated", failing)
    monkeypatch.setattr("sealroom.room.service._ROTATION_PAUSE", 0.001)
    moment = timedelta(milliseconds=1)
    keys = KeyGenerations(at=datetime.now(UTC), lifetime=moment, overlap=moment)
    first = keys.current
    room = Room(replace(setting.room._parts, keys=keys))
    async with asyncio.timeout(20):
        await done.wait()
    assert keys.current is not first
    room._rotation.cancel()

    told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert [name in line for name, line in zip(("UnavailableError", "MemoryError"), told, strict=True)] == [True] * 2
    assert "MARKED" not in caplog.text


@pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
async def test_a_nonce_of_another_size_is_refused(setting: Setting, size: int) -> None:
    with pytest.raises(MisuseError):
        await setting.room.evidence(bytes(size))


class SlowSilicon:
    """Real simulated silicon that answers only when it is let."""

    def __init__(self, behind: Attester) -> None:
        self._behind = behind
        self.tee, self.simulated = behind.tee, behind.simulated
        self.let = threading.Event()
        self.at_once = 0
        self.most_at_once = 0

    def collect(self, report_data: bytes) -> CollectedEvidence:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.let.wait(20)
        self.at_once -= 1
        return self._behind.collect(report_data)


async def test_slow_silicon_is_asked_by_one_at_a_time_and_the_room_goes_on(setting: Setting) -> None:
    slow = SlowSilicon(setting.attester)
    setting.room._silicon = HardwareEvidence(Hardware(cpu=slow), patience=60)
    waiting = [asyncio.create_task(setting.room.evidence(bytes([number]) * 32)) for number in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(UnavailableError, match="too many"):
        await setting.room.evidence(b"\x09" * 32)
    slow.let.set()
    bundles = await asyncio.gather(*waiting)
    assert len(set(bundles)) == 2
    assert slow.most_at_once == 1
    assert await setting.room.evidence(b"\x09" * 32), "and the place is free again"


async def failed_boot(config: RoomConfig, attester: Attester) -> tuple[SealroomError, list[BootEvent], list[str]]:
    events: list[BootEvent] = []
    engines: list[str] = []

    def make(_: RoomConfig, name: str) -> Engine:
        engines.append(name)
        return StubEngine()

    with pytest.raises(SealroomError) as caught:
        await boot(config, attester=attester, on_event=events.append, engine_factory=make)
    return caught.value, events, engines


async def test_without_a_broker_there_are_no_weights_and_no_engine(tmp_path: Path, snp_platform: SnpPlatform) -> None:
    publisher = PublisherKey.generate()
    sealed_model(tmp_path, publisher)
    error, events, engines = await failed_boot(config_for(tmp_path, publisher), SimulatedSnp(platform=snp_platform))
    assert error.code == "room.broker-unreachable"
    assert events[-1].state is BootState.FAILED
    assert events[-1].facts == {"code": "room.broker-unreachable"}
    assert BootState.WEIGHTS not in [event.state for event in events]
    assert engines == []


def memory_held() -> list[str]:
    links = [entry for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    return [name for name in map(str, map(Path.readlink, links)) if name.startswith("/memfd:sealroom-")]


async def test_the_memory_taken_for_weights_whose_key_does_not_come_is_given_back(
    tmp_path: Path, snp_platform: SnpPlatform
) -> None:
    publisher = PublisherKey.generate()
    sealed_model(tmp_path, publisher)
    await failed_boot(config_for(tmp_path, publisher), SimulatedSnp(platform=snp_platform))
    assert memory_held() == []


async def test_a_password_in_the_brokers_address_is_told_to_nobody(tmp_path: Path, snp_platform: SnpPlatform) -> None:
    publisher = PublisherKey.generate()
    sealed_model(tmp_path, publisher)
    config = config_for(tmp_path, publisher, broker="http://operator:hunter2@127.0.0.1:1")
    error, events, _ = await failed_boot(config, SimulatedSnp(platform=snp_platform))
    assert "hunter2" not in error.diagnostics() + "".join(str(event.as_dict()) for event in events)


async def test_a_package_of_somebody_else_ends_the_boot_before_the_broker(
    tmp_path: Path, snp_platform: SnpPlatform
) -> None:
    sealed_model(tmp_path, PublisherKey.generate())
    config = config_for(tmp_path, PublisherKey.generate())
    error, events, _ = await failed_boot(config, SimulatedSnp(platform=snp_platform))
    assert error.code == "sealed.wrong-publisher"
    assert BootState.EVIDENCE not in [event.state for event in events]


async def test_a_rolled_back_package_ends_the_boot_before_the_broker(
    tmp_path: Path, snp_platform: SnpPlatform
) -> None:
    publisher = PublisherKey.generate()
    sealed_model(tmp_path, publisher)
    config = config_for(tmp_path, publisher, minimum_version=4)
    error, _, _ = await failed_boot(config, SimulatedSnp(platform=snp_platform))
    assert isinstance(error, RefusedError)
    assert error.code == "sealed.version-below-minimum"


async def test_simulated_silicon_is_refused_on_an_open_address(tmp_path: Path, snp_platform: SnpPlatform) -> None:
    config = config_for(tmp_path, PublisherKey.generate(), host="0.0.0.0")
    error, _, _ = await failed_boot(config, SimulatedSnp(platform=snp_platform))
    assert error.code == "room.simulated-not-loopback"


def test_a_wiped_key_is_gone_from_its_place() -> None:
    key = bytes(bytearray(range(32)))
    same = memoryview(key)
    wipe(key)
    assert bytes(same) == bytes(32)


def test_swap_counts_as_on_unless_the_kernel_says_otherwise(tmp_path: Path) -> None:
    table = tmp_path / "swaps"
    assert swap_in_use(table)
    table.write_text("Filename Type Size Used Priority\n")
    assert not swap_in_use(table)
    table.write_text("Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n")
    assert swap_in_use(table)


def test_a_traceback_never_shows_what_an_exception_says() -> None:
    import subprocess
    import sys

    program = """
import asyncio, threading
from sealroom.room.hardening import harden_process, quiet_asyncio, silence_tracebacks
silence_tracebacks()
harden_process()
class Bad:
    def __del__(self): raise ValueError("MARKED")
bad = Bad(); del bad
def fail(): raise ValueError("MARKED")
thread = threading.Thread(target=fail); thread.start(); thread.join()
async def main():
    asyncio.get_running_loop().set_exception_handler(quiet_asyncio)
    asyncio.get_running_loop().call_soon(fail)
    task = asyncio.ensure_future(asyncio.to_thread(fail)); await asyncio.wait([task]); del task
    import gc; gc.collect()
asyncio.run(main())
import resource
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
fail()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "MARKED" not in done.stdout + done.stderr
    assert done.stderr.count("ValueError") == 5
