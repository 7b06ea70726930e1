"""A broker for each test, in a directory of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from broker_world import Clock, World, transport_of

from sealroom.broker.admin_service import BrokerAdmin
from sealroom.broker.service import Broker
from sealroom.broker.stores.state_dir import open_state
from sealroom.testing.snp import SnpPlatform


@pytest.fixture
async def world(tmp_path: Path, snp_platform: SnpPlatform) -> AsyncIterator[World]:
    state, clock = open_state(tmp_path / "broker"), Clock()
    broker, admin = Broker(state, clock=clock), BrokerAdmin(state, clock=clock)
    async with httpx.AsyncClient(transport=transport_of(broker, admin), base_url="http://broker.test") as http:
        yield World(folder=tmp_path / "broker", platform=snp_platform, state=state, clock=clock, broker=broker,
                    admin=admin, http=http)  # fmt: skip
    state.database.close()
