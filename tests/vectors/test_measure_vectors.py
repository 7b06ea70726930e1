"""Recorded launch inputs by a second road: the library from files, hashlib by hand, and each file cut or changed."""

import hashlib
import struct
from dataclasses import replace

import pytest
from sevsnpmeasure import guest
from sevsnpmeasure.sev_mode import SevMode
from sevsnpmeasure.vcpu_types import CPU_SIGS
from sevsnpmeasure.vmm_types import VMMType

from sealroom.errors import SealroomError
from sealroom.measure.eif import measure_eif
from sealroom.measure.mrtd import measure_mrtd
from sealroom.measure.sev_metadata import read_sev_image
from sealroom.measure.sigstruct import read_sigstruct
from sealroom.measure.snp_launch import SnpLaunch, measure_snp
from sealroom.measure.tdvf import read_tdvf
from sealroom.testing.conformance import run_case
from sealroom.testing.vector_store import find_cases, read_case

KINDS = {
    "snp-launch": "measure.",
    "tdx-mrtd": "measure.",
    "tdx-direct-boot": "measure.",
    "sgx-sigstruct": "sigstruct.",
    "nitro-eif": "eif.",
}
"""Each kind, and how the codes begin with which its inputs are refused."""
_VMM = {"qemu": VMMType.QEMU, "ec2": VMMType.ec2, "gce": VMMType.gce}


@pytest.fixture(scope="module")
def cases(shared_vectors):
    """Every vector of the kinds that are about images, with its folder."""
    read = [read_case(name, directory) for name, directory in find_cases(shared_vectors / "measure")]
    found = [case for case in read if case.kind in KINDS]
    assert len(found) >= 30
    return found


def of_kind(cases, kind, verdict="valid"):
    chosen = [case for case in cases if case.kind == kind and case.expect.verdict == verdict]
    assert chosen
    return chosen


def refused(function, raw):
    try:
        function(raw)
    except SealroomError as reason:
        return reason.code
    return ""


def test_every_refusal_is_of_the_input_and_of_its_own_part(cases):
    codes = {}
    for case in cases:
        if case.expect.verdict == "invalid":
            result = run_case(case)
            assert result.verdict == "invalid", case.name
            assert result.code.startswith(KINDS[case.kind]), (case.name, result.code)
            codes[case.name] = result.code
    assert len(codes) >= 18


def test_every_expected_field_is_compared(cases):
    """What a vector expects and nothing computes would pass unseen."""
    for case in cases:
        if case.expect.verdict == "valid":
            result = run_case(case)
            assert result.passed, result.as_line()
            assert not result.fields_differ, case.name


def test_the_library_makes_the_same_of_each_launch_from_its_files(cases):
    for case in of_kind(cases, "snp-launch"):
        given = case.input
        path = {name: str(case.directory / str(given[name])) if given.get(name) else ""
                for name in ("firmware", "kernel", "initrd", "svsm")}  # fmt: skip
        signature = CPU_SIGS[str(given["vcpu_type"])]
        if path["svsm"]:
            digest = guest.svsm_calc_launch_digest(given["vcpus"], signature, path["firmware"], given["vars_size"],
                                                   path["svsm"], False)  # fmt: skip
        else:
            digest = guest.calc_launch_digest(
                SevMode.SEV_SNP, given["vcpus"], signature, path["firmware"], path["kernel"], path["initrd"],
                given.get("cmdline", ""), int(str(given["guest_features"]), 16), given.get("firmware_digest", ""),
                vmm_type=_VMM[str(given["vmm"])],
            )  # fmt: skip
        assert digest.hex() == case.expect.fields["launch_digest"], case.name


def test_googles_launch_of_the_image_whose_mrtd_google_published(cases):
    case = next(case for case in of_kind(cases, "tdx-mrtd") if "snp_launch_digest_gce_1_vcpu" in case.expect.fields)
    launch = SnpLaunch(firmware=case.evidence, vcpus=1, vcpu_type="EPYC-v4", vmm="gce")
    published = case.expect.fields["snp_launch_digest_gce_1_vcpu"]
    assert measure_snp(launch).hex() == published
    assert measure_snp(replace(launch, vcpu_type="EPYC-Genoa")).hex() == published
    assert measure_snp(replace(launch, vmm="qemu")).hex() != published


