"""What each allowance lets pass, in words: for explanations, and for those who have to decide."""

from collections.abc import Mapping

__all__ = ["INTEL_WARNINGS", "OTHER_WARNINGS", "SNP_WARNINGS"]

SNP_WARNINGS: Mapping[str, str] = {
    "debug": "LETS PASS debug guests: the host can read everything in them",
    "migrate_ma": "LETS PASS guests with a migration agent: they may move to machines that are not checked here",
    "masked_chip_id": "LETS PASS reports that hide which chip made them",
    "smt": "lets pass guests that may share a core with other threads (SMT)",
    "cxl": "LETS PASS guests whose memory may lie on CXL devices",
}

INTEL_WARNINGS: Mapping[str, str] = {
    "debug": "LETS PASS debugging: the host can read everything",
    "migratable": "LETS PASS TDs that may move to machines that are not checked here",
    "sept_ve_disable_off": "lets pass TDs that see exceptions when the host takes pages away",
    "perfmon": "LETS PASS TDs that share performance counters with the host",
    "service_td": "LETS PASS TDs that another TD may reach into",
    "xfam_unknown_bit": "lets pass processor features that this release does not know",
    "provision_key": "LETS PASS enclaves that can derive keys naming the platform",
    "einittoken_key": "LETS PASS enclaves that license others",
}

OTHER_WARNINGS: Mapping[str, str] = {
    "debug": "LETS PASS debugging: the host, or the device's owner, can look in",
    "devtools": "LETS PASS GPUs in developer mode: their memory can be read",
    "sample_nonce": "LETS PASS answers to a nonce that everybody knows: recordings",
    "certificate_hold": "LETS PASS certificates that their maker has suspended",
    "revocation_not_checked": "LETS PASS certificates of which nobody said that they are not revoked",
    "fwid_missing": "lets pass devices whose report does not name their firmware",
    "opaque_version_unknown": "lets pass reports of a kind that this release does not know",
    "nvdec0_unknown": "lets pass devices with a part in no known state",
    "open_topology": "LETS PASS links that end at devices which are not here",
    "legacy_profile": "lets pass tokens of a profile before the standard",
    "test_key": "LETS PASS devices with a key that everybody has",
    "unknown_claims": "lets pass tokens that say what this release does not know",
    "secure_boot_off": "LETS PASS machines whose firmware starts unsigned software",
    "ak_unrestricted": "LETS PASS keys that sign quotes which no TPM made",
    "outdated_tcb": "LETS PASS machines that the cloud's own service calls behind their vendor's reference values",
    "not_compliant": "LETS PASS machines that the cloud's own service does not call compliant",
    "overrides": "LETS PASS workloads whose starter gave them another environment or command",
    "no_hardware_evidence": "LETS PASS machines of which nothing proves that their memory is encrypted",
}
