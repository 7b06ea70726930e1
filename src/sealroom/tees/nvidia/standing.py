"""What holds of a device whatever nonce it answers: its certificates, what it runs, and what was withdrawn of either.

A device says the same of itself each time but for two nonces and a signature. So all but the signature can be judged
once for a device and a time, and the signature is what each report is asked for (`verify`).
"""

from dataclasses import dataclass
from datetime import datetime

from sealroom.errors import UnverifiedError
from sealroom.evidence import Collateral, TrustRoots, Validity
from sealroom.tees._remembered import Remembered
from sealroom.tees.nvidia.appraisal import ReferenceVerdict, compare_with_rims
from sealroom.tees.nvidia.certificates import DeviceIdentity
from sealroom.tees.nvidia.layout import NvidiaEvidence, NvidiaReport
from sealroom.tees.nvidia.revocation import Revocation, check_revocation

__all__ = ["Standing", "judge_standing", "remembered_standing"]

_ITEMS = ("cert_chain", "driver_rim", "vbios_rim", "ocsp")
"""Of the collateral, what a verdict is made from."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standing:
    """A verdict on everything that a report says but its nonces. Equal to itself alone."""

    report: NvidiaReport
    """Of the evidence that it was first made from: of that, all but the nonces."""
    device: DeviceIdentity
    references: ReferenceVerdict
    revocation: Revocation
    validity: Validity

    @property
    def simulated(self) -> bool:
        """Whether any of it rests on a root of simulated hardware."""
        return self.device.simulated or self.references.simulated


_REMEMBERED: Remembered[Standing] = Remembered(64)


def remembered_standing(
    evidence: NvidiaEvidence, *, roots: TrustRoots, collateral: Collateral, at: datetime
) -> Standing | None:
    """The verdict on evidence that is the same but for nonces and signature, with this collateral and these roots, if
    there was one and it holds at ``at``."""
    return _REMEMBERED.get(_key(evidence, roots, collateral), at)


def judge_standing(
    evidence: NvidiaEvidence, device: DeviceIdentity, *, roots: TrustRoots, collateral: Collateral, at: datetime
) -> Standing:
    """Judge ``evidence``, of which a device with the certificates of ``device`` is known to have signed the report.

    1. The firmware's digest in the report is the one in the leaf. Reports of driver 535 have none; then there is
       nothing to compare, and `claims` says so.
    2. Reference values, if ``driver_rim`` or ``vbios_rim`` came: authentic, for this device and these versions, and
       equal at every index that they speak of. What did not come is an outcome of its own, and never a match.
    3. Revocation answers, if ``ocsp`` came, about the device's certificates and those of the reference values: each
       is authentic and in its window, none says revoked.

    Raises:
        MalformedError, UnverifiedError: as `verify.verify`.
    """
    # 1.
    _require_fwid(evidence, device)
    # 2.
    references = compare_with_rims(evidence.report, device, collateral, roots=roots, at=at)
    # 3.
    revocation = check_revocation((device.certificates[1:], *references.chains), collateral, at=at)
    validity = device.validity.meet(revocation.validity)
    for window in references.windows:
        validity = validity.meet(window)
    standing = Standing(report=evidence.report, device=device, references=references, revocation=revocation,
                        validity=validity)  # fmt: skip
    return _REMEMBERED.keep(_key(evidence, roots, collateral), standing)


def _key(evidence: NvidiaEvidence, roots: TrustRoots, collateral: Collateral) -> tuple[object, ...]:
    """Everything but the time that a standing is made from; time counts through windows alone."""
    return (evidence.unchanging, roots.insecure_simulated, *map(collateral.digest, _ITEMS))


def _require_fwid(evidence: NvidiaEvidence, device: DeviceIdentity) -> None:
    reported = evidence.report.fwid
    if reported is not None and reported != device.fwid:
        raise UnverifiedError(
            "nvidia.fwid",
            "the report speaks of other firmware than the certificate of the key that signed it",
            where="opaque data, FWID",
            got=reported.hex(),
            expected="a certificate that names it" if device.fwid is None else device.fwid.hex(),
        )
