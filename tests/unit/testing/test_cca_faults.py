"""Every minted fault of Arm tokens is refused for its own reason; everything authentic says what it should."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from sealroom.errors import MisuseError, SealroomError
from sealroom.evidence import Claims, Collateral, TrustRoots
from sealroom.tees import cca
from sealroom.testing.cca import SimulatedCca
from sealroom.testing.cca_cases import CHALLENGE, Bench, CcaCase, authentic
from sealroom.testing.cca_faults import parts_of
from sealroom.testing.cca_key_faults import faults
from sealroom.testing.psa_cases import authentic_devices

BENCH = Bench.create()
FAULTS = {case.name: case for case in faults(BENCH)}
AUTHENTIC = {case.name: case for make in (authentic, authentic_devices) for case in make(BENCH)}


def judged(case: CcaCase) -> Claims:
    roots = TrustRoots(insecure_simulated=case.anchors)
    verified = cca.verify(cca.parse(case.raw), roots=roots, collateral=Collateral(items={"platform_key": case.key}),
                          at=datetime(2026, 6, 1, tzinfo=UTC))  # fmt: skip
    return cca.claims(verified)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_refused_for_its_own_reason(name):
    """Fault gpu-cloud 12: nothing that is parsed is believed before both signatures and the binding hold."""
    with pytest.raises(SealroomError) as refusal:
        judged(FAULTS[name])
    assert refusal.value.code == FAULTS[name].code


@pytest.mark.parametrize("name", AUTHENTIC)
def test_what_is_authentic_is_accepted_with_its_flags(name):
    claims = judged(AUTHENTIC[name])
    assert (claims.flags, claims.simulated) == (AUTHENTIC[name].flags, True)
    assert claims.debug == ("debug" in claims.flags)
    assert claims.report_data == CHALLENGE[: len(claims.report_data)]
    assert (claims.details["token"] == "cca") is ("rim" in claims.measurements)


def test_each_case_has_a_name_of_its_own():
    names = Counter(case.name for make in (faults, authentic, authentic_devices) for case in make(BENCH))
    assert [name for name, times in names.items() if times > 1] == []
    assert len(FAULTS) > 350


def test_what_can_not_be_simulated():
    with pytest.raises(MisuseError, match=r"simulated\.report-data"):
        SimulatedCca().collect(bytes(63))
    with pytest.raises(MisuseError, match=r"simulated\.sizes"):
        SimulatedCca(initial_measurement=bytes(31))
    with pytest.raises(MisuseError, match=r"simulated\.token"):
        parts_of(b"\xa0")
