"""What a verified report says, in the words that every TEE shares.

Flags are the facts that a policy has to see because they can weaken what the measurement promises:

    guest_debug                  the host may read and write the guest's memory
    migrate_ma                   a migration agent may move the guest, and its secrets, elsewhere
    smt_allowed                  the guest may share a core with others
    cxl_allowed                  the guest's memory may lie on CXL devices
    vmpl_N                       the report was asked for at privilege level N, other than 0 (4294967295: by the host)
    chip_id_masked               a VCEK signed, and the report does not say on which chip
    committed_tcb_above_current  firmware that can not be: the committed version runs ahead of the current one

Everything else that may be asked for is in `details`, under AMD's names; and ``revocation``, which is ``checked``
(``revocation_until`` then says how long the list holds, RFC 3339) or ``none``: no list came with the evidence.
"""

from sealroom.errors import MisuseError
from sealroom.evidence import CLAIMED, Claims, Evidence, Tee, Verified
from sealroom.tees.snp.layout import SigningKey, SnpReport
from sealroom.tees.snp.tcb import parts_below
from sealroom.tees.snp.verify import VerifiedSnp

__all__ = ["FLAGS_OF_POLICY", "claims"]

FLAGS_OF_POLICY = {16: "smt_allowed", 18: "migrate_ma", 19: "guest_debug", 21: "cxl_allowed"}
"""Guest policy bits (56860 section 4.3) that take protection away."""

_REQUIREMENTS_OF_POLICY = {
    20: "single_socket",
    22: "mem_aes_256_xts",
    23: "rapl_dis",
    24: "ciphertext_hiding_dram",
    25: "page_swap_disable",
}
"""Guest policy bits that ask for more protection; in `details` as ``policy_…``."""

_PLATFORM_INFO = {
    0: "smt_en",
    1: "tsme_en",
    2: "ecc_en",
    3: "rapl_dis",
    4: "ciphertext_hiding_dram_en",
    5: "alias_check_complete",
    7: "tio_en",
}
"""What the platform says of itself; in `details` as ``platform_…``. Unknown bits are new features, and pass."""


def claims(verified: Verified[Evidence]) -> Claims:
    """Translate ``verified``.

    Raises:
        MisuseError: ``verified`` is not SNP evidence.
    """
    if not isinstance(verified, VerifiedSnp):
        raise MisuseError("snp.other-tee", "this is no verified SNP report", got=type(verified).__name__)
    report, flags = verified.evidence.report, _flags(verified)
    return Claims(
        tee=Tee.SNP,
        hardware_model=verified.product.value,
        measurements={
            "measurement": report.measurement,
            "host_data": report.host_data,
            "id_key_digest": report.id_key_digest,
            "author_key_digest": report.author_key_digest,
            "family_id": report.family_id,
            "image_id": report.image_id,
            "report_id": report.report_id,
            "report_id_ma": report.report_id_ma,
        },
        report_data=report.report_data,
        tcb=verified.tcb,
        debug="guest_debug" in flags,
        migratable="migrate_ma" in flags,
        tcb_status=None,  # AMD publishes versions and no verdicts on them
        tcb_date=None,
        advisories=(),
        flags=flags,
        signer=verified.signing_key.name,
        device_id=verified.chip_id,
        details=_details(report, verified),
        root=verified.root,
        simulated=verified.simulated,
        validity=verified.validity,
        warrant=CLAIMED,
    )


def _flags(verified: VerifiedSnp) -> frozenset[str]:
    report = verified.evidence.report
    flags = {name for bit, name in FLAGS_OF_POLICY.items() if report.policy >> bit & 1}
    if report.vmpl != 0:
        flags.add(f"vmpl_{report.vmpl}")
    if verified.signing_key is SigningKey.VCEK and verified.chip_id is None:
        flags.add("chip_id_masked")
    if parts_below(verified.tcb["current"], verified.tcb["committed"]):
        flags.add("committed_tcb_above_current")
    return frozenset(flags)


def _details(report: SnpReport, verified: VerifiedSnp) -> dict[str, str | int]:
    details: dict[str, str | int] = {
        "version": report.version,
        "vmpl": report.vmpl,
        "guest_svn": report.guest_svn,
        "policy": f"0x{report.policy:x}",
        "abi_major": report.policy >> 8 & 0xFF,
        "abi_minor": report.policy & 0xFF,
        "platform_info": f"0x{report.platform_info:x}",
        "author_key_en": report.key_info & 1,
        "mask_chip_key": report.key_info >> 1 & 1,
        "current_version": ".".join(str(part) for part in report.current_version),
        "revocation": "none" if verified.revocation is None else "checked",
        "committed_version": ".".join(str(part) for part in report.committed_version),
    }
    for bit, name in _REQUIREMENTS_OF_POLICY.items():
        details[f"policy_{name}"] = report.policy >> bit & 1
    for bit, name in _PLATFORM_INFO.items():
        details[f"platform_{name}"] = report.platform_info >> bit & 1
    if report.cpuid is not None:
        details["cpuid_fam"], details["cpuid_mod"], details["cpuid_step"] = report.cpuid
    if report.launch_mit_vector is not None and report.current_mit_vector is not None:
        details["launch_mit_vector"] = report.launch_mit_vector.hex()
        details["current_mit_vector"] = report.current_mit_vector.hex()
    if verified.revocation is not None:
        details["revocation_until"] = verified.revocation.not_after.isoformat()
    if verified.csp_id is not None:
        details["csp_id"] = verified.csp_id
    return details
