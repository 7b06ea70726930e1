"""On a machine with confidential NVIDIA GPUs: their reports verify. Skipped, with the reason, elsewhere."""

import os
from datetime import UTC, datetime

import pytest

from sealroom.collect import devices_of_this_machine
from sealroom.errors import UnavailableError, UnverifiedError
from sealroom.evidence import Claims, CollectedEvidence, DeviceAttester, TrustRoots
from sealroom.tees.nvidia.topology import problems
from sealroom.tees.registry import for_tee


@pytest.fixture(scope="module")
def devices() -> dict[str, DeviceAttester]:
    try:
        return dict(devices_of_this_machine())
    except UnavailableError as error:
        pytest.skip(f"no confidential NVIDIA GPU here: {error.code}")


def judged(collected: CollectedEvidence, raw: bytes | None = None) -> Claims:
    verifier = for_tee(collected.tee)
    evidence = verifier.parse(collected.raw if raw is None else raw)
    verified = verifier.verify(evidence, roots=TrustRoots(), collateral=collected.collateral, at=datetime.now(UTC))
    return verifier.claims(verified)


def test_every_gpu_answers_a_nonce_and_nvidias_root_vouches_for_it(devices: dict[str, DeviceAttester]) -> None:
    nonce = os.urandom(32)
    for device in devices.values():
        claims = judged(device.collect(nonce))
        assert claims.report_data == nonce
        assert not claims.simulated
        assert "sample_nonce" not in claims.flags
        assert claims.details["kind"] in {"gpu", "switch"}


def test_a_report_is_refused_once_a_byte_of_it_is_another(devices: dict[str, DeviceAttester]) -> None:
    collected = next(iter(devices.values())).collect(os.urandom(32))
    assert judged(collected)
    changed = bytearray(collected.raw)
    changed[4] ^= 1  # of the nonce, which the device has signed
    with pytest.raises(UnverifiedError, match=r"nvidia\.signature"):
        judged(collected, bytes(changed))


def test_no_device_is_there_twice(devices: dict[str, DeviceAttester]) -> None:
    nonce = os.urandom(32)
    found = problems([judged(device.collect(nonce)) for device in devices.values()])
    assert [problem for problem in found if "here twice" in problem or "different nonces" in problem] == []
