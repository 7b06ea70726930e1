"""The devices of a running room: asked all at once, vouched for by the CPU, and never left out."""

import asyncio
import hashlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from sealroom.binding import Label, report_data
from sealroom.collateral.bundle import parse_bundle
from sealroom.device_statement import device_nonce
from sealroom.errors import MisuseError, UnavailableError
from sealroom.evidence import Collateral, CollectedEvidence, DeviceAttester, Tee
from sealroom.policy import load_policy
from sealroom.room.evidence_service import Hardware, HardwareEvidence
from sealroom.statement import RoomStatement, parse_statement
from sealroom.testing.dcap import SimulatedTdx
from sealroom.testing.machine_policy import Machine
from sealroom.testing.machine_tdx import CPU
from sealroom.testing.machines import Launched, SimulatedMachine
from sealroom.testing.nvidia import GpuMachine
from sealroom.verifier import attest_room

LAUNCHED = Launched(measurement=b"\x3a" * 48, init_data=bytes(32))
_POLICY = """\
policy = 1
name = "t"
{machine}
[model]
name = "model"
digest = ["sha256:0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d"]
[engine]
config_digest = ["sha256:0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e"]
"""


def statement(nonce: bytes = b"\x01" * 32) -> RoomStatement:
    now = datetime.now(UTC).replace(microsecond=0)
    return RoomStatement(
        nonce=nonce, key_configs=b"keys", model_name="model", model_version=1, model_digest=b"\x0d" * 32,
        package_digest=bytes(32), engine_name="none", engine_version="1", engine_config_digest=b"\x0e" * 32,
        sandbox_layers=(), software_version="0.1.0", created_at=now, not_after=now + timedelta(minutes=30),
    )  # fmt: skip


@dataclass
class World:
    cpu: SimulatedTdx
    gpus: GpuMachine
    accepted: Machine

    def hardware(self, devices: Mapping[str, DeviceAttester] | None = None) -> Hardware:
        return Hardware(cpu=self.cpu, devices=self.gpus.devices if devices is None else devices)

    def attest(self, bundle: bytes) -> None:
        policy = load_policy(_POLICY.format(machine=self.accepted.sections()), source="t")
        attest_room(bundle, policy, nonce=b"\x01" * 32, at=datetime.now(UTC))


@pytest.fixture(scope="module")
def world() -> World:
    machine = SimulatedMachine(kind="tdx+h100x8", platform=CPU.create(), gpus=GpuMachine.preset("h100x8"))
    cpu = CPU.attester(machine.platform, LAUNCHED)
    assert isinstance(cpu, SimulatedTdx)
    return World(cpu=cpu, gpus=machine.gpus, accepted=machine.accepted(LAUNCHED))


class Device:
    """A device that can be held up, fail, or answer as another would."""

    tee, simulated = Tee.NVIDIA, True

    def __init__(self, behind: DeviceAttester, *, fails: Exception | None = None, tee: Tee | None = None) -> None:
        self._behind, self._fails, self._other = behind, fails, tee
        self.let = threading.Event()
        self.let.set()
        self.nonces: list[bytes] = []
        self._asked = threading.Event()

    async def was_asked(self) -> None:
        assert await asyncio.to_thread(self._asked.wait, 10)

    def collect(self, nonce: bytes) -> CollectedEvidence:
        self.nonces.append(nonce)
        self._asked.set()
        assert self.let.wait(20)
        if self._fails is not None:
            raise self._fails
        collected = self._behind.collect(nonce)
        return collected if self._other is None else replace(collected, tee=self._other)


async def test_a_caller_can_verify_eight_gpus_and_four_switches(world: World) -> None:
    silicon = HardwareEvidence(world.hardware(), patience=20)
    bundle = await silicon.bundle(statement())
    world.attest(bundle)
    said = parse_statement(parse_bundle(bundle).statement)
    assert [device.name for device in said.devices] == sorted(world.gpus.devices)


async def test_every_device_answers_the_nonce_of_the_statement_without_devices(world: World) -> None:
    devices = {name: Device(behind) for name, behind in world.gpus.devices.items()}
    plain = statement()
    await HardwareEvidence(world.hardware(devices), patience=20).bundle(plain)
    assert [device.nonces for device in devices.values()] == [[device_nonce(plain.encode(), Tee.NVIDIA)]] * 12


