"""SNP launch digests: against the library's own road from files, against the steps by hand, and every refusal."""

import hashlib
import struct
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_images import PAGE, SEV_RESET, SEV_SECTIONS, SVSM_INFO, refusal, sev_firmware, u32, with_table
from sevsnpmeasure import guest
from sevsnpmeasure.sev_mode import SevMode
from sevsnpmeasure.vcpu_types import CPU_SIGS
from sevsnpmeasure.vmm_types import VMMType

from sealroom.errors import MalformedError, MisuseError
from sealroom.measure.sev_metadata import read_sev_image
from sealroom.measure.snp_launch import VCPU_TYPES, SnpLaunch, likely_launches, measure_snp

FIRMWARE = sev_firmware()
PLAIN = SnpLaunch(firmware=FIRMWARE, vcpus=2, vcpu_type="EPYC-v4")
BOOTED = replace(PLAIN, kernel=b"kernel", initrd=b"initrd", cmdline="console=ttyS0")
OUR_CODES = {"", "measure.firmware-table", "measure.firmware-metadata", "measure.kernel-not-measured"}
SVSM = SnpLaunch(firmware=FIRMWARE, vcpus=2, vcpu_type="EPYC-v4", vmm="qemu-svsm", vars_size=PAGE,
                 svsm=sev_firmware(SEV_SECTIONS[:3], svsm=0x40, hashes_at=None))  # fmt: skip


def by_the_library(launch, folder):
    """The digest as the library's command makes it, from files."""

    def path(name):
        content = getattr(launch, name)
        if content is None:
            return ""
        (folder / name).write_bytes(content)
        return str(folder / name)

    signature = CPU_SIGS[launch.vcpu_type]
    if launch.svsm is not None:
        return guest.svsm_calc_launch_digest(launch.vcpus, signature, path("firmware"), launch.vars_size,
                                             path("svsm"), False)  # fmt: skip
    vmm = {"qemu": VMMType.QEMU, "ec2": VMMType.ec2, "gce": VMMType.gce}[launch.vmm]
    return guest.calc_launch_digest(
        SevMode.SEV_SNP, launch.vcpus, signature, path("firmware"), path("kernel"), path("initrd"),
        launch.cmdline or "", launch.features, (launch.firmware_digest or b"").hex(), vmm_type=vmm,
    )  # fmt: skip


@pytest.mark.parametrize("vmm", ["qemu", "ec2", "gce"])
@pytest.mark.parametrize(
    "launch", [PLAIN, BOOTED, replace(BOOTED, initrd=None, cmdline=None, firmware_digest=b"s" * 48)]
)
def test_every_launch_is_what_the_library_makes_of_files(launch, vmm, tmp_path):
    for vcpus, kind, features in product((1, 3), ("EPYC-v4", "EPYC-Milan", "EPYC-Turin"), (0x1, 0x21)):
        one = replace(launch, vmm=vmm, vcpus=vcpus, vcpu_type=kind, features=features)
        assert measure_snp(one) == by_the_library(one, tmp_path)


def test_a_launch_below_an_svsm_is_what_the_library_makes_of_files(tmp_path):
    assert measure_snp(SVSM) == by_the_library(SVSM, tmp_path)
    assert measure_snp(replace(SVSM, vars_size=2 * PAGE)) != measure_snp(SVSM)


def test_the_steps_by_hand_lead_to_the_same_digest():
    """AMD 56860 table 67 for each page, and the state of a processor as KVM leaves it (measurement.md section 9)."""
    digest = bytes(48)

    def page(kind, address, contents=bytes(48)):
        nonlocal digest
        info = digest + contents + struct.pack("<HBBBBBBQ", 0x70, kind, 0, 0, 0, 0, 0, address)
        digest = hashlib.sha384(info).digest()

    for at in range(0, len(FIRMWARE), PAGE):
        page(1, 0x100000000 - len(FIRMWARE) + at, hashlib.sha384(FIRMWARE[at : at + PAGE]).digest())
    for address in (0x800000, 0x801000, 0x802000):
        page(3, address)
    page(5, 0x80D000)
    page(6, 0x80E000)
    page(3, 0x80F000)
    page(1, 0x810000, hashlib.sha384(kernel_hashes(b"kernel", b"initrd", b"console=ttyS0\x00")).digest())
    for address in (0xFFFFFFF0, 0x80B004):
        page(2, 0xFFFFFFFFF000, hashlib.sha384(processor_state(address, 0x800F12)).digest())
    assert measure_snp(BOOTED) == digest


