"""Looks at the machine that we run on: files, the bus, NVIDIA's driver, a TPM's list of indices. Changes nothing.

    facts = look()

A test has a folder in place of the file system, and answers of its own in place of a driver's and a TPM's.
"""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sealroom.doctor.collect_devices import gpu_facts, tpm_facts, tpm_indices
from sealroom.doctor.facts import Access, Facts, HostFacts, KernelFacts, ProcessFacts
from sealroom.engines.sandbox.landlock import abi
from sealroom.engines.sandbox.outside import may_change_user
from sealroom.errors import UnavailableError
from sealroom.room.hardening import swap_in_use
from sealroom.tees.nvidia.collect import nvml_binding
from sealroom.tees.nvidia.collect_switches import switches_of_this_machine

__all__ = ["Sight", "look"]

_FIRMWARE = ("sys_vendor", "product_name", "chassis_asset_tag", "bios_vendor")
_CONTAINERS = (".dockerenv", "run/.containerenv", "run/systemd/container", "var/run/secrets/kubernetes.io")
"""What Docker, Podman, systemd and Kubernetes leave in what they start."""
_ENGINE = "xllamacpp"
_MOST = 256 * 1024


def _may(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK | (os.X_OK if path.is_dir() else 0))


def _import_fault(package: str) -> str:
    """Why ``package`` can not be imported; empty: it can. In a process of its own, since it brings native code."""
    command = [sys.executable, "-c", f"import {package}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603 - our own words
    except (OSError, subprocess.TimeoutExpired) as error:
        return type(error).__name__
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it ended"])[-1][:120]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """How a machine is looked at: as it is, unless a test says otherwise."""

    root: Path = Path("/")
    architecture: str = field(default_factory=platform.machine)
    may: Callable[[Path], bool] = _may
    """Whether this user may use a file that is there."""
    tpm: Callable[[], frozenset[int]] = tpm_indices
    nvml: Callable[[], Any] = nvml_binding
    switches: Callable[[], object] = switches_of_this_machine
    landlock: Callable[[], int] = abi
    has_tool: Callable[[str], bool] = lambda name: shutil.which(name) is not None
    has_package: Callable[[str], bool] = lambda name: importlib.util.find_spec(name) is not None
    import_fault: Callable[[str], str] = _import_fault

    def text(self, path: str) -> str:
        """What a file below the root says; nothing if it can not be read."""
        try:
            with (self.root / path).open("rb") as file:
                return file.read(_MOST).decode("utf-8", "replace").strip("\0\n ")
        except OSError:
            return ""

    def there(self, path: str) -> bool:
        """Whether there is such a file."""
        try:
            return (self.root / path).exists()
        except OSError:
            return False

    def access(self, path: str) -> Access:
        """Whether there is such a file, and whether we may use it."""
        if not self.there(path):
            return Access.ABSENT
        return Access.USABLE if self.may(self.root / path) else Access.FORBIDDEN

    def lists(self, pattern: str) -> bool:
        """Whether any file's name fits."""
        return any(True for _ in self.root.glob(pattern))


def look(sight: Sight | None = None) -> Facts:
    """Everything that the doctor wants to know."""
    sight = sight or Sight()
    return Facts(
        host=_host(sight),
        kernel=_kernel(sight),
        tpm=tpm_facts(sight.access("dev/tpmrm0"), sight.has_tool, sight.tpm),
        gpus=gpu_facts(sight.root / "sys/bus/pci/devices", sight.nvml, sight.switches),
        process=_process(sight),
    )


def _host(sight: Sight) -> HostFacts:
    lines = [line.partition(":") for line in sight.text("proc/cpuinfo").splitlines()]
    said = {name.strip(): value.strip() for name, _, value in reversed(lines)}  # of several CPUs, the first
    arm = f"an Arm CPU (implementer {said['CPU implementer']})" if "CPU implementer" in said else ""
    return HostFacts(
        architecture=sight.architecture,
        release=sight.text("proc/sys/kernel/osrelease"),
        cpu=said.get("model name", arm),
        vendor=said.get("vendor_id", ""),
        cpus=sum(name.strip() == "processor" for name, _, _ in lines),
        flags=frozenset(said.get("flags", said.get("Features", "")).split()),
        firmware={name: text for name in _FIRMWARE if (text := sight.text(f"sys/class/dmi/id/{name}"))},
        sees_devices=sight.there("sys/class") or sight.there("sys/devices"),
        container=any(sight.there(path) for path in _CONTAINERS),
    )


def _kernel(sight: Sight) -> KernelFacts:
    mounted = [line.split() for line in sight.text("proc/mounts").splitlines()]
    host_of = {"snp": "kvm_amd/parameters/sev_snp", "tdx": "kvm_intel/parameters/tdx"}
    return KernelFacts(
        tsm=sight.access("sys/kernel/config/tsm/report"),
        configfs=any(len(line) > 2 and line[2] == "configfs" for line in mounted),
        sev_guest=sight.access("dev/sev-guest"),
        sev_announced=sight.there("sys/bus/platform/devices/sev-guest"),
        tdx_guest=sight.access("dev/tdx_guest"),
        cca_announced=sight.lists("sys/bus/*/devices/arm-cca-dev*") or sight.lists("sys/bus/*/devices/arm-rsi-dev*"),
        vsock=sight.there("dev/vsock"),
        gramine=sight.text("dev/attestation/attestation_type") or None,
        sgx=sight.there("dev/sgx_enclave") or sight.there("dev/sgx/enclave"),
        nsm=sight.access("dev/nsm"),
        launcher=sight.access("run/container_launcher/teeserver.sock"),
        enclaves=sight.there("dev/nitro_enclaves"),
        host_of=frozenset(name for name, path in host_of.items() if sight.text(f"sys/module/{path}") in {"Y", "1"}),
    )


def _process(sight: Sight) -> ProcessFacts:
    status = dict(line.split(":", 1) for line in sight.text("proc/self/status").splitlines() if ":" in line)
    return ProcessFacts(
        user=int(found[0]) if (found := re.findall(r"\d+", status.get("Uid", ""))) else 0,
        capabilities=_hexadecimal(status.get("CapEff", "")),
        seccomp="Seccomp" in status,
        landlock=_landlock(sight),
        changes_user=bool(status) and may_change_user(proc=sight.root / "proc"),
        lockable=_lockable(sight.text("proc/self/limits")),
        swap=swap_in_use(sight.root / "proc/swaps"),
        engine=sight.has_package(_ENGINE),
        engine_fault=sight.import_fault(_ENGINE) if sight.has_package(_ENGINE) else "",
    )


def _hexadecimal(text: str) -> int:
    found = re.fullmatch(r"\s*([0-9a-f]+)\s*", text)
    return int(found[1], 16) if found else 0


def _landlock(sight: Sight) -> int | None:
    try:
        return sight.landlock()
    except UnavailableError:
        return None


def _lockable(limits: str) -> int | None:
    """The hard limit, up to which a room's engine raises its own; None: there is none."""
    found = re.search(r"^Max locked memory\s+\S+\s+(\S+)", limits, re.MULTILINE)
    if found is None:
        return 0
    return None if found[1] == "unlimited" else int(found[1])
