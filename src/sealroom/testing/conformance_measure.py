"""Runs measurement vectors: SNP launches, TDX firmware and direct boot, SIGSTRUCTs, Nitro images."""

import hashlib
import re
from dataclasses import replace

from sealroom.evidence import TrustRoots
from sealroom.measure.direct_boot import (
    Rtmr0Inputs,
    cmdline_digest,
    kernel_digest,
    patched_kernel,
    rtmr0,
    rtmr1,
    rtmr2,
)
from sealroom.measure.eif import measure_eif
from sealroom.measure.mrtd import measure_mrtd
from sealroom.measure.sigstruct import read_sigstruct
from sealroom.measure.snp_launch import SnpLaunch, measure_snp
from sealroom.measure.td_hob import OVMF_RANGES, HobRange, td_hob_digest
from sealroom.testing.measurement_claims import compared
from sealroom.testing.outcome import Outcome
from sealroom.testing.vector_store import VectorCase

__all__ = ["run_direct_boot", "run_eif", "run_mrtd", "run_sigstruct", "run_snp_launch"]

_MORE_VCPUS = re.compile(r"launch_digest_(\d+)_vcpus?")
_OF_FIRMWARE = re.compile(r"snp_launch_digest_(qemu|ec2|gce)_(\d+)_vcpus?")
_MODEL = "EPYC-v4"


def run_snp_launch(case: VectorCase, roots: TrustRoots) -> Outcome:  # noqa: ARG001 - one signature for all runners
    """``snp-launch``: the launch digest."""
    launch = SnpLaunch(
        firmware=case.file(case.input["firmware"]),
        vcpus=_integer(case.input.get("vcpus", 1)),
        vcpu_type=str(case.input.get("vcpu_type", _MODEL)),
        features=_integer(case.input.get("guest_features", 1)),
        vmm=str(case.input.get("vmm", "qemu")),
        kernel=_optional_file(case, "kernel"),
        initrd=_optional_file(case, "initrd"),
        cmdline=str(case.input["cmdline"]) if "cmdline" in case.input else None,
        firmware_digest=_bytes(case, "firmware_digest"),
        svsm=_optional_file(case, "svsm"),
        vars_size=_integer(case.input.get("vars_size", 0)),
    )
    fields: dict[str, object] = {"launch_digest": measure_snp(launch).hex()}
    for name in case.expect.fields or {}:
        if asked := _MORE_VCPUS.fullmatch(name):
            fields[name] = measure_snp(replace(launch, vcpus=int(asked[1]))).hex()
    return compared(case, fields)


def run_mrtd(case: VectorCase, roots: TrustRoots) -> Outcome:  # noqa: ARG001
    """``tdx-mrtd``: both orders of adding pages; and the SNP digest of the same image where it can have one."""
    measured = measure_mrtd(case.evidence)
    fields: dict[str, object] = {
        "mrtd": measured.per_page.hex(),
        "mrtd_two_pass": measured.two_pass.hex(),
        "mrtd_all_regions_measured": measured.all_regions.hex(),
        "sections": [
            {"type": one.type, "gpa": hex(one.address), "memory_size": one.memory_size, "raw_size": one.raw_size,
             "mr_extend": one.extended}
            for one in measured.image.sections
        ],
    }  # fmt: skip
    for name in case.expect.fields or {}:
        if asked := _OF_FIRMWARE.fullmatch(name):
            launch = SnpLaunch(firmware=case.evidence, vcpus=int(asked[2]), vcpu_type=_MODEL, vmm=asked[1])
            fields[name] = measure_snp(launch).hex()
    return compared(case, fields)


def run_direct_boot(case: VectorCase, roots: TrustRoots) -> Outcome:  # noqa: ARG001
    """``tdx-direct-boot``: whatever the vector's inputs suffice for."""
    fields: dict[str, object] = {}
    given = case.input
    if "memory_bytes" in given:
        memory, ranges = _integer(given["memory_bytes"]), _ranges(case)
        fields["td_hob_sha384"] = td_hob_digest(memory, ranges).hex()
    cfv = hashlib.sha384(case.file(given["cfv"])).digest() if "cfv" in given else _bytes(case, "cfv_sha384")
    if cfv is not None:
        fields["cfv_sha384"] = cfv.hex()
    acpi = given.get("acpi_digests")
    if cfv is not None and "memory_bytes" in given and isinstance(acpi, dict):
        table_loader, rsdp, tables = (bytes.fromhex(acpi[name]) for name in ("table_loader", "rsdp", "tables"))
        inputs = Rtmr0Inputs(memory=memory, cfv_digest=cfv, acpi_digests=(table_loader, rsdp, tables), ranges=ranges)
        order, entry = _bytes(case, "boot_order_data"), _bytes(case, "boot0000_data")
        fields["rtmr0"] = rtmr0(
            replace(inputs, boot_order=inputs.boot_order if order is None else order,
                    boot_entry=inputs.boot_entry if entry is None else entry)
        ).hex()  # fmt: skip
    fields |= _kernel_fields(case)
    return compared(case, fields)


