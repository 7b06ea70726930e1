"""What each allowance lets pass, in words: for explanations, and for those who have to decide."""

from collections.abc import Mapping

__all__ = ["INTEL_WARNINGS", "SNP_WARNINGS"]

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
