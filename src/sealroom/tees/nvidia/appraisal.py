"""A device's measurements against NVIDIA's reference values, every difference by its index and its source.

A driver's values and a VBIOS's are two documents; a switch has one. What is missing is named, so that nobody takes
half an answer for the whole one (NVIDIA/nvtrust issues 66, 90, 99, 144).
"""

from dataclasses import dataclass
from datetime import datetime

from sealroom.errors import UnverifiedError
from sealroom.evidence import Collateral, TrustRoots, Validity
from sealroom.tees.nvidia.certificates import DeviceIdentity
from sealroom.tees.nvidia.layout import NvidiaReport
from sealroom.tees.nvidia.reference_values import Comparison, ReportFacts, compare, require_for_device
from sealroom.tees.nvidia.rim import RIM_ROOTS, VerifiedRim, verify_rim
from sealroom.x509_reader import Certificate

__all__ = ["ReferenceVerdict", "compare_with_rims", "facts_of", "require_equal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceVerdict:
    """What was compared; everything that was compared is equal."""

    driver_rim: str | None
    vbios_rim: str | None
    compared: int
    missing: tuple[str, ...]
    """``driver``, ``vbios``: reference values that this device needs and that did not come."""
    windows: tuple[Validity, ...]
    simulated: bool
    chains: tuple[tuple[Certificate, ...], ...]
    """Who signed what was compared: of each RIM the certificates, signer first."""


def compare_with_rims(
    report: NvidiaReport, device: DeviceIdentity, collateral: Collateral, *, roots: TrustRoots, at: datetime
) -> ReferenceVerdict:
    """Verify the RIMs in ``collateral`` and compare ``report`` with them.

    Raises:
        MalformedError, UnverifiedError: ``nvidia.rim-*``: a RIM is not authentic or not for this device;
            ``nvidia.measurement-mismatch``: a value is not the released one.
    """
    found = {
        kind: verify_rim(collateral.items[item], anchors=frozenset(RIM_ROOTS) | roots.insecure_simulated, at=at,
                         digest=collateral.digest(item))
        for kind, item in (("driver", "driver_rim"), ("vbios", "vbios_rim"))
        if item in collateral.items
    }  # fmt: skip
    driver, vbios = found.get("driver"), found.get("vbios")
    facts, compared = facts_of(report, device), 0
    for kind, rim in found.items():
        require_for_device(rim, kind, facts)
    if found:
        comparison = compare(report.measurements, driver=driver, vbios=vbios, facts=facts)
        require_equal(comparison)
        compared = comparison.compared
    wanted = ("vbios",) if device.is_switch else ("driver", "vbios")
    return ReferenceVerdict(
        driver_rim=_id(driver), vbios_rim=_id(vbios), compared=compared,
        missing=tuple(kind for kind in wanted if kind not in found),
        windows=tuple(rim.validity for rim in found.values()),
        simulated=any(rim.root not in RIM_ROOTS for rim in found.values()),
        chains=tuple(rim.certificates for rim in found.values()),
    )  # fmt: skip


def facts_of(report: NvidiaReport, device: DeviceIdentity) -> ReportFacts:
    """What reference values are chosen by."""
    return ReportFacts(
        family=device.hwmodel.split(" ")[0], is_switch=device.is_switch,
        driver_version=report.driver_version, vbios_version=report.vbios_version, project=report.project,
        project_sku=report.project_sku, chip_sku=report.chip_sku, chip_info=report.chip_info,
        nvdec0_status=report.nvdec0_status,
    )  # fmt: skip


def require_equal(comparison: Comparison) -> None:
    """Raise `UnverifiedError` ``nvidia.measurement-mismatch`` with every difference, unless there is none."""
    if not comparison.mismatches:
        return
    listed = "; ".join(
        f"index {mismatch.index}: {'absent' if mismatch.got is None else mismatch.got.hex()} ({mismatch.source})"
        for mismatch in comparison.mismatches
    )
    raise UnverifiedError(
        "nvidia.measurement-mismatch",
        f"{len(comparison.mismatches)} measurements differ from the released values",
        where=", ".join(f"index {mismatch.index}" for mismatch in comparison.mismatches),
        got=listed,
        expected="; ".join(sorted({mismatch.source for mismatch in comparison.mismatches})),
        hint="take the reference values of exactly this VBIOS and driver; index 9 alone often is a renewed VBIOS",
    )


def _id(rim: VerifiedRim | None) -> str | None:
    return None if rim is None else rim.id
