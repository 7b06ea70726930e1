"""A served room that fetches its own collateral, for a caller who takes no evidence without a revocation list."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from room_world import RoomWorld, room_world

from sealroom.errors import RefusedError
from sealroom.policy import load_policy
from sealroom.testing.machine_vendors import vendors_of
from sealroom.testing.machines import SimulatedMachine
from sealroom.testing.snp import SnpPlatform
from sealroom.verifier import AttestedRoom, attest_room

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("room")]

NONCE = b"\x07" * 32


@pytest.fixture
async def world(tmp_path: Path, snp_platform: SnpPlatform) -> AsyncIterator[RoomWorld]:
    async with room_world(tmp_path, platform=snp_platform) as made:
        yield made


def have_it_fetch(world: RoomWorld, address: str, platform: SnpPlatform) -> None:
    world.config.write_text(
        world.config.read_text()
        + f"""
[hardware.fetch]
amd = "{address}"
cache = "fetched"
wait_seconds = 2
insecure_simulated = ["sha256:{platform.root_fingerprint.hex()}"]
"""
    )


async def evidence(url: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(f"{url}/.well-known/sealroom/evidence?nonce={NONCE.hex()}")


def judge(world: RoomWorld, bundle: bytes) -> AttestedRoom:
    demanding = world.policy.read_text().replace("[snp]\n", '[snp]\nrevocation_list = "required"\n', 1)
    return attest_room(bundle, load_policy(demanding, source="t"), nonce=NONCE, at=datetime.now(UTC))


async def test_its_callers_have_the_revocation_list_and_so_has_the_next_room(
    world: RoomWorld, snp_platform: SnpPlatform
) -> None:
    child, url = await world.room()
    with pytest.raises(RefusedError):
        judge(world, (await evidence(url)).content)
    await child.stop()

    with vendors_of(SimulatedMachine(kind="snp", platform=snp_platform)) as served:
        have_it_fetch(world, served.address, snp_platform)
        child, url = await world.room()
        proved = judge(world, (await evidence(url)).content)
        assert proved.appraisal.claims.details["revocation"] == "checked"
        await child.stop()
    _, url = await world.room()  # from its cache: the vendor is gone
    judge(world, (await evidence(url)).content)


async def test_without_the_vendor_it_serves_and_says_that_it_can_not_be_proved(
    world: RoomWorld, snp_platform: SnpPlatform
) -> None:
    have_it_fetch(world, "http://127.0.0.1:9", snp_platform)
    events: list[Any] = []
    _, url = await world.room(on_event=events.append)
    assert [event.get("unproved") for event in events if event.get("state") == "serving"] == [["cpu"]]
    answer = await evidence(url)
    assert answer.status_code == 503
    log = world.log("room").read_text()
    assert "collateral.service" in log
    assert "room.collateral-missing" in log