def kernel_hashes(kernel, initrd, cmdline):
    names = {"97d02dd8-bd20-4c94-aa78-e7714d36ab2a": cmdline, "44baf731-3a2f-4bd7-9af1-41e29169781d": initrd,
             "4de79437-abd2-427f-b835-d5b172d2045b": kernel}  # fmt: skip
    rows = b"".join(guid_bytes(name) + struct.pack("<H", 50) + hashlib.sha256(content).digest()
                    for name, content in names.items())  # fmt: skip
    table = guid_bytes("9438d606-4f22-4cc9-b479-a793d411fd21") + struct.pack("<H", 168) + rows
    return (bytes(0xC00) + table).ljust(PAGE, b"\x00")


def guid_bytes(text):
    first, second, third, *rest = text.split("-")
    return (int(first, 16).to_bytes(4, "little") + int(second, 16).to_bytes(2, "little")
            + int(third, 16).to_bytes(2, "little") + bytes.fromhex("".join(rest)))  # fmt: skip


def processor_state(entry, signature):
    state = bytearray(PAGE)

    def put(at, form, *values):
        struct.pack_into(form, state, at, *values)

    for at in (0x00, 0x20, 0x30, 0x40, 0x50):
        put(at, "<HHI", 0, 0x93, 0xFFFF)
    put(0x10, "<HHIQ", 0xF000, 0x9B, 0xFFFF, entry & 0xFFFF0000)
    for at, attributes in ((0x60, 0), (0x70, 0x82), (0x80, 0), (0x90, 0x8B)):
        put(at, "<HHI", 0, attributes, 0xFFFF)
    for at, value in (
        (0xD0, 0x1000), (0x148, 0x40), (0x158, 0x10), (0x160, 0x400), (0x168, 0xFFFF0FF0), (0x170, 2),
        (0x178, entry & 0xFFFF), (0x268, 0x7040600070406), (0x310, signature), (0x3B0, 1), (0x3E8, 1),
    ):  # fmt: skip
        put(at, "<Q", value)
    put(0x408, "<I", 0x1F80)
    put(0x410, "<H", 0x37F)
    return bytes(state)


def test_each_input_changes_the_digest():
    launches = [
        PLAIN, BOOTED, replace(BOOTED, kernel=b"other"), replace(BOOTED, initrd=None), replace(BOOTED, cmdline=None),
        replace(PLAIN, vcpus=3), replace(PLAIN, vcpu_type="EPYC-Genoa"), replace(PLAIN, features=0x21),
        replace(PLAIN, vmm="ec2"), replace(PLAIN, vmm="gce"), replace(PLAIN, firmware_digest=b"d" * 48),
        replace(PLAIN, firmware=sev_firmware(reset=0x80B008)), replace(PLAIN, firmware=sev_firmware(pages=3)),
    ]  # fmt: skip
    digests = [measure_snp(launch) for launch in launches]
    assert len(set(digests)) == len(digests)
    assert measure_snp(replace(BOOTED, cmdline="")) == measure_snp(replace(BOOTED, cmdline=None))


def test_the_firmwares_digest_stands_in_for_its_first_pages():
    """What was cut off is in the digest; the tables are read off the pages that are left."""
    digest = bytes(48)
    for at in range(0, len(FIRMWARE), PAGE):
        contents = hashlib.sha384(FIRMWARE[at : at + PAGE]).digest()
        form = struct.pack("<HBBBBBBQ", 0x70, 1, 0, 0, 0, 0, 0, 0x100000000 - len(FIRMWARE) + at)
        digest = hashlib.sha384(digest + contents + form).digest()
    tail = replace(PLAIN, firmware=FIRMWARE[PAGE:], firmware_digest=digest)
    assert measure_snp(tail) == measure_snp(PLAIN)
    assert measure_snp(replace(tail, firmware_digest=None)) != measure_snp(PLAIN)


