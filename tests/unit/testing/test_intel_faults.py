"""Every minted fault is refused for its own reason, and everything authentic says what it should."""

from collections import Counter

import pytest

from sealroom.errors import SealroomError
from sealroom.evidence import Claims, Collateral, TrustRoots
from sealroom.tees.registry import for_tee
from sealroom.testing.dcap import DcapPlatform
from sealroom.testing.intel_cases import AT, MintedCase
from sealroom.testing.intel_faults import faults
from sealroom.testing.intel_weaknesses import authentic
from sealroom.x509_reader import read_certificate

PLATFORM = DcapPlatform.create()
FAULTS = {case.name: case for case in faults(PLATFORM)}
AUTHENTIC = {case.name: case for case in authentic(PLATFORM)}


def judged(case: MintedCase) -> Claims:
    verifier = for_tee(case.tee)
    roots = TrustRoots(insecure_simulated=frozenset({read_certificate(case.root).fingerprint}))
    evidence = verifier.parse(case.raw)
    collateral = Collateral(items=case.items)
    return verifier.claims(verifier.verify(evidence, roots=roots, collateral=collateral, at=AT))


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_refused_for_its_own_reason(name):
    with pytest.raises(SealroomError) as refusal:
        judged(FAULTS[name])
    assert refusal.value.code == FAULTS[name].code


@pytest.mark.parametrize("name", AUTHENTIC)
def test_what_is_authentic_is_accepted_with_its_status_and_flags(name):
    case = AUTHENTIC[name]
    claims = judged(case)
    assert (claims.tcb_status, claims.flags, claims.simulated) == (case.status, case.flags, True)


def test_each_case_has_a_name_of_its_own():
    names = Counter(case.name for make in (faults, authentic) for case in make(PLATFORM))
    assert [name for name, times in names.items() if times > 1] == []
    assert len(FAULTS) > 100
    assert len(AUTHENTIC) > 40
