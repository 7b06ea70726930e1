"""A report's measurements against reference values, index by index, and every difference by name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sealroom.errors import UnverifiedError
from sealroom.tees.nvidia.opaque import DISABLED
from sealroom.tees.nvidia.rim import Rim

__all__ = ["Comparison", "Mismatch", "ReportFacts", "compare", "require_for_device"]

_NVDEC0_INDEX = 35
"""Of NVDEC0's measurement, which means nothing where that unit is switched off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """What reference values are chosen by."""

    family: str
    """First word of the BROM's name in the device's certificates: ``GH100``, ``GB100``, ``LS_10``."""
    is_switch: bool
    driver_version: str | None
    vbios_version: str
    project: str | None
    project_sku: str | None
    chip_sku: str | None
    chip_info: str | None
    nvdec0_status: int | None

    @property
    def products(self) -> frozenset[str]:
        """Which products' reference values are this device's."""
        names = {self.family, self.chip_info or ""}
        return frozenset(name.upper().replace("_", "") for name in names if name)

    @property
    def driver_rim_id(self) -> str:
        """Under which name NVIDIA's service has the driver's values."""
        if self.family.startswith("GH"):
            return f"NV_GPU_DRIVER_GH100_{self.driver_version}"
        return f"NV_GPU_CC_DRIVER_{(self.chip_info or 'GB100').upper()}_{self.driver_version}"

    @property
    def vbios_rim_id(self) -> str:
        """Under which name NVIDIA's service has the VBIOS's values."""
        version = self.vbios_version.replace(".", "").upper()
        if self.is_switch:
            return f"NV_SWITCH_BIOS_5612_0002_890_{version}"
        parts = (self.project, self.project_sku, self.chip_sku)
        return "_".join(["NV_GPU_VBIOS", *((part or "").upper() for part in parts), version])


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """One measurement that is not as released."""

    index: int
    source: str
    """Which reference values."""
    got: bytes | None
    """None: the report has no such measurement."""
    wanted: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What was compared, and where it differs."""

    compared: int
    skipped: tuple[int, ...]
    """Indices of units that are switched off."""
    mismatches: tuple[Mismatch, ...]


def compare(
    measurements: Mapping[int, bytes], *, driver: Rim | None, vbios: Rim | None, facts: ReportFacts
) -> Comparison:
    """Compare every active value of ``driver`` and ``vbios`` with ``measurements``, both counted from 0.

    One index is skipped, and only where the report itself says that the unit behind it is off. An active value that
    the report has no measurement for differs.

    Raises:
        UnverifiedError: ``nvidia.rim-overlap``: both have a value at one index, so that one of them is not for this
            device; ``nvidia.rim-nothing-to-compare``.
    """
    rims = [rim for rim in (driver, vbios) if rim is not None]
    both = driver.measurements.keys() & vbios.measurements.keys() if driver and vbios else set()
    if both:
        raise UnverifiedError("nvidia.rim-overlap", "driver and VBIOS both have a value at one index",
                              got=", ".join(f"index {index}" for index in sorted(both)))  # fmt: skip
    active = [(index, rim) for rim in rims for index in sorted(rim.measurements)]
    off = {_NVDEC0_INDEX} if facts.nvdec0_status == DISABLED else set()
    wanted = [(index, rim) for index, rim in active if index not in off]
    if not wanted:
        raise UnverifiedError("nvidia.rim-nothing-to-compare", "the reference values have nothing to compare with")
    return Comparison(
        compared=len(wanted),
        skipped=tuple([index for index, _ in active if index in off]),
        mismatches=tuple(_mismatches(measurements, wanted)),
    )


def require_for_device(rim: Rim, kind: str, facts: ReportFacts) -> None:
    """Raise unless ``rim`` is for this device and the version that it runs.

    Args:
        rim: reference values.
        kind: ``driver`` or ``vbios``: what they came as.
        facts: what the report and the certificates say.

    Raises:
        UnverifiedError: ``nvidia.rim-product``, ``nvidia.rim-version``.
    """
    edition = "SWITCH" if facts.is_switch else "GPU"
    if rim.product.upper().replace("_", "") not in facts.products or rim.edition.upper() != edition:
        raise UnverifiedError("nvidia.rim-product", "the reference values are for another kind of device", where=kind,
                              got=f"{rim.product}, {rim.edition}",
                              expected=f"{' or '.join(sorted(facts.products))}, {edition}",
                              hint=f"take {facts.driver_rim_id if kind == 'driver' else facts.vbios_rim_id}",
                              )  # fmt: skip
    version = facts.driver_version if kind == "driver" else facts.vbios_version
    if version is None or rim.version.lower() != version.lower():
        raise UnverifiedError("nvidia.rim-version", f"the reference values are for another version of the {kind}",
                              where=kind, got=rim.version, expected=version or f"no {kind}: a switch has none",
                              hint=f"take {facts.driver_rim_id if kind == 'driver' else facts.vbios_rim_id}",
                              )  # fmt: skip


def _mismatches(measurements: Mapping[int, bytes], wanted: list[tuple[int, Rim]]) -> Iterator[Mismatch]:
    for index, rim in wanted:
        got, values = measurements.get(index), rim.measurements[index]
        if got is None or got not in values:  # all of it is public
            yield Mismatch(index=index, source=rim.id, got=got, wanted=values)
