"""The families of NVIDIA's devices, as their certificates and reports name them.

What is written here was read off real certificates and reports: GH100 of drivers 535 to 590, LS10, GB100 of driver
575, GB202 of driver 595. An NVLink switch is under the identity CA of GH100.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

__all__ = ["BLACKWELL", "FAMILIES", "HOPPER", "LS10", "RTX_BLACKWELL", "Branch", "Family", "Software"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """An identity CA below the root."""

    name: str
    """In its common name: ``NVIDIA GH100 Identity``."""
    since: datetime

    @property
    def list_address(self) -> str:
        """Of the revocation list of what it issued."""
        return f"http://crl.ndis.nvidia.com/crl/l2-{self.name.lower()}.crl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Software:
    """What a device runs and is, as its report says it."""

    driver: str | None
    vbios: str
    project: str = ""
    project_sku: str = ""
    chip_sku: str = ""
    board_id: int = 0
    chip_info: str | None = None
    names_fwid: bool = True
    says_protected_pcie: bool = False
    """Whether its firmware states the status of protected PCIe at all."""
    opaque_version: int | None = None
    """1 and above: it has a feature flag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A kind of chip."""

    architecture: str
    """``hopper``, ``blackwell``, ``ls10``: as claims have it."""
    chip: str
    """First word of the names in device certificates."""
    product: str
    """In reference values."""
    edition: str
    engine: str
    branch: Branch
    provisioner: str
    since: datetime
    """From when leaf and BROM certificates are valid."""
    provisioner_since: datetime
    has_tcb_info: bool
    """Whether the leaf has DiceTcbInfo; else it has the older structure with one digest."""
    blocks: int
    software: Software

    @property
    def is_switch(self) -> bool:
        """Whether it is an NVLink switch."""
        return self.edition == "SWITCH"


_GH100 = Branch(name="GH100", since=datetime(2022, 1, 12, tzinfo=UTC))
_FIRST, _SECOND = datetime(2020, 10, 17, tzinfo=UTC), datetime(2022, 3, 1, tzinfo=UTC)
_BLACKWELL_SINCE, _BLACKWELL_BRANCH_SINCE = datetime(2023, 6, 20, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC)

HOPPER = Family(
    architecture="hopper", chip="GH100", product="GH100", edition="GPU", engine="GSP", branch=_GH100,
    provisioner="NVIDIA GH100 Provisioner ICA 1", since=_FIRST, provisioner_since=_SECOND, has_tcb_info=False,
    blocks=64,
    software=Software(driver="590.12", vbios="96.00.a5.00.01", project="G520", project_sku="0200", chip_sku="885",
                      board_id=0x437, says_protected_pcie=True, opaque_version=1),
)  # fmt: skip
LS10 = Family(
    architecture="ls10", chip="LS_10", product="LS10", edition="SWITCH", engine="FSP", branch=_GH100,
    provisioner="NVIDIA LS_10 Provisioner ICA 1", since=_FIRST, provisioner_since=_SECOND, has_tcb_info=False,
    blocks=31, software=Software(driver=None, vbios="96.10.55.00.01", names_fwid=False),
)  # fmt: skip
BLACKWELL = Family(
    architecture="blackwell", chip="GB100", product="GB100", edition="GPU", engine="GSP",
    branch=Branch(name="GB100", since=_BLACKWELL_BRANCH_SINCE), provisioner="NVIDIA GB100 Provisioner ICA 00001",
    since=_BLACKWELL_SINCE, provisioner_since=_BLACKWELL_SINCE, has_tcb_info=True, blocks=64,
    software=Software(driver="590.12", vbios="97.00.88.00.0f", project="G525", project_sku="0220", chip_sku="886",
                      board_id=0x66F, chip_info="GB100", opaque_version=1),
)  # fmt: skip
RTX_BLACKWELL = Family(
    architecture="blackwell", chip="GB20X", product="GB202", edition="GPU", engine="GSP",
    branch=Branch(name="GB20X", since=_BLACKWELL_BRANCH_SINCE), provisioner="NVIDIA GB202 Provisioner ICA 00000",
    since=_BLACKWELL_SINCE, provisioner_since=_BLACKWELL_SINCE, has_tcb_info=True, blocks=64,
    software=Software(driver="595.58.03", vbios="98.02.74.00.01", project="G153", project_sku="0210",
                      chip_sku="895", board_id=0x652, chip_info="GB202", opaque_version=1),
)  # fmt: skip

FAMILIES: Mapping[str, Family] = {
    "hopper": HOPPER,
    "blackwell": BLACKWELL,
    "rtx-blackwell": RTX_BLACKWELL,
    "ls10": LS10,
}
"""By the name under which a simulated machine is asked for."""
