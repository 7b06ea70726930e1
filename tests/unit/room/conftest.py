"""Machines whose rooms fetch their own collateral."""

import pytest
from collateral_room import World, world_of

from sealroom.testing.nvidia import GpuMachine
from sealroom.testing.snp import SnpPlatform


@pytest.fixture(scope="module")
def gpus() -> GpuMachine:
    return GpuMachine.preset("h100")


@pytest.fixture
def tdx() -> World:
    return world_of("tdx")


@pytest.fixture
def snp(snp_platform: SnpPlatform) -> World:
    return world_of("snp", snp_platform)


@pytest.fixture
def tdx_h100(gpus: GpuMachine) -> World:
    return world_of("tdx+h100", gpus=gpus)
