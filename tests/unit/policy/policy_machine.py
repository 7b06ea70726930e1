"""A simulated machine, its verified claims, and a policy document to change one thing in."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sealroom.evidence import Appraisal, Claims
from sealroom.policy import Policy, Subject, appraise, load_policy
from sealroom.tees import snp
from sealroom.testing.snp import SimulatedSnp, SnpPlatform

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
REPORT_DATA = bytes(range(64))
MEASUREMENT = b"\x4d" * 48
HOST_DATA = b"\x48" * 32


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Mints evidence with one thing changed, and appraises it."""

    platform: SnpPlatform
    document: str = field(repr=False)

    def policy(self, **replaced: str) -> Policy:
        """The honest policy, or one where the line of each named key says something else."""
        lines = self.document.splitlines()
        for key, value in replaced.items():
            index = next(number for number, line in enumerate(lines) if line.startswith(f"{key} = "))
            lines[index] = f"{key} = {value}"
        return load_policy("\n".join(lines), source="test.toml")

    def policy_with(self, *, header: str, lines: str) -> Policy:
        """The honest policy with further lines under the table ``header``, which is made if it is not there."""
        if f"{header}\n" in self.document:
            return load_policy(self.document.replace(f"{header}\n", f"{header}\n{lines}\n", 1), source="test.toml")
        return load_policy(f"{self.document}{header}\n{lines}\n", source="test.toml")

    def claims(
        self, policy: Policy, *, platform: SnpPlatform | None = None, crl: bytes | None = None, **changes: Any
    ) -> Claims:
        """Claims of a report with these fields, verified as silicon's would be."""
        platform = platform or self.platform
        guest = SimulatedSnp(measurement=MEASUREMENT, host_data=HOST_DATA, platform=platform)
        if "guest_policy" in changes:
            changes["policy"] = changes.pop("guest_policy")
        evidence = snp.parse(guest.report(REPORT_DATA, **changes))
        collateral = platform.collateral(**({} if crl is None else {"crl": crl}))
        return snp.claims(snp.verify(evidence, roots=policy.trust_roots, collateral=collateral, at=AT))

    def judge(self, policy: Policy | None = None, *, subject: Subject | None = None, **changes: Any) -> Appraisal:
        """The verdict on a report with these fields."""
        policy = policy or self.policy()
        subject = subject or Subject.guest(expected_report_data=REPORT_DATA, init_data=None)
        return appraise(policy, self.claims(policy, **changes), subject=subject, at=AT)


def honest_document(platform: SnpPlatform) -> str:
    """A policy that accepts the simulated machine exactly as it is."""
    parts = "\n".join(f"{part} = {level}" for part, level in platform.tcb.items())
    return f"""\
policy = 1
name = "test"
[trust]
tees = ["snp"]
insecure_simulated = ["sha256:{platform.root_fingerprint.hex()}"]
[snp]
measurement = ["{MEASUREMENT.hex()}"]
allow = ["smt"]
[snp.minimum_tcb.{platform.product}]
{parts}
[unchecked]
init_data = "these tests ask about the machine"
"""


def failed(appraisal: Appraisal) -> list[str]:
    """The codes of the checks that failed."""
    return [check.code for check in appraisal.failures]