async def test_all_are_asked_at_the_same_time_and_the_room_goes_on(world: World) -> None:
    devices = {name: Device(behind) for name, behind in world.gpus.devices.items()}
    for device in devices.values():
        device.let.clear()
    asked = asyncio.create_task(HardwareEvidence(world.hardware(devices), patience=20).bundle(statement()))
    # all of them wait to be let, and this loop runs: nothing blocks it
    await asyncio.wait_for(asyncio.gather(*(device.was_asked() for device in devices.values())), 10)
    for device in devices.values():
        device.let.set()
    world.attest(await asked)


@pytest.mark.parametrize("error", [UnavailableError("nvidia.no-report", "no"), MisuseError("x.y", "no")])
async def test_a_device_that_gives_nothing_fails_the_request_by_name(world: World, error: Exception) -> None:
    devices = dict(world.gpus.devices) | {"gpu3": Device(world.gpus.gpus[3], fails=error)}
    with pytest.raises(UnavailableError, match=r"room\.device-no-evidence") as caught:
        await HardwareEvidence(world.hardware(devices), patience=20).bundle(statement())
    assert caught.value.where == "gpu3"


async def test_an_answer_of_another_kind_than_announced_is_not_taken(world: World) -> None:
    devices = {"gpu0": Device(world.gpus.gpus[0], tee=Tee.TPM)}
    with pytest.raises(UnavailableError, match=r"room\.device-no-evidence"):
        await HardwareEvidence(world.hardware(devices), patience=20).bundle(statement())


async def test_a_bug_is_not_taken_for_a_device_that_is_missing(world: World) -> None:
    devices = {f"gpu{index}": Device(world.gpus.gpus[0], fails=ZeroDivisionError()) for index in range(2)}
    with pytest.raises(ZeroDivisionError):
        await HardwareEvidence(world.hardware(devices), patience=20).bundle(statement())


async def test_a_device_that_hangs_fails_the_request_and_the_next_one_until_it_answers(world: World) -> None:
    held = Device(world.gpus.gpus[0])
    held.let.clear()
    silicon = HardwareEvidence(world.hardware({"gpu0": held}), patience=0.05)
    with pytest.raises(UnavailableError, match=r"room\.device-silent") as silent:
        await silicon.bundle(statement())
    assert silent.value.where == "gpu0"
    with pytest.raises(UnavailableError, match=r"room\.device-busy"):
        await silicon.bundle(statement())
    assert len(held.nonces) == 1, "a device is asked one thing at a time"
    held.let.set()
    async with asyncio.timeout(10):
        while True:
            try:
                return parse_bundle(await silicon.bundle(statement()))  # type: ignore[return-value]
            except UnavailableError:
                await asyncio.sleep(0.01)


async def test_a_caller_who_goes_away_is_not_in_the_way_of_the_next(world: World) -> None:
    held = Device(world.gpus.gpus[0])
    held.let.clear()
    silicon = HardwareEvidence(world.hardware({"gpu0": held}), patience=10)
    gone = asyncio.create_task(silicon.bundle(statement()))
    await held.was_asked()
    gone.cancel()
    threading.Timer(0.05, held.let.set).start()
    started = time.monotonic()
    bundle = parse_bundle(await silicon.bundle(statement()))
    assert list(bundle.devices) == ["gpu0"]
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(("tee", "short"), [(Tee.SNP, False), (Tee.TPM, True), (Tee.AZURE_VTPM, True)])
async def test_a_cpu_is_asked_for_what_its_evidence_can_carry(tee: Tee, short: bool) -> None:
    class Echo:
        simulated = True

        def __init__(self) -> None:
            self.tee = tee

        def collect(self, report_data: bytes) -> CollectedEvidence:
            return CollectedEvidence(tee=tee, raw=report_data, collateral=Collateral(items={}))

    bundle = parse_bundle(await HardwareEvidence(Hardware(cpu=Echo()), patience=1).bundle(statement()))
    whole = report_data(Label.ROOM_STATEMENT, bundle.statement)
    assert bundle.cpu.raw == (hashlib.sha256(whole).digest() if short else whole)
    assert bundle.devices == {}


def test_one_simulated_device_makes_the_machine_simulated(world: World) -> None:
    class Silicon:
        tee, simulated = Tee.TDX, False
        collect = world.cpu.collect

    assert not Hardware(cpu=Silicon()).simulated
    assert Hardware(cpu=Silicon(), devices={"gpu0": world.gpus.gpus[0]}).simulated


def test_more_devices_than_a_statement_can_name_are_refused(world: World) -> None:
    with pytest.raises(MisuseError, match=r"room\.too-many-devices"):
        world.hardware({f"gpu{index}": world.gpus.gpus[0] for index in range(65)})
