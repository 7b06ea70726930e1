"""On a machine that makes evidence: the doctor names it. Skipped, with the reason, elsewhere."""

import os

import pytest

from sealroom.binding import carried
from sealroom.collect import this_machine
from sealroom.doctor.collect import look
from sealroom.doctor.diagnosis import diagnose
from sealroom.errors import UnavailableError


def test_the_doctor_names_what_the_silicon_gives() -> None:
    try:
        attester = this_machine()
        collected = attester.collect(carried(attester.tee, os.urandom(64)))
    except UnavailableError as error:
        pytest.skip(f"this machine makes no evidence: {error.code}")
    assert collected.tee in diagnose(look()).proves
