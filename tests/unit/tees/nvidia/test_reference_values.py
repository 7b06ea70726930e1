"""Measurements against reference values: what is compared, what may be skipped, and for whom the values are."""

import random
from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.errors import UnverifiedError
from sealroom.tees.nvidia.appraisal import require_equal
from sealroom.tees.nvidia.opaque import DISABLED, ENABLED
from sealroom.tees.nvidia.reference_values import Mismatch, ReportFacts, compare, require_for_device
from sealroom.tees.nvidia.rim import Rim

HOPPER = ReportFacts(
    family="GH100", is_switch=False, driver_version="550.90.07", vbios_version="96.00.9f.00.01", project="g520",
    project_sku="0200", chip_sku="882", chip_info=None, nvdec0_status=DISABLED,
)  # fmt: skip
BLACKWELL = replace(HOPPER, family="GB100", driver_version="575.32", vbios_version="97.00.0a.00.0f", chip_info=None)
SWITCH = replace(HOPPER, family="LS_10", is_switch=True, driver_version=None, vbios_version="96.10.55.00.01")


def value(name: object) -> bytes:
    return random.Random(str(name)).randbytes(48)


def rim(*indices: int, kind: str = "driver", **changes: object) -> Rim:
    version = {"driver": "550.90.07", "vbios": "96.00.9F.00.01"}[kind]
    honest = Rim(product="GH100", edition="GPU", version=version,
                 measurements=MappingProxyType({index: (value(index),) for index in indices}))  # fmt: skip
    return replace(honest, **changes)


REPORT = {index: value(index) for index in range(64)}
DRIVER, VBIOS = rim(7, *range(21, 41)), rim(*range(7), *range(8, 13), kind="vbios")


def test_every_active_value_is_compared():
    found = compare(REPORT, driver=DRIVER, vbios=VBIOS, facts=replace(HOPPER, nvdec0_status=ENABLED))
    assert (found.compared, found.skipped, found.mismatches) == (33, (), ())


@given(st.sets(st.integers(0, 63), min_size=1), st.data())
def test_fault_gpu_cloud_2_every_difference_is_named_with_its_index_and_source(wrong, data):
    """NVIDIA/nvtrust issues 90 and 28: never "failed" alone; and nothing that is equal is named."""
    report = {**REPORT, **{index: bytes(48) for index in wrong}}
    facts = replace(HOPPER, nvdec0_status=data.draw(st.sampled_from([ENABLED, DISABLED, None])))
    found = compare(report, driver=DRIVER, vbios=VBIOS, facts=facts)
    skipped = {35} if facts.nvdec0_status == DISABLED else set()
    expected = {
        (index, source.id) for source in (DRIVER, VBIOS) for index in set(source.measurements) & wrong - skipped
    }
    assert {(mismatch.index, mismatch.source) for mismatch in found.mismatches} == expected
    for mismatch in found.mismatches:
        assert (mismatch.got, mismatch.wanted) == (bytes(48), (value(mismatch.index),))


def test_fault_gpu_cloud_2_the_error_says_all_of_it():
    found = compare({**REPORT, 9: bytes(48), 30: bytes(48)}, driver=DRIVER, vbios=VBIOS, facts=HOPPER)
    with pytest.raises(UnverifiedError) as refusal:
        require_equal(found)
    error = refusal.value
    assert (error.code, error.where) == ("nvidia.measurement-mismatch", "index 30, index 9")
    assert f"index 9: {'00' * 48} (GH100 96.00.9F.00.01)" in str(error.got)
    assert f"index 30: {'00' * 48} (GH100 550.90.07)" in str(error.got)
    require_equal(compare(REPORT, driver=DRIVER, vbios=VBIOS, facts=HOPPER))


def test_an_active_value_that_the_report_lacks_differs():
    report = {index: measured for index, measured in REPORT.items() if index != 12}
    found = compare(report, driver=DRIVER, vbios=VBIOS, facts=HOPPER)
    assert found.mismatches == (Mismatch(index=12, source=VBIOS.id, got=None, wanted=(value(12),)),)
    with pytest.raises(UnverifiedError, match="index 12: absent"):
        require_equal(found)


def test_one_of_several_values_is_enough_and_no_beginning_of_one():
    driver = replace(DRIVER, measurements={7: (value("a"), value(7), value("b"))})
    assert compare(REPORT, driver=driver, vbios=None, facts=HOPPER).mismatches == ()
    for got in (value(7)[:47], b"", value(7) + b"\0", value("c")):
        (found,) = compare({**REPORT, 7: got}, driver=driver, vbios=None, facts=HOPPER).mismatches
        assert (found.got, found.wanted) == (got, driver.measurements[7])


@pytest.mark.parametrize("status", [ENABLED, None, 0x00, 0xFF, DISABLED ^ 1])
def test_nothing_is_skipped_unless_the_report_says_that_the_unit_is_off(status):
    facts = replace(HOPPER, nvdec0_status=status)
    found = compare({**REPORT, 35: bytes(48)}, driver=DRIVER, vbios=VBIOS, facts=facts)
    assert [mismatch.index for mismatch in found.mismatches] == [35]
    assert (found.compared, found.skipped) == (33, ())


def test_that_unit_alone_is_skipped_where_it_is_off():
    report = {**REPORT, 34: bytes(48), 35: bytes(48), 36: bytes(48)}
    found = compare(report, driver=DRIVER, vbios=VBIOS, facts=HOPPER)
    assert [mismatch.index for mismatch in found.mismatches] == [34, 36]
    assert (found.compared, found.skipped) == (32, (35,))


