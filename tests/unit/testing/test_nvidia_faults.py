"""Every minted fault of NVIDIA devices is refused for its own reason; everything authentic says what it should."""

from collections import Counter
from dataclasses import replace

import pytest

from sealroom.errors import MisuseError, SealroomError
from sealroom.evidence import Claims, Collateral, TrustRoots
from sealroom.tees import nvidia
from sealroom.tees.nvidia.topology import problems
from sealroom.testing.nvidia import PRESETS, GpuMachine, SimulatedGpu
from sealroom.testing.nvidia_cases import AT, NONCE, NvidiaCase
from sealroom.testing.nvidia_faults import faults
from sealroom.testing.nvidia_topology_faults import SetCase, set_faults
from sealroom.testing.nvidia_vendor import NvidiaVendor
from sealroom.testing.nvidia_weaknesses import authentic

VENDOR = NvidiaVendor.create()
DEVICES = [SimulatedGpu.create(name, vendor=VENDOR) for name in ("hopper", "blackwell", "ls10")]
FAULTS = {case.name: case for device in DEVICES for case in faults(device)}
AUTHENTIC = {case.name: case for device in DEVICES for case in authentic(device)}
SETS = {case.name: case for case in set_faults(GpuMachine.create(gpus=4, switches=4, vendor=VENDOR))}


def judged(case: NvidiaCase) -> Claims:
    roots = TrustRoots(insecure_simulated=case.anchors)
    verified = nvidia.verify(nvidia.parse(case.raw), roots=roots, collateral=Collateral(items=case.items), at=AT)
    return nvidia.claims(verified)


def claims_of(case: SetCase) -> list[Claims]:
    items = {name: dict(collected.collateral.items) for name, collected in case.devices.items()}
    return [judged(NvidiaCase(name=name, code=None, raw=case.devices[name].raw, items=items[name],
                              anchors=VENDOR.root_fingerprints)) for name in case.devices]  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_refused_for_its_own_reason(name):
    with pytest.raises(SealroomError) as refusal:
        judged(FAULTS[name])
    assert refusal.value.code == FAULTS[name].code


@pytest.mark.parametrize("name", AUTHENTIC)
def test_what_is_authentic_is_accepted_with_its_flags(name):
    claims = judged(AUTHENTIC[name])
    assert (claims.flags, claims.simulated) == (AUTHENTIC[name].flags, True)


@pytest.mark.parametrize("name", SETS)
def test_devices_that_are_not_one_machine(name):
    """Fault gpu-cloud 4 and 8: each device on its own, and all of them by name."""
    found = problems(claims_of(SETS[name]))
    expected = SETS[name].problem
    assert (found == ()) if expected is None else any(expected in problem for problem in found)


def test_each_case_has_a_name_of_its_own():
    names = Counter(case.name for device in DEVICES for make in (faults, authentic) for case in make(device))
    assert [name for name, times in names.items() if times > 1] == []
    assert len(FAULTS) > 450
    assert len(AUTHENTIC) > 60


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_one_machine_without_a_weakness(preset):
    machine = GpuMachine.preset(preset, vendor=VENDOR)
    claims = claims_of(SetCase(name=preset, problem=None, devices=machine.collect(NONCE)))
    assert problems(claims) == ()
    assert {flag for one in claims for flag in one.flags} <= {"protected_pcie"}
    assert {one.report_data for one in claims} == {NONCE}


def test_what_can_not_be_simulated():
    with pytest.raises(MisuseError, match=r"simulated\.nonce"):
        DEVICES[0].collect(bytes(64))
    with pytest.raises(MisuseError, match=r"simulated\.preset"):
        GpuMachine.preset("gtx")
    with pytest.raises(MisuseError, match=r"simulated\.architecture"):
        SimulatedGpu.create("volta")


def test_fault_gpu_cloud_1_the_constant_nonce_of_samples_is_a_flag_even_when_all_else_holds():
    device = replace(DEVICES[0], staples_ocsp=False)
    nonce = bytes.fromhex("931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb")
    collected = device.collect(nonce)
    case = NvidiaCase(name="x", code=None, raw=collected.raw, items=collected.collateral.items,
                      anchors=VENDOR.root_fingerprints)  # fmt: skip
    assert judged(case).flags == {"sample_nonce", "revocation_not_checked"}
