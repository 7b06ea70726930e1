"""What every test may ask for."""

from pathlib import Path

import pytest
from hypothesis import settings

from sealroom.testing.snp import SnpPlatform
from sealroom.testing.snp_store import platform_at

# how long one example takes says how busy the machine is, and nothing of the code
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

_SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_vectors() -> Path:
    """The folder of recorded evidence beside the checkout."""
    if not (_SHARED / "vectors").is_dir():
        pytest.skip("the recorded vectors (../shared/vectors) are not on this machine")
    return _SHARED / "vectors"


@pytest.fixture(scope="session")
def snp_platform(request: pytest.FixtureRequest) -> SnpPlatform:
    """One simulated chip for all tests, kept in pytest's cache: RSA-4096 keys take a second to make."""
    return platform_at(request.config.cache.mkdir("snp-platform"))
