"""Evidence of several makers, and expressions about devices and about what a wrapper holds."""

import pytest
from made_claims import changed, codes, judged, made, policy_for

from sealroom.evidence import Claims, Tee
from sealroom.policy.vendors import vendors

_GPU = made(
    Tee.NVIDIA, report_data=b"\x0a" * 32,
    details={"kind": "gpu", "architecture": "hopper", "driver_version": "550.90.07", "mode": "single", "ueid": "17",
             "driver_rim": "d", "vbios_rim": "v", "measurements_compared": 40},
)  # fmt: skip
_NITRO = made(Tee.NITRO, measurements={"pcr0": b"\x01" * 48},
              details={"document": "enclave", "timestamp_ms": 1_795_435_200_000})  # fmt: skip
_INNER = made(Tee.TDX)


def _requiring(when: str) -> str:
    pins = f'[nitro]\npcr0 = ["{"01" * 48}"]\n[nvidia]\nminimum_driver = "1"'
    return f"{pins}\n[[require]]\nwhen = '{when}'\nbecause = \"it is asked\"\n"


@pytest.mark.parametrize(
    ("claims", "devices", "expected"),
    [
        (made(Tee.TDX), (), ("Intel",)),
        (made(Tee.SGX), (), ("Intel",)),
        (made(Tee.SNP), (_GPU, _GPU), ("AMD", "NVIDIA")),
        (made(Tee.NITRO), (), ("AWS",)),
        (changed(made(Tee.AZURE_VTPM), inner=_INNER), (), ("Intel",)),
        (made(Tee.AZURE_VTPM), (), ("Microsoft",)),
        (changed(made(Tee.GCP), inner=_INNER), (), ("Google", "Intel")),
    ],
)
def test_a_maker_counts_once_and_only_for_a_root_of_its_own(
    claims: Claims, devices: tuple[Claims, ...], expected: tuple[str, ...]
) -> None:
    assert vendors(claims, devices) == expected


def test_two_makers_are_two_makers() -> None:
    tables = f'[nitro]\npcr0 = ["{"01" * 48}"]\n[nvidia]\nminimum_driver = "1"\n'
    two = policy_for(Tee.NITRO, tables, trust="minimum_vendors = 2")
    three = policy_for(Tee.NITRO, tables, trust="minimum_vendors = 3")

    assert judged(two, _NITRO, devices=(_GPU,)).accepted, codes(judged(two, _NITRO, devices=(_GPU,)))
    assert codes(judged(three, _NITRO, devices=(_GPU,))) == ["trust.too-few-vendors"]
    alone = policy_for(Tee.NITRO, tables.partition("[nvidia]")[0], trust="minimum_vendors = 2")
    assert codes(judged(alone, _NITRO)) == ["trust.too-few-vendors"]


def test_one_root_of_simulated_hardware_is_one_maker_whatever_it_signs() -> None:
    cpu = changed(made(Tee.SNP), simulated=True)
    same, other = changed(_GPU, simulated=True), changed(_GPU, simulated=True, root=b"\x5e" * 32)

    assert vendors(cpu, (same,)) == ("AMD",)
    assert vendors(cpu, (other,)) == ("AMD", "NVIDIA")


def test_devices_that_a_policy_does_not_look_at_are_nobodys_evidence() -> None:
    pins = f'[nitro]\npcr0 = ["{"01" * 48}"]\n'
    policy = policy_for(Tee.NITRO, pins, trust="minimum_vendors = 2", unchecked='devices = "for this test"')

    assert codes(judged(policy, _NITRO, devices=(_GPU,))) == ["trust.too-few-vendors"]


@pytest.mark.parametrize(
    ("when", "passes"),
    [
        ('devices.all(one, one.details.architecture == "hopper")', True),
        ("devices.size() == 1", True),
        ('devices.all(one, one.details.architecture == "blackwell")', False),
        ("claims.inner == null", True),
        ('claims.inner.tee == "snp"', False),
    ],
)
def test_expressions_see_devices_and_what_a_wrapper_holds(when: str, passes: bool) -> None:
    verdict = judged(policy_for(Tee.NITRO, _requiring(when)), _NITRO, devices=(_GPU,))

    assert codes(verdict) == ([] if passes else ["policy.requirement"])