def test_likely_launches_are_each_what_they_say():
    found = dict(likely_launches(BOOTED, vcpus=(1, 4), types=("EPYC-v4", "EPYC-Genoa"), features=(0x1, 0x21)))
    assert len(found) == 8
    assert all(digest == measure_snp(launch) for launch, digest in found.items())
    assert len(set(found.values())) == 8


@pytest.mark.parametrize(
    ("code", "launch"),
    [
        ("measure.vcpus", replace(PLAIN, vcpus=0)),
        ("measure.vcpus", replace(PLAIN, vcpus=-1)),
        ("measure.vcpus", replace(PLAIN, vcpus=1 << 30)),
        ("measure.vcpu-type", replace(PLAIN, vcpu_type="EPYC-Venice")),
        ("measure.vmm", replace(PLAIN, vmm="xen")),
        ("measure.vmm", replace(PLAIN, vmm="qemu-svsm")),
        ("measure.vmm", replace(SVSM, vmm="qemu")),
        ("measure.features", replace(PLAIN, features=1 << 64)),
        ("measure.features", replace(PLAIN, features=-1)),
        ("measure.features", replace(SVSM, features=0x21)),
        ("measure.kernel", replace(PLAIN, initrd=b"i")),
        ("measure.kernel", replace(PLAIN, cmdline="quiet")),
        ("measure.cmdline", replace(BOOTED, cmdline="a\x00b")),
        ("measure.cmdline", replace(BOOTED, cmdline="\udcff")),
        ("measure.firmware-digest", replace(PLAIN, firmware_digest=b"short")),
        ("measure.firmware-digest", replace(PLAIN, firmware_digest=b"")),
        ("measure.svsm", replace(SVSM, kernel=b"k")),
        ("measure.svsm", replace(SVSM, firmware_digest=bytes(48))),
        ("measure.vars-size", replace(SVSM, vars_size=100)),
        ("measure.vars-size", replace(SVSM, vars_size=-PAGE)),
        ("measure.vars-size", replace(SVSM, vars_size=1 << 33)),
        ("measure.vars-size", replace(SVSM, vars_size=0xFFFFF000)),
        ("measure.vars-size", replace(PLAIN, vars_size=PAGE)),
    ],
)
def test_a_launch_that_can_not_be_so_is_refused(code, launch):
    with pytest.raises(MisuseError) as refused:
        measure_snp(launch)
    assert refused.value.code == code
    assert refused.value.expected


@pytest.mark.parametrize(
    ("code", "firmware"),
    [
        ("measure.firmware-size", b""),
        ("measure.firmware-size", FIRMWARE[1:]),
        ("measure.firmware-table", bytes(PAGE)),
        ("measure.firmware-table", with_table(b"", {}, footer=SEV_RESET)),
        ("measure.firmware-table", with_table(b"", {})),
        ("measure.firmware-table", with_table(b"", {SEV_RESET: u32(1)})),
        ("measure.firmware-metadata", sev_firmware(signature=b"ASEX")),
        ("measure.firmware-metadata", sev_firmware(version=2)),
        ("measure.firmware-metadata", sev_firmware(count=6)),
        ("measure.firmware-metadata", sev_firmware(count=0xFFFFFFFF)),
        ("measure.firmware-metadata", sev_firmware(size=15)),
        ("measure.firmware-metadata", sev_firmware(size=0xFFFF)),
        ("measure.firmware-metadata", sev_firmware([(0x800000, PAGE, 5)])),
        ("measure.firmware-metadata", sev_firmware([(0x800000, PAGE, 0)])),
        ("measure.firmware-metadata", sev_firmware([(0x800001, PAGE, 1)])),
        ("measure.firmware-metadata", sev_firmware([(0x800000, 100, 1)])),
        ("measure.firmware-metadata", sev_firmware([(0x800000, 0, 1)])),
        ("measure.firmware-metadata", sev_firmware([(0xFFFFF000, 0x2000, 1)])),
        ("measure.firmware-metadata", sev_firmware([(0x800000, 2 * PAGE, 2)])),
        ("measure.firmware-metadata", sev_firmware([(0x800000, 2 * PAGE, 3)])),
        ("measure.firmware-metadata", sev_firmware([(0x800000, 2 * PAGE, 0x10)])),
        ("measure.firmware-metadata", sev_firmware(hashes_at=0x810FFF)),
        ("measure.firmware-metadata", sev_firmware([(0, 0x8001000, 1), (0, 0x8000000, 1)])),
        ("measure.firmware-table", sev_firmware(reset=0)),
    ],
)
def test_a_firmware_that_can_not_be_measured_is_refused(code, firmware):
    with pytest.raises(MalformedError) as refused:
        measure_snp(replace(PLAIN, firmware=firmware))
    assert refused.value.code == code


