"""What every test may ask for."""

from pathlib import Path

import pytest

_SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_vectors() -> Path:
    """The folder of recorded evidence beside the checkout."""
    if not (_SHARED / "vectors").is_dir():
        pytest.skip("the recorded vectors (../shared/vectors) are not on this machine")
    return _SHARED / "vectors"
