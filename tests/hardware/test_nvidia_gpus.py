"""On a machine with confidential NVIDIA GPUs: they and their switches verify. Skipped, with the reason, elsewhere."""

import os
from datetime import UTC, datetime

import pytest

from sealroom.collect import devices_of_this_machine
from sealroom.errors import UnavailableError
from sealroom.evidence import DeviceAttester, TrustRoots
from sealroom.tees.nvidia.topology import problems
from sealroom.tees.registry import for_tee


@pytest.fixture
def devices() -> dict[str, DeviceAttester]:
    try:
        return dict(devices_of_this_machine())
    except UnavailableError as error:
        pytest.skip(f"no confidential NVIDIA GPU here: {error.code}")


def test_every_device_answers_a_nonce_and_nvidias_root_vouches_for_it(devices: dict[str, DeviceAttester]) -> None:
    nonce, said = os.urandom(32), []
    for device in devices.values():
        collected, verifier = device.collect(nonce), for_tee(device.tee)
        verified = verifier.verify(verifier.parse(collected.raw), roots=TrustRoots(), collateral=collected.collateral,
                                   at=datetime.now(UTC))  # fmt: skip
        claims = verifier.claims(verified)
        assert claims.report_data == nonce
        assert not claims.simulated
        said.append(claims)
    assert problems(said) == ()  # over protected PCIe: every link of GPUs and switches ends at a device that is here
