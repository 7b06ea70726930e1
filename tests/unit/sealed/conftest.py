"""What the tests of sealed models share."""

from pathlib import Path

import pytest
from sealed_world import World, seal


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A sealed model of five files, whole and good."""
    return seal(tmp_path)