def test_mrtd_by_hand(cases):
    for case in of_kind(cases, "tdx-mrtd"):
        running = hashlib.sha384()
        for one in read_tdvf(case.evidence).sections:
            content = case.evidence[one.offset : one.offset + one.raw_size].ljust(one.memory_size, b"\x00")
            for at in range(0, 0 if one.augmented else one.memory_size, 4096):
                running.update(struct.pack("<16sQ104x", b"MEM.PAGE.ADD", one.address + at))
                for chunk in range(at, at + (4096 if one.extended else 0), 256):
                    running.update(struct.pack("<16sQ104x", b"MR.EXTEND", one.address + chunk))
                    running.update(content[chunk : chunk + 256])
        assert running.hexdigest() == case.expect.fields["mrtd"], case.name


def test_firmware_cut_or_filled_up_is_refused_or_another(cases):
    for case in of_kind(cases, "tdx-mrtd"):
        whole = case.evidence
        value = measure_mrtd(whole).per_page
        for length in (0, 1, 16, 48, 50, 4095, 4096, len(whole) // 2, len(whole) - 4096, len(whole) - 1):
            assert refused(measure_mrtd, whole[:length]).startswith("measure."), (case.name, length)
        assert refused(measure_mrtd, whole + bytes(4096)) == "measure.firmware-table"
        assert refused(measure_mrtd, whole[4096:]) or measure_mrtd(whole[4096:]).per_page != value
    for case in of_kind(cases, "snp-launch"):
        for length in (0, 1, 48, 2048, 4095):
            assert refused(read_sev_image, case.evidence[:length]).startswith("measure.firmware-")


def test_no_byte_of_a_recorded_sigstruct_can_be_changed_or_missing(cases):
    for case in of_kind(cases, "sgx-sigstruct"):
        for at in range(len(case.evidence)):
            changed = bytearray(case.evidence)
            changed[at] ^= 0x10
            assert refused(read_sigstruct, bytes(changed)).startswith("sigstruct."), (case.name, at)
        assert refused(read_sigstruct, case.evidence + b"\x00") == "sigstruct.malformed"


def test_no_byte_of_an_enclave_image_can_be_changed_or_missing(cases):
    for case in of_kind(cases, "nitro-eif"):
        for at in range(0, len(case.evidence), 13):
            changed = bytearray(case.evidence)
            changed[at] ^= 0x10
            assert refused(measure_eif, bytes(changed)) == "eif.malformed", (case.name, at)
            assert refused(measure_eif, case.evidence[:at]) == "eif.malformed", (case.name, at)


_RIGHT = {"snp-launch": "launch_digest", "tdx-mrtd": "mrtd_two_pass", "sgx-sigstruct": "mrenclave",
          "nitro-eif": "pcr0", "tdx-direct-boot": "td_hob_sha384"}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_claim_that_is_right_is_accepted_and_a_wrong_one_told(cases, kind):
    """As the vectors' page has it: with ``claimed_…``, say that it differs."""
    case = next(case for case in of_kind(cases, kind) if _RIGHT[kind] in case.expect.fields
                and "page_add_order" not in case.input)  # fmt: skip
    right = case.expect.fields[_RIGHT[kind]]
    claim = "claimed_" + _RIGHT[kind].removesuffix("_two_pass")
    wrong = right[:-1] + "0f"[right[-1] == "0"]
    expected = {right: ("valid", None), right.upper(): ("valid", None), wrong: ("invalid", "measure.claim-differs")}
    for value, (verdict, code) in expected.items():
        claimed = replace(case, document=case.document | {"input": case.input | {claim: value}})
        result = run_case(claimed)
        assert (result.verdict, result.code) == (verdict, code)
    result = run_case(replace(case, document=case.document | {"claimed_nothing": "00"}))
    assert not result.supported


def test_a_prediction_that_is_not_the_quotes_is_told(cases):
    case = next(case for case in of_kind(cases, "tdx-direct-boot") if "quote" in case.input)
    assert run_case(case).verdict == "valid"
    for changed in ({"memory_bytes": 1 << 30}, {"initrd_sha384": "00" * 48}, {"boot_order_data": "0100"}):
        result = run_case(replace(case, document=case.document | {"input": case.input | changed}))
        assert (result.verdict, result.code) == ("invalid", "measure.claim-differs")
    without = {name: value for name, value in case.input.items() if not name.startswith("boot")}
    assert run_case(replace(case, document=case.document | {"input": without})).passed
