"""The simulated machine is made once: its root's key takes seconds."""

import pytest
from policy_machine import Machine, honest_document

from sealroom.testing.snp import SnpPlatform


@pytest.fixture(scope="session")
def machine() -> Machine:
    platform = SnpPlatform.create()
    return Machine(platform=platform, document=honest_document(platform))
