"""A room on loopback, and the policy that it meets."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback_room import LoopbackRoom

from sealroom.testing.snp import SimulatedSnp, SnpPlatform

POLICY = """
policy = 1
name = "loopback"
[trust]
tees = ["snp"]
insecure_simulated = ["sha256:{root}"]
[snp]
measurement = ["{measurement}"]
allow = ["smt"]
[snp.minimum_tcb.Genoa]
bootloader = 10
tee = 0
snp = 23
microcode = 84
[model]
name = "small"
digest = ["sha256:{zero}"]
[engine]
config_digest = ["sha256:{zero}"]
"""


@pytest.fixture(scope="session")
def platform() -> SnpPlatform:
    return SnpPlatform.create()


@pytest.fixture
def policy(platform: SnpPlatform, tmp_path: Path) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(
        POLICY.format(root=platform.root_fingerprint.hex(), measurement=bytes(48).hex(), zero=bytes(32).hex())
    )
    return path


@pytest.fixture
def room(platform: SnpPlatform) -> Iterator[LoopbackRoom]:
    with LoopbackRoom(SimulatedSnp(platform=platform)) as room:
        yield room
