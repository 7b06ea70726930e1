"""Services that are wrong, silicon that is silent or changes: nothing bad takes the place of anything good."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from collateral_room import LAUNCHED, World, codes, vendors, vendors_replies, world_of

from sealroom.collateral.bundle import MAX_VALUE_SIZE, parse_bundle
from sealroom.collateral.fetch.transport import MAX_BODY
from sealroom.errors import UnavailableError
from sealroom.evidence import CollectedEvidence
from sealroom.room.collateral_fetch import VendorsWord
from sealroom.room.collateral_service import CollateralKeeper
from sealroom.room.collateral_settings import FetchSettings
from sealroom.room.evidence_service import Hardware
from sealroom.testing.machine_vendors import Bare, vendors_of
from sealroom.testing.machines import kind_named
from sealroom.testing.nvidia import GpuMachine
from sealroom.testing.nvidia_ocsp import UNKNOWN, revoked
from sealroom.testing.vendor_service import Replies, Reply, ocsp_replies, serving
from sealroom.x509_reader import read_certificate

# Wrong answers


def changed(honest: Replies, change: Callable[[str, Reply], Reply | None]) -> Replies:
    def reply(path: str, query: Mapping[str, list[str]]) -> Reply | None:
        found = honest(path, query)
        return None if found is None else change(path, found)

    return reply


def _garbage(_path: str, reply: Reply) -> Reply:
    return replace(reply, body=b"\x00garbage")


def _oversize(_path: str, reply: Reply) -> Reply:
    return replace(reply, body=bytes(MAX_BODY + 1))


def _too_large_for_a_bundle(path: str, reply: Reply) -> Reply:
    return replace(reply, body=bytes(MAX_VALUE_SIZE + 1)) if path.endswith("/tcb") else reply


def _nothing(_path: str, _reply: Reply) -> None:
    return None


def _without_chains(_path: str, reply: Reply) -> Reply:
    return replace(reply, headers={})


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_garbage, "x509.der"),
        (_oversize, "collateral.service"),
        (_too_large_for_a_bundle, "collateral.too-large"),
        (_nothing, "collateral.service"),
        (_without_chains, "collateral.answer"),
    ],
)
async def test_a_wrong_answer_replaces_nothing_that_is_good(
    tdx: World, change: Callable[[str, Reply], Reply | None], code: str, caplog: pytest.LogCaptureFixture
) -> None:
    with vendors(tdx) as served:
        keeper = tdx.keeper(served.address)
        keeper.work()
        good = parse_bundle(await tdx.bundle(keeper)).cpu.collateral.items
        served.replies = changed(served.replies, change)
        tdx.clock.forward(days=29, minutes=1)
        keeper.work()
        assert code in codes(caplog)
        bundle = await tdx.bundle(keeper)
    assert parse_bundle(bundle).cpu.collateral.items == good
    tdx.judge(bundle)


async def test_another_platforms_collateral_is_found_out_at_once(
    tdx: World, caplog: pytest.LogCaptureFixture
) -> None:
    other = world_of("tdx")
    with vendors(other) as served:
        keeper = tdx.keeper(served.address)
        keeper.work()
        with pytest.raises(UnavailableError, match=r"room\.collateral-missing") as refused:
            await tdx.bundle(keeper)
    assert "x509." in str(refused.value.got)
    assert "x509." in codes(caplog)


async def test_a_simulated_root_has_to_be_named(tdx: World, caplog: pytest.LogCaptureFixture) -> None:
    with vendors(tdx) as served:
        settings = FetchSettings(addresses={"intel": served.address})
        keeper = CollateralKeeper(settings, tdx.hardware, clock=tdx.clock)
        keeper.work()
    with pytest.raises(UnavailableError):
        keeper.require(tdx.clock())
    assert "x509.untrusted-root" in codes(caplog)


async def test_answers_that_know_nothing_do_not_replace_answers_that_do(
    tdx_h100: World, gpus: GpuMachine, caplog: pytest.LogCaptureFixture
) -> None:
    with vendors(tdx_h100) as served:
        keeper = tdx_h100.keeper(served.address, renew=timedelta(days=1))
        keeper.work()
    gpu = gpus.gpus[0]
    unknown = {read_certificate(gpu.certificates[1]).serial: gpu.answer(1, status=UNKNOWN)}
    honest = vendors_replies(tdx_h100)
    with serving(honest, ocsp_replies(gpu.answers_by_serial() | unknown)) as less:
        tdx_h100.redirect(keeper, less.address)
        keeper.work()
        assert "collateral.incomplete" in codes(caplog)
        proved = tdx_h100.judge(await tdx_h100.bundle(keeper))
        assert proved.appraisal.devices[0].details["revocation"] == "checked"
        # a room that has nothing better says what it has: whether that is enough is for each caller's policy
        fresh = tdx_h100.keeper(less.address)
        fresh.work()
        proved = tdx_h100.judge(await tdx_h100.bundle(fresh), '[nvidia]\nallow = ["revocation_not_checked"]')
        assert proved.appraisal.devices[0].details["revocation"] == "incomplete"


async def test_what_the_vendor_withdraws_is_served_no_more_though_older_word_would_hold(
    tdx_h100: World, gpus: GpuMachine, caplog: pytest.LogCaptureFixture
) -> None:
    with vendors(tdx_h100) as served:
        keeper = tdx_h100.keeper(served.address)
        keeper.work()
        await tdx_h100.bundle(keeper)
    gpu = gpus.gpus[0]
    withdrawn = {read_certificate(gpu.certificates[1]).serial: gpu.answer(1, status=revoked(1))}
    with serving(vendors_replies(tdx_h100), ocsp_replies(gpu.answers_by_serial() | withdrawn)) as told:
        tdx_h100.redirect(keeper, told.address)
        keeper.work()
    with pytest.raises(UnavailableError, match=r"room\.collateral-revoked") as refused:
        await tdx_h100.bundle(keeper)
    assert refused.value.where == "gpu0"
    assert "room.collateral-revoked" in codes(caplog, logging.ERROR)


# The silicon


class Firmware(Bare):
    """A CPU whose firmware is changed while it runs."""

    def __init__(self, *before_and_after: Any) -> None:
        super().__init__(before_and_after[0])
        self.now, self.updated = before_and_after

    def update(self) -> None:
        self._silicon = self.updated


async def test_other_firmware_needs_another_certificate_and_gets_it(
    snp: World, caplog: pytest.LogCaptureFixture
) -> None:
    kind = kind_named("snp").cpu
    newer = snp.machine.platform.at_tcb(microcode=snp.machine.platform.tcb["microcode"] + 1)
    cpu = Firmware(kind.attester(snp.machine.platform, LAUNCHED), kind.attester(newer, LAUNCHED))
    with vendors(snp) as served:
        keeper = snp.keeper(served.address, hardware=Hardware(cpu=cpu))
        keeper.work()
        snp.judge(await snp.bundle(keeper))
    cpu.update()
    with vendors_of(replace(snp.machine, platform=newer), clock=snp.clock) as served:
        keeper._word = VendorsWord(snp.settings(served.address))
        with pytest.raises(UnavailableError, match=r"room\.collateral-missing"):
            await snp.bundle(keeper)
        keeper.work()
        snp.judge(await snp.bundle(keeper))


async def test_silicon_that_is_silent_at_boot_is_asked_again(
    tdx_h100: World, gpus: GpuMachine, caplog: pytest.LogCaptureFixture
) -> None:
    class Silent(Bare):
        silent = True

        def collect(self, report_data: bytes) -> CollectedEvidence:
            if self.silent:
                raise UnavailableError("nvidia.no-report", "no")
            return super().collect(report_data)

    silent = Silent(gpus.gpus[0])
    hardware = Hardware(cpu=tdx_h100.hardware.cpu, devices={"gpu0": silent})
    with vendors(tdx_h100) as served:
        keeper = tdx_h100.keeper(served.address, hardware=hardware)
        keeper.work()
        with pytest.raises(UnavailableError, match=r"room\.collateral-missing") as refused:
            keeper.require(tdx_h100.clock())
        assert refused.value.where == "gpu0"
        assert "nvidia.no-report" in str(refused.value.got)
        silent.silent = False
        tdx_h100.clock.forward(seconds=6)
        keeper.work()
        tdx_h100.judge(await tdx_h100.bundle(keeper))


def test_silicon_that_hangs_is_asked_once_and_holds_up_nothing_of_the_cpu(tdx_h100: World, gpus: GpuMachine) -> None:
    class Hangs(Bare):
        asked = 0
        let = threading.Event()

        def collect(self, report_data: bytes) -> CollectedEvidence:
            self.asked += 1
            assert self.let.wait(20)
            return super().collect(report_data)

    hangs = Hangs(gpus.gpus[0])
    hardware = Hardware(cpu=tdx_h100.hardware.cpu, devices={"gpu0": hangs})
    with vendors(tdx_h100) as served:
        keeper = CollateralKeeper(tdx_h100.settings(served.address), hardware, clock=tdx_h100.clock, patience=0.05)
        for _ in range(2):
            keeper.work()
            tdx_h100.clock.forward(minutes=1)
        assert hangs.asked == 1
        with pytest.raises(UnavailableError, match=r"room\.collateral-missing") as refused:
            keeper.require(tdx_h100.clock())
        assert refused.value.where == "gpu0", "the CPU's is here"
        hangs.let.set()
        tdx_h100.clock.forward(hours=1)
        keeper._silicon._patience = 10
        keeper.work()
        keeper.require(tdx_h100.clock())
