"""A boot that waits for its collateral, goes on without it where it may, and says so."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from collateral_room import LAUNCHED, World, codes, vendors

from sealroom.collateral.bundle import parse_bundle
from sealroom.errors import UnavailableError
from sealroom.evidence import Attester, CollectedEvidence
from sealroom.room.boot import BootEvent, BootState
from sealroom.room.config import RoomConfig
from sealroom.room.evidence_service import Hardware
from sealroom.room.key_client import DeviceAnswers, Step
from sealroom.room.service import Room, boot
from sealroom.sealed.publisher import PublisherKey
from sealroom.sealed.stores import seal_model
from sealroom.testing.machines import kind_named
from sealroom.testing.stub_engine import StubEngine

# The thread, and a boot that waits for it


async def test_a_thread_does_it_and_a_boot_waits_for_it(tdx_h100: World) -> None:
    with vendors(tdx_h100) as served:
        keeper = tdx_h100.keeper(served.address, wait=timedelta(seconds=20))
        keeper.begin()
        try:
            await keeper.ready_for_release()
            assert await keeper.ready_for_callers() == []
            tdx_h100.judge(await tdx_h100.bundle(keeper))
        finally:
            keeper.close()


async def test_without_the_vendor_a_boot_ends_where_the_broker_could_not_verify_it_either(tdx: World) -> None:
    keeper = tdx.keeper("http://127.0.0.1:9")
    keeper.work()
    with pytest.raises(UnavailableError, match=r"room\.collateral-missing"):
        await keeper.ready_for_release()


async def test_without_the_vendor_a_boot_goes_on_with_what_the_host_hands_out(snp: World) -> None:
    """The broker can verify it; callers get evidence when the vendor has answered."""
    host = kind_named("snp").cpu.attester(snp.machine.platform, LAUNCHED)
    keeper = snp.keeper("http://127.0.0.1:9", hardware=Hardware(cpu=host))
    keeper.work()
    await keeper.ready_for_release()
    assert await keeper.ready_for_callers() == ["cpu"]
    assert keeper.hardware.cpu.collect(bytes(64)).collateral.items == snp.machine.platform.collateral().items


async def test_closing_lets_go_of_who_waits(tdx: World) -> None:
    keeper = tdx.keeper("http://127.0.0.1:9", wait=timedelta(seconds=60))
    keeper.begin()
    waiting = asyncio.create_task(keeper.ready_for_callers())
    await asyncio.sleep(0.01)
    keeper.close()
    assert await asyncio.wait_for(waiting, 10) == ["cpu"]


NAME = "small"


@dataclass
class Booting:
    """A room's configuration, and what its boot did."""

    config: RoomConfig
    key: Any
    events: list[BootEvent] = field(default_factory=list)
    sent: list[CollectedEvidence] = field(default_factory=list)

    async def boot(self, world: World) -> Room:
        hardware = world.hardware
        return await boot(self.config, attester=hardware.cpu, devices=hardware.devices, on_event=self.events.append,
                          engine_factory=lambda *_: StubEngine())  # fmt: skip

    async def release(
        self,
        _broker: str,
        _resource: str,
        attester: Attester,
        *,
        devices: DeviceAnswers,
        on_step: Callable[[Step], None],
        **_options: Any,
    ) -> Any:
        """A broker that takes note of what it was sent."""
        self.sent.append(await asyncio.to_thread(attester.collect, bytes(64)))
        self.sent.extend((await devices(bytes(32))).values())
        on_step(Step.COLLECTED)
        on_step(Step.ATTESTED)
        return self.key


@pytest.fixture
def booting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Booting:
    publisher = PublisherKey.generate()
    (tmp_path / "weights.bin").write_bytes(b"weights" * 20_000)
    info = seal_model(tmp_path / "weights.bin", tmp_path / "package", name=NAME, version=1, publisher=publisher)
    config = RoomConfig(package=tmp_path / "package", publisher=publisher.digest, broker="http://127.0.0.1:1",
                        resource=f"models/{NAME}/v1", release_wait=timedelta(0))  # fmt: skip
    made = Booting(config, info.dek.secret)
    monkeypatch.setattr("sealroom.room.service.fetch_key", made.release)
    return made


async def test_a_boot_staples_what_it_fetched_for_the_broker_and_for_callers(
    tdx_h100: World, booting: Booting
) -> None:
    with vendors(tdx_h100) as served:
        booting.config = replace(booting.config, fetch=tdx_h100.settings(served.address))
        room = await booting.boot(tdx_h100)
        bundle = await room.evidence(b"\x01" * 32)
        await room.close()
    cpu, gpu = booting.sent
    assert len(cpu.collateral.items) == 7
    assert sorted(gpu.collateral.items) == ["cert_chain", "driver_rim", "ocsp", "vbios_rim"]
    read = parse_bundle(bundle)
    assert len(read.cpu.collateral.items) == 7
    assert len(read.endorsements) == 4
    assert "unproved" not in booting.events[-1].facts


async def test_a_room_that_can_not_be_proved_yet_says_so_and_gives_no_evidence(
    tdx_h100: World, booting: Booting
) -> None:
    with vendors(tdx_h100) as served:
        settings = tdx_h100.settings(served.address, wait=timedelta(seconds=1))
        addresses = {**settings.addresses, "nvidia_rims": "http://127.0.0.1:9"}
        booting.config = replace(booting.config, fetch=replace(settings, addresses=addresses))
        room = await booting.boot(tdx_h100)
        with pytest.raises(UnavailableError, match=r"room\.collateral-missing"):
            await room.evidence(b"\x01" * 32)
        await room.close()
    assert (booting.events[-1].state, booting.events[-1].facts["unproved"]) == (BootState.SERVING, ["gpu0"])


async def test_a_boot_without_the_vendor_ends_before_the_broker_is_asked(tdx: World, booting: Booting) -> None:
    settings = tdx.settings("http://127.0.0.1:9", wait=timedelta(seconds=1))
    booting.config = replace(booting.config, fetch=settings)
    with pytest.raises(UnavailableError, match=r"room\.collateral-missing"):
        await booting.boot(tdx)
    assert booting.sent == []
    assert booting.events[-1].facts == {"code": "room.collateral-missing"}


async def test_a_room_that_was_not_told_to_fetch_asks_nobody(tdx: World, booting: Booting) -> None:
    with vendors(tdx) as served:
        room = await booting.boot(tdx)
        bundle = await room.evidence(b"\x01" * 32)
        await room.close()
    assert served.asked == []
    assert parse_bundle(bundle).cpu.collateral.items == {}


def test_a_bug_in_a_round_does_not_end_the_thread(
    tdx: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = tdx.keeper("http://127.0.0.1:9")
    rounds = []

    def work() -> float:
        rounds.append(1)
        if len(rounds) == 2:
            keeper._closed = True
            return 0.0
        raise ZeroDivisionError("MARKED")

    monkeypatch.setattr(keeper, "work", work)
    monkeypatch.setattr(keeper._changed, "wait_for", lambda *_args, **_options: True)
    keeper._run()
    assert len(rounds) == 2
    assert "ZeroDivisionError" in codes(caplog)
    assert "MARKED" not in codes(caplog)
