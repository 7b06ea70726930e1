"""Looks at a TPM and at NVIDIA's devices."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sealroom.doctor.facts import Access, GpuFacts, TpmFacts
from sealroom.errors import SealroomError, UnavailableError
from sealroom.tees._tpm.collect_tools import Tools, scratch
from sealroom.tees.nvidia.collect_mode import GpuMode, gpu_mode, told

__all__ = ["gpu_facts", "tpm_facts", "tpm_indices"]

_LISTS, _NITRO_TOOL = "tpm2_getcap", "nitro-tpm-attest"
_PATIENCE = 20.0
"""Seconds. Slow TPMs take some; a list of handles is no slow question."""
_NVIDIA, _DISPLAY, _BRIDGE = "0x10de", "0x03", "0x0680"
"""Vendor on the PCI bus; the class of GPUs; that of NVLink switches."""


def tpm_facts(device: Access, has_tool: Callable[[str], bool], indices: Callable[[], frozenset[int]]) -> TpmFacts:
    """What there is of a TPM, whose indices ``indices`` asks it for, and of the programs that ask it."""
    facts = TpmFacts(device=device, tools=has_tool(_LISTS), nitro_tools=has_tool(_NITRO_TOOL))
    if device is not Access.USABLE or not facts.tools:
        return facts
    try:
        return replace(facts, indices=indices())
    except UnavailableError as error:
        return replace(facts, problem=f"{error.message} ({error.got})" if error.got else error.message)


def tpm_indices() -> frozenset[int]:
    """The NV indices of this machine's TPM, or of the one that ``TPM2TOOLS_TCTI`` names.

    Raises:
        UnavailableError: ``tpm.no-tools``, ``tpm.tool``, ``tpm.timeout``.
    """
    with scratch() as folder:
        return Tools(timeout=_PATIENCE).indices(folder=folder)


def gpu_facts(bus: Path, binding: Callable[[], Any], switches: Callable[[], object]) -> GpuFacts:
    """What there is of NVIDIA's devices: on the PCI bus, and in the words of their driver.

    Args:
        bus: the folder of PCI devices.
        binding: gives NVIDIA's binding of its management library.
        switches: finds this machine's switches, or says why not.
    """
    gpus, between = _on_bus(bus)
    if not gpus:
        return GpuFacts(switches_on_bus=between)
    try:
        nvml = binding()
        with told(nvml, "nvidia.no-driver", "NVIDIA's driver can not be asked", where="NVML"):
            nvml.nvmlInit()
            driver, count = _text(nvml.nvmlSystemGetDriverVersion()), nvml.nvmlDeviceGetCount()
            mode = gpu_mode(nvml)
            names = [_text(nvml.nvmlDeviceGetName(nvml.nvmlDeviceGetHandleByIndex(index))) for index in range(count)]
    except SealroomError as error:
        return GpuFacts(gpus_on_bus=gpus, switches_on_bus=between, problem=_said(error))
    return GpuFacts(gpus_on_bus=gpus, switches_on_bus=between, driver=driver, names=tuple(names), mode=mode,
                    takes_work=_takes_work(nvml), switch_problem=_switch_problem(mode, between, switches),
                    )  # fmt: skip


def _on_bus(bus: Path) -> tuple[int, int]:
    kinds = [_word(device / "class") for device in bus.glob("*") if _word(device / "vendor") == _NVIDIA]
    return sum(kind.startswith(_DISPLAY) for kind in kinds), sum(kind.startswith(_BRIDGE) for kind in kinds)


def _takes_work(nvml: Any) -> bool | None:
    try:
        return bool(nvml.nvmlSystemGetConfComputeGpusReadyState())
    except nvml.NVMLError:
        return None


def _switch_problem(mode: GpuMode, on_bus: int, switches: Callable[[], object]) -> tuple[str, str | None] | None:
    if not (mode.protected_pcie and on_bus):
        return None
    try:
        switches()
    except SealroomError as error:
        return _said(error)
    return None


def _said(error: SealroomError) -> tuple[str, str | None]:
    return (f"{error.message} ({error.got})" if error.got else error.message), error.hint


def _word(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip().lower()
    except OSError:
        return ""


def _text(value: Any) -> str:
    """Older bindings give bytes."""
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
