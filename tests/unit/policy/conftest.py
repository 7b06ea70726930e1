"""The simulated machines are made once: the keys of a root take seconds."""

import pytest
from intel_machine import IntelMachine
from policy_machine import Machine, honest_document

from sealroom.testing.dcap import DcapPlatform
from sealroom.testing.snp import SnpPlatform


@pytest.fixture(scope="session")
def machine() -> Machine:
    platform = SnpPlatform.create()
    return Machine(platform=platform, document=honest_document(platform))


@pytest.fixture(scope="session")
def intel() -> IntelMachine:
    return IntelMachine(platform=DcapPlatform.create())