def _kernel_fields(case: VectorCase) -> dict[str, object]:
    fields: dict[str, object] = {}
    kernel, cmdline, initrd = (
        _bytes(case, name) for name in ("kernel_authenticode_sha384", "cmdline_utf16_sha384", "initrd_sha384")
    )
    initrd_file = case.file(case.input["initrd"]) if "initrd" in case.input else None
    if initrd_file is not None:
        initrd = hashlib.sha384(initrd_file).digest()
    if "kernel" in case.input:
        image = case.file(case.input["kernel"])
        if case.input.get("kernel_setup_header_patched"):
            image = patched_kernel(image, memory=_integer(case.input["memory_bytes"]),
                                   initrd_size=len(initrd_file or b""), cmdline=str(case.input.get("cmdline", "")),
                                   )  # fmt: skip
        kernel = kernel_digest(image)
        fields["kernel_authenticode_sha256"] = kernel_digest(image, "sha256").hex()
        fields["kernel_authenticode_sha384"] = kernel.hex()
    if "cmdline" in case.input:
        cmdline = cmdline_digest(str(case.input["cmdline"]), has_initrd=initrd is not None)
        fields["cmdline_utf16_sha384"] = cmdline.hex()
    if initrd is not None:
        fields["initrd_sha384"] = initrd.hex()
    if kernel is not None:
        fields["rtmr1"] = rtmr1(kernel).hex()
    if cmdline is not None:
        fields["rtmr2"] = rtmr2(cmdline, initrd).hex()
    return fields


def run_sigstruct(case: VectorCase, roots: TrustRoots) -> Outcome:  # noqa: ARG001
    """``sgx-sigstruct``: MRENCLAVE, MRSIGNER, and whether it can be debugged."""
    signed = read_sigstruct(case.evidence)
    return compared(
        case,
        {
            "mrenclave": signed.mr_enclave.hex(),
            "mrsigner": signed.mr_signer.hex(),
            "isv_prod_id": signed.isv_prod_id,
            "isv_svn": signed.isv_svn,
            "isv_family_id": signed.isv_family_id.hex(),
            "isv_ext_prod_id": signed.isv_ext_prod_id.hex(),
            "date": signed.date,
            "attributes": signed.attributes.hex(),
            "attribute_mask": signed.attribute_mask.hex(),
            "miscselect": f"{signed.misc_select:08x}",
            "debug_allowed_by_attributes": signed.debug_allowed,
            "debug_forbidden_by_mask": signed.debug_forbidden,
        },
    )


def run_eif(case: VectorCase, roots: TrustRoots) -> Outcome:  # noqa: ARG001
    """``nitro-eif``: the PCRs."""
    image = measure_eif(case.evidence)
    return compared(
        case,
        {
            "pcr0": image.pcr0.hex(),
            "pcr1": image.pcr1.hex(),
            "pcr2": image.pcr2.hex(),
            "pcr8": None if image.pcr8 is None else image.pcr8.hex(),
            "signed": image.pcr8 is not None,
            "version": image.version,
            "arch": image.arch,
            "image_name": image.image_name,
        },
    )


def _optional_file(case: VectorCase, name: str) -> bytes | None:
    return case.file(case.input[name]) if case.input.get(name) else None


def _bytes(case: VectorCase, name: str) -> bytes | None:
    return bytes.fromhex(str(case.input[name])) if name in case.input else None


def _integer(value: object) -> int:
    return int(str(value), 0)


def _ranges(case: VectorCase) -> tuple[HobRange, ...]:
    given = case.input.get("accepted_ranges")
    if not isinstance(given, list):
        return OVMF_RANGES
    return tuple(
        HobRange(address=_integer(one["gpa"]), size=_integer(one["size"]), is_hob=one.get("type") == "TD_HOB")
        for one in given
    )
