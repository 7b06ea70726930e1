"""A room that fetches its own collateral: whole offline for callers, and renewed ahead of its end."""

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from collateral_room import LAUNCHED, Clock, World, codes, vendors, world_of

from sealroom.collateral.bundle import MAX_BUNDLE_SIZE, parse_bundle
from sealroom.errors import UnavailableError
from sealroom.evidence import CollectedEvidence, Validity
from sealroom.room.collateral_fetch import VendorsWord
from sealroom.room.collateral_part import Held, next_renewal, next_try
from sealroom.room.evidence_service import Hardware
from sealroom.testing.machine_vendors import Bare
from sealroom.testing.machines import kind_named
from sealroom.testing.snp import SnpPlatform

# Whole, offline


async def test_a_caller_verifies_tdx_and_a_gpu_with_revocation_offline(tdx_h100: World) -> None:
    with vendors(tdx_h100) as served:
        keeper = tdx_h100.keeper(served.address)
        with pytest.raises(UnavailableError, match=r"room\.collateral-missing"):
            await tdx_h100.bundle(keeper)
        keeper.work()
        asked = len(served.asked)
        bundle = await tdx_h100.bundle(keeper)
        assert len(served.asked) == asked, "a request asks no vendor"
    # the vendors are gone: what follows has the bundle and a policy, and no network
    read = parse_bundle(bundle)
    assert sorted(read.cpu.collateral.items) == [
        "pck_crl", "pck_crl_issuer_chain", "qe_identity_issuer_chain", "qe_identity_response", "root_ca_crl",
        "tcb_info_issuer_chain", "tcb_info_response",
    ]  # fmt: skip
    proved = tdx_h100.judge(bundle, '[nvidia]\nreference_values = "required"')
    (gpu,) = proved.appraisal.devices
    assert gpu.details["revocation"] == "checked"
    assert "reference_values_missing" not in gpu.flags
    assert proved.appraisal.claims.tcb_status == "UpToDate"


async def test_a_caller_who_demands_a_revocation_list_verifies_snp_offline(snp: World) -> None:
    with vendors(snp) as served:
        keeper = snp.keeper(served.address)
        keeper.work()
        bundle = await snp.bundle(keeper)
    proved = snp.judge(bundle, '[snp]\nrevocation_list = "required"')
    assert proved.appraisal.claims.details["revocation"] == "checked"


async def test_eight_gpus_and_four_switches_are_asked_about_once_and_fit_into_a_bundle() -> None:
    world = world_of("tdx+h100x8")
    with vendors(world) as served:
        keeper = world.keeper(served.address)
        keeper.work()
        rims = [path for path in served.asked if path.startswith("/v1/rim/")]
        assert len(rims) == len(set(rims)) == 3, "driver, VBIOS, and the switches' firmware"
        # each device's boot ROM, two CAs of GPUs and switches, and who signed three reference values
        questions = sum(path == "/" for path in served.asked)
        assert questions < 12 * 6
    bundle = await world.bundle(keeper)
    assert len(bundle) < MAX_BUNDLE_SIZE
    assert len(world.judge(bundle).appraisal.devices) == 12


async def test_what_silicon_and_the_host_give_stays_and_the_fetched_comes_before_it(snp: World) -> None:
    """A host that hands out another chip's certificate is not believed for long."""
    stranger = SnpPlatform.create(vendor=snp.machine.platform.vendor)

    class Host(Bare):
        def collect(self, report_data: bytes) -> CollectedEvidence:
            collected = super().collect(report_data)
            return replace(collected, collateral=stranger.collateral(extra=b"kept"))

    with vendors(snp) as served:
        keeper = snp.keeper(served.address, hardware=Hardware(cpu=Host(snp.hardware.cpu)))
        keeper.work()
        bundle = await snp.bundle(keeper)
        assert sum("/vcek/v1/" in path and "?" in path for path in served.asked) == 1
    items = parse_bundle(bundle).cpu.collateral.items
    assert items["leaf"] == snp.machine.platform.leaf
    assert items["extra"] == b"kept"


async def test_a_leaf_that_is_at_hand_is_not_asked_for_again(snp: World, tmp_path: Path) -> None:
    with vendors(snp) as served:
        snp.keeper(served.address, cache=tmp_path).work()
        assert sum("?" in path for path in served.asked) == 1
        next(path for path in files_in(tmp_path) if "leaf" not in path.name).unlink()
        snp.keeper(served.address, cache=tmp_path).work()
        assert sum("?" in path for path in served.asked) == 1
        assert sum(path.endswith("/crl") for path in served.asked) == 2


def test_hardware_of_which_no_vendor_has_anything_to_say_needs_no_service() -> None:
    world = world_of("nitro")
    keeper = world.keeper("http://127.0.0.1:9", hardware=Hardware(cpu=kind_named("nitro").cpu.attester(
        world.machine.platform, LAUNCHED)))  # fmt: skip
    keeper.work()
    keeper.require(world.clock())
    assert keeper.hardware.cpu.collect(bytes(64)).raw


# Renewal


async def test_it_is_fetched_anew_before_its_end_and_not_long_before(tdx: World) -> None:
    with vendors(tdx) as served:
        keeper = tdx.keeper(served.address, renew=timedelta(days=2))
        assert keeper.work() == 3600, "the clock is looked at every hour"
        first = parse_bundle(await tdx.bundle(keeper)).cpu.collateral.items
        asked = len(served.asked)
        tdx.clock.forward(days=27)
        keeper.work()
        assert len(served.asked) == asked
        tdx.clock.forward(days=1, seconds=1)
        keeper.work()
        assert len(served.asked) == 2 * asked
    tdx.clock.forward(days=5)  # past the first one's end
    bundle = await tdx.bundle(keeper)
    assert parse_bundle(bundle).cpu.collateral.items["tcb_info_response"] != first["tcb_info_response"]
    tdx.judge(bundle)


