"""Every kind of simulated machine: a CPU that vouches for it, and the GPUs that it has.

machine = power_on("tdx+h100x8", folder)                # made on first use, kept in the folder
machine.launch(folder, Launched(measurement=…, init_data=…))
guest_at(folder)                                        # what runs in it: an attester, and one for each device
machine.accepted(launched).sections()                   # the part of a policy that accepts it
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sealroom.errors import MisuseError
from sealroom.evidence import Attester, DeviceAttester
from sealroom.testing.machine_parts import CpuKind, CpuRules, Launched
from sealroom.testing.machine_policy import Machine
from sealroom.testing.object_store import keep, kept

__all__ = ["CPUS", "DEFAULT_KIND", "GPUS", "WAYS", "Kind", "Launched", "SimulatedGuest", "SimulatedMachine",
           "guest_at", "kind_at", "kind_named", "power_on"]  # fmt: skip

DEFAULT_KIND = "snp"
_KIND, _DEVICES = "kind.json", "devices.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of machine."""

    cpu_module: str
    """Of `sealroom.testing`; read when the kind is used, since no process needs all of them."""
    cpu_name: str = "CPU"
    """What it is called there."""
    gpus: str | None = None
    """One of `GPUS`."""

    @property
    def cpu(self) -> CpuKind:
        """Its CPU."""
        found: CpuKind = getattr(importlib.import_module(f"sealroom.testing.{self.cpu_module}"), self.cpu_name)
        return found


CPUS: Mapping[str, Kind] = {
    "snp": Kind(cpu_module="machine_snp"),
    "tdx": Kind(cpu_module="machine_tdx"),
    "nitro": Kind(cpu_module="machine_nitro"),
    "cca": Kind(cpu_module="machine_cca"),
    "azure-snp": Kind(cpu_module="machine_azure", cpu_name="ON_SNP"),
    "azure-tdx": Kind(cpu_module="machine_azure", cpu_name="ON_TDX"),
    "gcp-snp": Kind(cpu_module="machine_gcp", cpu_name="ON_SNP"),
    "gcp-tdx": Kind(cpu_module="machine_gcp", cpu_name="ON_TDX"),
    "tpm": Kind(cpu_module="machine_tpm"),
}
"""By the name that commands have for it."""

GPUS = ("h100", "h100x8", "h200", "h200x8", "b200", "b200x8", "rtx6000")
"""What may stand behind the CPU and a plus: names of `sealroom.testing.nvidia.PRESETS`."""

WAYS = f"{', '.join(CPUS)}; with GPUs, such as snp+h100: {', '.join(GPUS)}"
"""What there is to choose from, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedGuest:
    """What runs on such a machine, as a room sees its hardware."""

    cpu: Attester
    devices: Mapping[str, DeviceAttester] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedMachine:
    """A machine that is switched on."""

    kind: str
    platform: Any = field(repr=False)
    gpus: Any = field(default=None, repr=False)
    """A `sealroom.testing.nvidia.GpuMachine`, or None."""

    @property
    def words(self) -> str:
        """What to call it: ``TDX hardware with 8 GPUs and 4 switches``."""
        cpu = kind_named(self.kind).cpu.words
        if self.gpus is None:
            return cpu
        gpus, switches = len(self.gpus.gpus), len(self.gpus.switches)
        return f"{cpu} with {_count(gpus, 'GPU')}" + (f" and {_count(switches, 'switch')}" if switches else "")

    def launch(self, folder: Path, launched: Launched) -> None:
        """Start a guest: keep it and this machine in ``folder``, in place of a guest that was there.

        Raises:
            UnavailableError: ``simulated.store``.
        """
        kind_named(self.kind).cpu.launch(folder, self.platform, launched)
        if self.gpus is not None:
            keep(self.gpus, folder / _DEVICES)
        keep(self.kind, folder / _KIND)

    def accepted(self, launched: Launched) -> Machine:
        """What a policy pins to accept that guest here and no weaker one."""
        rules: CpuRules = (cpu := kind_named(self.kind).cpu).rules(self.platform, launched)
        devices = () if self.gpus is None else tuple(self.gpus.root_fingerprints)
        return Machine(tees=(cpu.tee.value,), roots=rules.roots, tables=rules.tables, device_keys=rules.device_keys,
                       device_roots=devices, device_tables="" if self.gpus is None else _nvidia_table(self.gpus),
                       facts=rules.facts)  # fmt: skip


def kind_named(name: str) -> Kind:
    """The kind called ``name``: a CPU, or a CPU and GPUs (``tdx+h100x8``).

    Raises:
        MisuseError: ``simulated.kind``.
    """
    cpu, plus, gpus = name.partition("+")
    if cpu not in CPUS or (plus and gpus not in GPUS):
        raise MisuseError("simulated.kind", "there is no such kind of simulated machine", got=name[:80],
                          expected=WAYS)  # fmt: skip
    return replace(CPUS[cpu], gpus=gpus if plus else None)


def kind_at(folder: Path) -> str | None:
    """The kind of the machine that is kept in ``folder``, if one is."""
    if (folder / _KIND).exists():
        return str(kept(folder / _KIND))
    return DEFAULT_KIND if (folder / "snp-platform.json").exists() else None


def power_on(kind: str, folder: Path) -> SimulatedMachine:
    """The machine of ``kind`` that is kept in ``folder``; a new one if none is.

    Raises:
        MisuseError: ``simulated.kind``: no such kind; ``simulated.other-kind``: a machine of another kind is there.
        UnavailableError, MalformedError: ``simulated.store``.
    """
    cpu, gpus = (wanted := kind_named(kind)).cpu, None
    if (there := kind_at(folder)) not in {None, kind}:
        raise MisuseError("simulated.other-kind", "a machine of another kind is kept in this folder",
                          where=str(folder), got=there, expected=kind, hint="take another folder")  # fmt: skip
    platform = cpu.platform_at(folder)
    if wanted.gpus is not None:
        gpus = _gpus_at(folder, wanted.gpus)
    keep(kind, folder / _KIND)
    return SimulatedMachine(kind=kind, platform=platform, gpus=gpus)


def guest_at(folder: Path) -> SimulatedGuest:
    """What was launched in ``folder``.

    Raises:
        UnavailableError, MalformedError: ``simulated.store``.
        MisuseError: ``simulated.kind``: of a kind that this release does not know.
    """
    kind = kind_named(kind_at(folder) or DEFAULT_KIND)
    devices = kept(folder / _DEVICES).devices if kind.gpus is not None else {}
    return SimulatedGuest(cpu=kind.cpu.guest_at(folder), devices=devices)


def _gpus_at(folder: Path, preset: str) -> Any:
    if not (folder / _DEVICES).exists():
        from sealroom.testing.nvidia import GpuMachine  # noqa: PLC0415 - much code, and most kinds need none of it

        keep(GpuMachine.preset(preset), folder / _DEVICES)
    return kept(folder / _DEVICES)


def _nvidia_table(gpus: Any) -> str:
    first = gpus.gpus[0]
    mode = "protected-pcie" if gpus.switches else "multi" if len(gpus.gpus) > 1 else "single"
    switches = f"switches = {len(gpus.switches)}\n" if gpus.switches else ""
    return f"""
[nvidia]
# Every GPU of this machine, with the software that was installed and the mode that was set; all of it compared with
# the reference values that the vendor has signed.
architectures = ["{first.family.architecture}"]
count = {len(gpus.gpus)}
{switches}mode = ["{mode}"]
minimum_driver = "{first.software.driver}"
"""


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("es" if what.endswith("ch") else "s") * (number != 1)
