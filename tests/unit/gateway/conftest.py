"""The gateway that most tests ask; the harness makes others."""

import pytest
from gateway_harness import Gateway, make_gateway


@pytest.fixture
async def gateway() -> Gateway:
    return await make_gateway()
