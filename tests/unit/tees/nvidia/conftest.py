"""One set of NVIDIA's keys for all tests here, and a GPU and a switch under them."""

import pytest

from sealroom.testing.nvidia import SimulatedGpu
from sealroom.testing.nvidia_vendor import NvidiaVendor


@pytest.fixture(scope="session")
def vendor() -> NvidiaVendor:
    return NvidiaVendor.create()


@pytest.fixture(scope="session")
def gpu(vendor) -> SimulatedGpu:
    return SimulatedGpu.create("hopper", vendor=vendor)


@pytest.fixture(scope="session")
def switch(vendor) -> SimulatedGpu:
    return SimulatedGpu.create("ls10", vendor=vendor)


@pytest.fixture(scope="session")
def anchors(vendor) -> frozenset[bytes]:
    return vendor.root_fingerprints
