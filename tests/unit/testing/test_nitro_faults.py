"""Every minted fault of Nitro documents is refused for its own reason; everything authentic says what it should."""

from collections import Counter

import pytest

from sealroom.errors import MisuseError, SealroomError
from sealroom.evidence import Claims, Collateral, TrustRoots
from sealroom.tees import nitro
from sealroom.testing.nitro import NitroMachine, NitroVendor, SimulatedNitro
from sealroom.testing.nitro_cases import AT, Bench, NitroCase, authentic
from sealroom.testing.nitro_faults import faults

BENCH = Bench.create()
FAULTS = {case.name: case for case in faults(BENCH)}
AUTHENTIC = {case.name: case for case in authentic(BENCH)}


def judged(case: NitroCase) -> Claims:
    roots = TrustRoots(insecure_simulated=case.anchors)
    verified = nitro.verify(nitro.parse(case.raw), roots=roots, collateral=Collateral(items={}), at=case.at)
    return nitro.claims(verified)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_refused_for_its_own_reason(name):
    """Faults gpu-cloud 12 and 14: nothing that is parsed is believed before signature, chain and time hold."""
    with pytest.raises(SealroomError) as refusal:
        judged(FAULTS[name])
    assert refusal.value.code == FAULTS[name].code


@pytest.mark.parametrize("name", AUTHENTIC)
def test_what_is_authentic_is_accepted_with_its_flags(name):
    claims = judged(AUTHENTIC[name])
    assert (claims.flags, claims.simulated) == (AUTHENTIC[name].flags, True)
    assert claims.debug == ("debug" in claims.flags)


def test_each_case_has_a_name_of_its_own():
    names = Counter(case.name for make in (faults, authentic) for case in make(BENCH))
    assert [name for name, times in names.items() if times > 1] == []
    assert len(FAULTS) > 150


def test_registers_of_an_instance_have_names_of_their_own():
    """Its software extends most of them: under an enclave's names, anybody's instance could pass for an enclave."""
    machine = NitroMachine.create(vendor=NitroVendor.create(), is_nitro_tpm=True)
    guest = SimulatedNitro(machine=machine, clock=lambda: AT)
    roots = TrustRoots(insecure_simulated=frozenset({guest.root_fingerprint}))
    raw = guest.collect(bytes(64)).raw
    claims = nitro.claims(nitro.verify(nitro.parse(raw), roots=roots, collateral=Collateral(items={}), at=AT))
    assert {name.rstrip("0123456789") for name in claims.measurements} == {"nitrotpm_pcr"}
    assert (claims.details["document"], claims.hardware_model) == ("nitro-tpm", "NitroTPM")


def test_what_can_not_be_simulated():
    with pytest.raises(MisuseError, match=r"simulated\.report-data"):
        SimulatedNitro().collect(bytes(63))
    with pytest.raises(MisuseError, match=r"simulated\.sizes"):
        SimulatedNitro(pcrs={0: bytes(32)})


def test_a_simulated_enclave_is_authentic_now_and_says_what_it_was_given():
    vendor = NitroVendor.create()
    guest = SimulatedNitro(machine=NitroMachine.create(vendor=vendor), pcrs={0: b"\7" * 48}, clock=lambda: AT)
    collected = guest.collect(bytes(range(64)))
    roots = TrustRoots(insecure_simulated=frozenset({guest.root_fingerprint}))
    claims = nitro.claims(nitro.verify(nitro.parse(collected.raw), roots=roots, collateral=collected.collateral,
                                       at=AT))  # fmt: skip
    assert (claims.report_data, claims.measurements["pcr0"]) == (bytes(range(64)), b"\7" * 48)
    assert (claims.root, claims.simulated, guest.simulated) == (vendor.root_fingerprint, True, True)
