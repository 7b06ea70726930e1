"""In which mode this machine's GPUs are, in the words of NVIDIA's driver (NVML); a report does not say all of it.

The driver sets them together, for all GPUs of a machine (`confComputeApiCtrlCmdSystemGetCapabilities` in NVIDIA's
open kernel modules): the environment is production where confidential computing is on, and simulation where
developers' tools may look in; over protected PCIe the feature itself is said to be off.
"""

import ctypes
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sealroom.errors import UnavailableError

__all__ = ["GpuMode", "gpu_mode", "require_confidential", "told"]

_PRODUCTION, _PROTECTED_PCIE, _ON = 2, 1, 1
_ENVIRONMENTS = {0: "unavailable", 1: "simulation", 2: "production"}
_SEVERAL = {0: "none", 1: "protected PCIe", 2: "NVLink encryption"}
_SUCCESS = 0
_NOT_KNOWN = frozenset({3, 13, 25})
"""NVML's words for a question that a driver does not know: not supported, no function, another version."""

_FAULTS: Mapping[int, tuple[str, str]] = {
    15: ("nvidia.gpu-lost", "the GPU fell off the bus or can not be reached any more"),
    16: ("nvidia.reset-required", "the GPU must be reset before it answers"),
}
"""What is wrong with one device, whatever it was asked."""
_HINTS: Mapping[int, str] = {
    3: "is this GPU one with confidential computing, and is that switched on for it?",
    4: "the driver lets root alone ask",
    6: "is this GPU one with confidential computing, and is that switched on for it?",
    9: "load the driver (modprobe nvidia) and see what dmesg says of it",
    10: "the device hangs; dmesg may say more (Xid)",
    12: "install NVIDIA's driver: libnvidia-ml.so.1 comes with it",
    15: "dmesg says why (Xid); the machine has to be started anew",
    16: "start the machine anew: nothing that ran on the GPU can be trusted to be there still",
    17: "the container or a security module keeps the GPU's device files away",
    18: "the driver was updated while its module was loaded: start the machine anew",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuMode:
    """What the driver says of all GPUs together."""

    environment: int
    confidential: bool
    """Whether the feature is on; over protected PCIe drivers say that it is not."""
    developers: bool
    several: int
    """How several GPUs work together: 0 not at all, 1 over protected PCIe, 2 over encrypted NVLink. Older drivers
    do not say, and know neither."""

    @property
    def protected_pcie(self) -> bool:
        """Whether GPUs and switches are one machine together."""
        return self.several == _PROTECTED_PCIE

    @property
    def words(self) -> str:
        """The same for a person."""
        return (f"confidential computing {'on' if self.confidential else 'off'}, several GPUs: "
                f"{_SEVERAL.get(self.several, self.several)}, environment: "
                f"{_ENVIRONMENTS.get(self.environment, self.environment)}, developers' tools "
                f"{'on' if self.developers else 'off'}")  # fmt: skip


def gpu_mode(nvml: Any) -> GpuMode:
    """Ask the driver: the newer question, which also tells of protected PCIe, and the older one where a driver does
    not know it.

    Raises:
        nvml.NVMLError: as the binding gives it.
    """
    settings = nvml.c_nvmlSystemConfComputeSettings_v1_t()
    try:
        status = nvml.nvmlSystemGetConfComputeSettings(ctypes.byref(settings))
    except nvml.NVMLError as error:
        status = error.value
    if status not in {_SUCCESS, *_NOT_KNOWN}:
        raise nvml.NVMLError(status)
    state = settings if status == _SUCCESS else nvml.nvmlSystemGetConfComputeState()
    return GpuMode(environment=int(state.environment), confidential=state.ccFeature == _ON,
                   developers=state.devToolsMode == _ON, several=int(getattr(state, "multiGpuMode", 0)))  # fmt: skip


def require_confidential(mode: GpuMode) -> None:
    """Raise unless what the GPUs would say is worth something.

    Raises:
        UnavailableError: ``nvidia.cc-off``, ``nvidia.devtools``, ``nvidia.cc-simulation``.
    """
    if not (mode.confidential or mode.protected_pcie):
        raise UnavailableError("nvidia.cc-off", "confidential computing is switched off on this machine's GPUs",
                               where="NVML", got=mode.words,
                               hint="have the host switch it on, and start the machine anew")  # fmt: skip
    if mode.developers:  # before the environment, which such a mode makes a simulation
        raise UnavailableError("nvidia.devtools", "the GPUs are in developers' mode: their memory can be read",
                               where="NVML", got=mode.words,
                               hint="have the host set the mode to on in place of devtools")  # fmt: skip
    if mode.environment != _PRODUCTION:
        raise UnavailableError("nvidia.cc-simulation", "the GPUs' confidential computing is not that of production",
                               where="NVML", got=mode.words, expected=_ENVIRONMENTS[_PRODUCTION],
                               hint="use production firmware")  # fmt: skip


@contextmanager
def told(nvml: Any, code: str, message: str, *, where: str) -> Iterator[None]:
    """The binding's exceptions as one of ours: ``code``, or what is wrong with the device itself."""
    try:
        yield
    except nvml.NVMLError as error:
        code, message = _FAULTS.get(error.value, (code, message))
        raise UnavailableError(code, message, where=where, got=str(error),
                               hint=_HINTS.get(error.value, "`nvidia-smi conf-compute -q` says more"),
                               ) from None  # fmt: skip