def test_a_firmware_without_a_start_for_others_is_measured_with_one_processor():
    assert len(measure_snp(replace(PLAIN, firmware=sev_firmware(reset=0), vcpus=1))) == 48


@pytest.mark.parametrize(
    "firmware",
    [
        sev_firmware(hashes_at=None),
        sev_firmware(hashes_at=0),
        sev_firmware(SEV_SECTIONS[:4]),
        sev_firmware(hashes_at=0x811C00),
        sev_firmware([*SEV_SECTIONS, (0x811000, PAGE, 0x10)]),
    ],
)
def test_a_kernel_that_the_firmware_would_not_check_is_refused(firmware):
    """No table, no page, two pages, or a page other than the one that the firmware will read."""
    assert measure_snp(replace(PLAIN, firmware=firmware))
    with pytest.raises(MalformedError) as refused:
        measure_snp(replace(BOOTED, firmware=firmware))
    assert refused.value.code == "measure.kernel-not-measured"


def test_an_svsm_without_its_own_entry_is_refused():
    with pytest.raises(MalformedError) as refused:
        measure_snp(replace(SVSM, svsm=FIRMWARE))
    assert refused.value.code == "measure.firmware-table"
    assert refused.value.expected == SVSM_INFO


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_change_to_the_tables_raises_anything_foreign(data):
    image = bytearray(FIRMWARE)
    for _ in range(data.draw(st.integers(1, 4))):
        image[data.draw(st.integers(len(image) - 2048, len(image) - 1))] = data.draw(st.integers(0, 255))
    launch = replace(BOOTED, firmware=bytes(image), vmm=data.draw(st.sampled_from(["qemu", "ec2", "gce"])))
    assert refusal(measure_snp, launch) in OUR_CODES


@settings(max_examples=100, deadline=None)
@given(raw=st.binary(max_size=2048), svsm=st.booleans())
def test_no_bytes_before_a_footer_raise_anything_foreign(raw, svsm):
    image = with_table(raw, {})
    for candidate in (raw, raw.ljust(PAGE, b"\x00"), image):
        assert refusal(read_sev_image, candidate, svsm=svsm).startswith("measure.firmware-")


def test_the_processor_models_are_qemus():
    assert {"EPYC", "EPYC-v4", "EPYC-Rome", "EPYC-Milan", "EPYC-Genoa", "EPYC-Turin"} <= set(VCPU_TYPES)
    for name, family, model, stepping in (("EPYC-v4", 23, 1, 2), ("EPYC-Rome", 23, 49, 0), ("EPYC-Milan", 25, 1, 1),
                                          ("EPYC-Genoa", 25, 17, 0), ("EPYC-Turin", 26, 0, 0)):  # fmt: skip
        assert CPU_SIGS[name] == (family - 15) << 20 | (model >> 4) << 16 | 15 << 8 | (model & 15) << 4 | stepping
