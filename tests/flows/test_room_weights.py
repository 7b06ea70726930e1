"""What a room says of its weights is what its engine runs, whoever sealed them and whoever keeps their key."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import rfc8785
from room_world import RoomWorld, room_world

from sealroom.errors import UnverifiedError
from sealroom.sealed import PublisherKey
from sealroom.testing.snp import SnpPlatform

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("room")]


@pytest.fixture
async def world(tmp_path: Path, snp_platform: SnpPlatform) -> AsyncIterator[RoomWorld]:
    async with room_world(tmp_path, platform=snp_platform) as made:
        yield made


def claim_other_weights(world: RoomWorld, digest: str) -> None:
    """What an operator can do who is its own publisher: sign a list of digests that the data do not have."""
    publisher = PublisherKey.from_pem((world.folder / "publisher.key").read_bytes())
    manifest = json.loads((world.package / "manifest.json").read_bytes())
    manifest["files"][0]["sha256"] = digest
    raw = rfc8785.dumps(manifest)
    (world.package / "manifest.json").write_bytes(raw)
    (world.package / "signature.json").write_bytes(publisher.sign(raw))
    wraps = json.loads((world.package / "wraps.json").read_bytes())
    wraps["package_digest"] = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    (world.package / "wraps.json").write_bytes(rfc8785.dumps(wraps))


async def test_a_room_never_states_the_digest_of_weights_that_it_does_not_run(world: RoomWorld) -> None:
    claim_other_weights(world, "ab" * 32)
    with pytest.raises(UnverifiedError) as caught:
        await world.room()
    assert caught.value.code == "sealed.digest-mismatch"
    (room,) = world.started
    assert await asyncio.wait_for(room.ended(), 30) == UnverifiedError.exit_status