@pytest.mark.parametrize("index", [0, 35, 63])
def test_a_value_at_one_index_in_both_is_refused_equal_or_not(index):
    for values in ((value(index),), (bytes(48),)):
        driver = replace(DRIVER, measurements={**DRIVER.measurements, index: values})
        vbios = replace(VBIOS, measurements={**VBIOS.measurements, index: (value(index),)})
        with pytest.raises(UnverifiedError, match=rf"nvidia\.rim-overlap.*index {index}"):
            compare(REPORT, driver=driver, vbios=vbios, facts=HOPPER)


NOTHING = {
    "no reference values": (None, None), "empty ones": (rim(), rim(kind="vbios")), "an empty driver": (rim(), None),
    "an empty VBIOS": (None, rim(kind="vbios")), "only what is skipped": (rim(35), None),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTHING)
def test_fault_gpu_cloud_3_nothing_to_compare_is_no_match(name):
    driver, vbios = NOTHING[name]
    with pytest.raises(UnverifiedError, match=r"nvidia\.rim-nothing-to-compare"):
        compare(REPORT, driver=driver, vbios=vbios, facts=HOPPER)


def test_fault_gpu_cloud_7_one_document_alone_is_compared_and_counted_as_what_it_is():
    """How many values were compared stands in the result, so that half is not taken for all."""
    assert compare(REPORT, driver=DRIVER, vbios=None, facts=HOPPER).compared == 20
    assert compare(REPORT, driver=None, vbios=VBIOS, facts=HOPPER).compared == 12


DRIVER_IDS = {
    "Hopper": (HOPPER, "NV_GPU_DRIVER_GH100_550.90.07"),
    "Blackwell that does not name its chip": (BLACKWELL, "NV_GPU_CC_DRIVER_GB100_575.32"),
    "Blackwell that does": (replace(BLACKWELL, chip_info="gb202"), "NV_GPU_CC_DRIVER_GB202_575.32"),
}


@pytest.mark.parametrize("name", DRIVER_IDS)
def test_names_of_driver_values_at_the_service(name):
    facts, expected = DRIVER_IDS[name]
    assert facts.driver_rim_id == expected


def test_names_of_vbios_values_at_the_service():
    assert HOPPER.vbios_rim_id == "NV_GPU_VBIOS_G520_0200_882_96009F0001"
    assert BLACKWELL.vbios_rim_id == "NV_GPU_VBIOS_G520_0200_882_97000A000F"
    assert SWITCH.vbios_rim_id == "NV_SWITCH_BIOS_5612_0002_890_9610550001"


class Verified:
    """As much of a verified RIM as is looked at."""

    def __init__(self, product: str, edition: str, version: str) -> None:
        self.product, self.edition, self.version = product, edition, version


FITTING = {
    "driver": ("driver", HOPPER, Verified("GH100", "GPU", "550.90.07")),
    "VBIOS, whose version is in upper case": ("vbios", HOPPER, Verified("GH100", "GPU", "96.00.9F.00.01")),
    "Blackwell": ("driver", BLACKWELL, Verified("GB100", "GPU", "575.32")),
    "Blackwell that names its chip": (
        "driver", replace(BLACKWELL, family="GB20X", chip_info="GB202"), Verified("GB202", "GPU", "575.32")
    ),
    "switch": ("vbios", SWITCH, Verified("LS10", "SWITCH", "96.10.55.00.01")),
}  # fmt: skip
OTHER = {
    "Hopper's for Blackwell": ("driver", BLACKWELL, Verified("GH100", "GPU", "575.32"), "nvidia.rim-product"),
    "another chip's": ("driver", replace(BLACKWELL, chip_info="GB202", family="GB20X"),
                       Verified("GB100", "GPU", "575.32"), "nvidia.rim-product"),
    "no product": ("driver", HOPPER, Verified("", "GPU", "550.90.07"), "nvidia.rim-product"),
    "a switch's for a GPU": ("vbios", HOPPER, Verified("GH100", "SWITCH", "96.00.9F.00.01"), "nvidia.rim-product"),
    "a GPU's for a switch": ("vbios", SWITCH, Verified("LS10", "GPU", "96.10.55.00.01"), "nvidia.rim-product"),
    "an older driver": ("driver", HOPPER, Verified("GH100", "GPU", "550.90.06"), "nvidia.rim-version"),
    "a beginning of the version": ("driver", HOPPER, Verified("GH100", "GPU", "550.90"), "nvidia.rim-version"),
    "another VBIOS": ("vbios", HOPPER, Verified("GH100", "GPU", "96.00.74.00.1A"), "nvidia.rim-version"),
    "the VBIOS's as the driver's": ("driver", HOPPER, Verified("GH100", "GPU", "96.00.9F.00.01"),
                                    "nvidia.rim-version"),
    "the driver's as the VBIOS's": ("vbios", HOPPER, Verified("GH100", "GPU", "550.90.07"), "nvidia.rim-version"),
    "a driver's for a switch": ("driver", SWITCH, Verified("LS10", "SWITCH", "None"), "nvidia.rim-version"),
}  # fmt: skip


@pytest.mark.parametrize("name", FITTING)
def test_values_for_this_device(name):
    kind, facts, found = FITTING[name]
    require_for_device(found, kind, facts)


@pytest.mark.parametrize("name", OTHER)
def test_values_for_another_device_are_refused_and_the_right_ones_named(name):
    kind, facts, found, code = OTHER[name]
    with pytest.raises(UnverifiedError) as refusal:
        require_for_device(found, kind, facts)
    assert refusal.value.code == code
    wanted = facts.driver_rim_id if kind == "driver" else facts.vbios_rim_id
    assert wanted in str(refusal.value.hint)