async def test_a_service_that_is_down_later_stops_nothing_while_what_is_held_holds(
    tdx: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sealroom.room")
    with vendors(tdx) as served:
        keeper = tdx.keeper(served.address)
        keeper.work()
    tdx.clock.forward(days=29, seconds=1)
    pauses = []
    for _ in range(4):
        pauses.append(keeper.work())
        tdx.clock.forward(seconds=pauses[-1])
    assert pauses == [5, 10, 20, 40]
    assert "collateral.service" in codes(caplog)
    tdx.judge(await tdx.bundle(keeper))
    assert "can not be proved" not in codes(caplog)

    tdx.clock.forward(days=1)
    keeper.work()
    with pytest.raises(UnavailableError, match=r"room\.collateral-expired") as refused:
        await tdx.bundle(keeper)
    assert refused.value.where == "cpu"
    assert "collateral.service" in str(refused.value.got)
    assert "can not be proved to callers" in codes(caplog, logging.ERROR)
    assert "room.collateral-expired" in codes(caplog, logging.ERROR)
    assert codes(caplog, logging.ERROR).count("room.collateral-expired") == 1, "told once"

    with vendors(tdx) as again:
        keeper._word = VendorsWord(tdx.settings(again.address))
        tdx.clock.forward(hours=1)
        keeper.work()
        tdx.judge(await tdx.bundle(keeper))


def test_the_thread_wakes_at_the_end_of_what_is_held_to_tell_of_it(tdx: World) -> None:
    with vendors(tdx) as served:
        keeper = tdx.keeper(served.address)
        keeper.work()
    tdx.clock.forward(days=29, hours=23, minutes=59)
    for _ in range(12):
        keeper.work()
    assert 0 < keeper.work() <= 60


@pytest.mark.parametrize(
    ("lives", "renew", "waits"),
    [
        (timedelta(days=30), timedelta(days=1), timedelta(days=29)),
        (timedelta(hours=12), timedelta(days=1), timedelta(hours=6)),
        (timedelta(seconds=10), timedelta(days=1), timedelta(minutes=1)),
        (timedelta(seconds=-10), timedelta(days=1), timedelta(minutes=1)),
    ],
)
def test_what_lives_shorter_is_renewed_at_half_time(lives: timedelta, renew: timedelta, waits: timedelta) -> None:
    at = Clock().at
    validity = held(at, at + lives).validity
    made = replace(held(at, at), validity=validity)
    assert next_renewal(made, renew=renew, at=at, jitter=0.0) == at + waits
    assert at + 0.9 * waits <= next_renewal(made, renew=renew, at=at, jitter=0.5) or waits == timedelta(minutes=1)


def test_tries_become_rarer_up_to_an_hour_and_never_come_all_at_once() -> None:
    at = Clock().at
    pauses = [(next_try(count, at=at, jitter=0.0) - at).total_seconds() for count in (1, 2, 3, 10, 11, 1000)]
    assert pauses == [5, 10, 20, 2560, 3600, 3600]
    assert next_try(11, at=at, jitter=1.0) == at + timedelta(minutes=30)


# Kept over a restart


async def test_what_was_kept_serves_after_a_restart_without_the_vendor(
    tdx_h100: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with vendors(tdx_h100) as served:
        tdx_h100.keeper(served.address, cache=tmp_path).work()
    caplog.clear()
    keeper = tdx_h100.keeper("http://127.0.0.1:9", cache=tmp_path)
    keeper.work()
    assert codes(caplog) == ""
    tdx_h100.judge(await tdx_h100.bundle(keeper))


async def test_what_was_kept_is_renewed_when_its_time_comes_and_not_anew_from_the_restart(
    tdx: World, tmp_path: Path
) -> None:
    with vendors(tdx) as served:
        tdx.keeper(served.address, cache=tmp_path).work()
        asked = len(served.asked)
        tdx.clock.forward(days=28)
        keeper = tdx.keeper(served.address, cache=tmp_path)
        keeper.work()
        assert len(served.asked) == asked
        tdx.clock.forward(days=1, minutes=1)
        keeper.work()
        assert len(served.asked) == 2 * asked


@pytest.mark.parametrize("fault", ["garbage", "another's", "ended"])
async def test_a_cache_that_is_worth_nothing_is_passed_over(tdx: World, tmp_path: Path, fault: str) -> None:
    other = world_of("tdx")
    with vendors(other if fault == "another's" else tdx) as served:
        (other if fault == "another's" else tdx).keeper(served.address, cache=tmp_path).work()
    (kept,) = files_in(tmp_path)
    if fault == "garbage":
        kept.write_bytes(b"\xa0")
    if fault == "ended":
        tdx.clock.forward(days=31)
    with vendors(tdx) as served:
        keeper = tdx.keeper(served.address, cache=tmp_path)
        keeper.work()
        assert served.asked
        tdx.judge(await tdx.bundle(keeper))


def test_a_cache_that_can_not_be_written_is_told_and_stops_nothing(
    tdx: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with vendors(tdx) as served:
        keeper = tdx.keeper(served.address, cache=tmp_path / "file" / "below")
        keeper.work()
    keeper.require(tdx.clock())
    assert "collateral.cache" in codes(caplog)


def held(at: datetime, until: datetime) -> Held:
    return Held(items={}, validity=Validity(not_before=at, not_after=until), complete=True, fetched_at=at)


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())
