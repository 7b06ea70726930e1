"""Every kind of simulated machine: a CPU that vouches for it, and the GPUs that it has.

machine = power_on("tdx+h100x8", folder)                # made on first use, kept in the folder
machine.launch(folder, Launched(measurement=…, init_data=…))
guest_at(folder)                                        # what runs in it: an attester, and one for each device
machine.accepted(launched).sections()                   # the part of a policy that accepts it
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sealroom.errors import MisuseError
from sealroom.evidence import Attester, DeviceAttester
from sealroom.testing.machine_parts import CpuKind, CpuRules, Launched
from sealroom.testing.machine_policy import Machine
from sealroom.testing.object_store import keep, kept

__all__ = ["DEFAULT_KIND", "KINDS", "Kind", "Launched", "SimulatedGuest", "SimulatedMachine", "guest_at", "kind_at",
           "kind_named", "power_on"]  # fmt: skip

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
    """A name of `sealroom.testing.nvidia.PRESETS`."""

    @property
    def cpu(self) -> CpuKind:
        """Its CPU."""
        found: CpuKind = getattr(importlib.import_module(f"sealroom.testing.{self.cpu_module}"), self.cpu_name)
        return found


KINDS: Mapping[str, Kind] = {
    "snp": Kind(cpu_module="machine_snp"),
    "tdx": Kind(cpu_module="machine_tdx"),
    "snp+h100": Kind(cpu_module="machine_snp", gpus="h100"),
    "tdx+h100": Kind(cpu_module="machine_tdx", gpus="h100"),
    "tdx+h100x8": Kind(cpu_module="machine_tdx", gpus="h100x8"),
    "snp+b200x8": Kind(cpu_module="machine_snp", gpus="b200x8"),
    "nitro": Kind(cpu_module="machine_nitro"),
    "cca": Kind(cpu_module="machine_cca"),
    "azure-snp": Kind(cpu_module="machine_azure", cpu_name="ON_SNP"),
    "azure-tdx": Kind(cpu_module="machine_azure", cpu_name="ON_TDX"),
    "tpm": Kind(cpu_module="machine_tpm"),
}
"""By the name that commands have for it."""


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
    """The kind called ``name``.

    Raises:
        MisuseError: ``simulated.kind``.
    """
    if name not in KINDS:
        raise MisuseError("simulated.kind", "there is no such kind of simulated machine", got=name[:80],
                          expected=", ".join(KINDS))  # fmt: skip
    return KINDS[name]


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
    # a switch does not say in which mode it works: that each is linked to all GPUs here is checked without a word
    modes = f'mode = ["{"multi" if len(gpus.gpus) > 1 else "single"}"]\n'
    others = f"switches = {len(gpus.switches)}\n" if gpus.switches else modes
    return f"""
[nvidia]
# Every GPU of this machine, with the software that was installed and the mode that was set; all of it compared with
# the reference values that the vendor has signed.
architectures = ["{first.family.architecture}"]
count = {len(gpus.gpus)}
{others}minimum_driver = "{first.software.driver}"
"""


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("es" if what.endswith("ch") else "s") * (number != 1)
