"""What was seen of a machine. Facts, and no opinion of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sealroom.tees.azure_vtpm.collect import AZURE_CHASSIS
from sealroom.tees.nvidia.collect_mode import GpuMode

__all__ = ["Access", "Cloud", "Facts", "GpuFacts", "HostFacts", "KernelFacts", "ProcessFacts", "TpmFacts"]

_IPC_LOCK = 1 << 14


class Access(StrEnum):
    """Whether something is there, and whether we may use it."""

    ABSENT = "absent"
    FORBIDDEN = "forbidden"
    USABLE = "usable"

    @property
    def there(self) -> bool:
        """Whether it exists, for us or not."""
        return self is not Access.ABSENT


class Cloud(StrEnum):
    """Whose machine a virtual machine says that it runs on. It is its host's word, and decides over advice alone."""

    AZURE = "Azure"
    GOOGLE = "Google"
    AMAZON = "Amazon"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """The machine as it describes itself."""

    architecture: str
    release: str
    """Of the kernel: ``6.8.0-31-generic``."""
    cpu: str
    vendor: str
    cpus: int
    flags: frozenset[str]
    firmware: Mapping[str, str] = field(default_factory=dict)
    """Of its DMI table, by the kernel's names (``sys_vendor``)."""
    sees_devices: bool = True
    """Whether there is a ``/sys``."""
    container: bool = False

    @property
    def kernel(self) -> tuple[int, int]:
        """The kernel's version; (0, 0) if it says none."""
        found = re.match(r"(\d+)\.(\d+)", self.release)
        return (int(found[1]), int(found[2])) if found else (0, 0)

    @property
    def cloud(self) -> Cloud | None:
        """The cloud, if it is one that we know."""
        maker = self.firmware.get("sys_vendor", "")
        if self.firmware.get("chassis_asset_tag") == AZURE_CHASSIS:
            return Cloud.AZURE
        if maker == "Google" or self.firmware.get("product_name") == "Google Compute Engine":
            return Cloud.GOOGLE
        return Cloud.AMAZON if maker == "Amazon EC2" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelFacts:
    """The kernel's ways to a CPU's evidence."""

    tsm: Access = Access.ABSENT
    """The folder of configfs-tsm."""
    configfs: bool = False
    """Whether configfs is mounted."""
    sev_guest: Access = Access.ABSENT
    sev_announced: bool = False
    """Whether the kernel knows that it runs in an SNP guest, module loaded or not."""
    tdx_guest: Access = Access.ABSENT
    cca_announced: bool = False
    vsock: bool = False
    gramine: str | None = None
    """What kind of quotes Gramine makes; None: outside of it."""
    sgx: bool = False
    nsm: Access = Access.ABSENT
    launcher: Access = Access.ABSENT
    """The socket of Confidential Space's launcher."""
    enclaves: bool = False
    """Whether this is a machine that starts Nitro enclaves."""
    host_of: frozenset[str] = frozenset()
    """Which guests this machine can start itself: ``snp``, ``tdx``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmFacts:
    """A TPM."""

    device: Access = Access.ABSENT
    tools: bool = False
    nitro_tools: bool = False
    """Whether AWS's own program for its TPM is installed."""
    indices: frozenset[int] | None = None
    """Its NV indices; None: it was not asked, or did not answer."""
    problem: str | None = None
    """Why not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuFacts:
    """NVIDIA's devices."""

    gpus_on_bus: int = 0
    switches_on_bus: int = 0
    problem: tuple[str, str | None] | None = None
    """Why the driver can not be asked, and what its error advises."""
    driver: str | None = None
    names: tuple[str, ...] = ()
    mode: GpuMode | None = None
    takes_work: bool | None = None
    switch_problem: tuple[str, str | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFacts:
    """What this process may, and what else a room needs."""

    user: int = 0
    capabilities: int = 0
    seccomp: bool = False
    landlock: int | None = 0
    """The version of its interface; 0: none; None: we have no table of this architecture's system calls."""
    changes_user: bool = False
    lockable: int | None = None
    """Bytes of memory that it may lock; None: no limit."""
    swap: bool = True
    engine: bool = False
    engine_fault: str = ""
    """Why the engine that is installed can not be loaded; empty: it can."""

    @property
    def locks_anything(self) -> bool:
        """Whether no limit applies to memory that it locks."""
        return self.lockable is None or bool(self.capabilities & _IPC_LOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All of it."""

    host: HostFacts
    kernel: KernelFacts = field(default_factory=KernelFacts)
    tpm: TpmFacts = field(default_factory=TpmFacts)
    gpus: GpuFacts = field(default_factory=GpuFacts)
    process: ProcessFacts = field(default_factory=ProcessFacts)
