"""NVIDIA's management library as its Python binding offers it (``pynvml``), with simulated GPUs behind it.

The functions that are used, under the binding's names and with structures of its shape; a test compares both. What it
can not show is a driver's own behaviour beyond what is written here.
"""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sealroom.testing.nvidia import SimulatedGpu

__all__ = ["EmulatedNvml", "NVMLError"]

CHAIN_SIZE, REPORT_SIZE = 0x1400, 0x2000
_WORDS = {3: "Not Supported", 4: "Insufficient Permissions", 6: "Not Found", 9: "Driver Not Loaded", 10: "Timeout",
          12: "NVML Shared Library Not Found", 13: "Function Not Found", 15: "GPU is lost",
          16: "GPU requires restart"}  # fmt: skip


class NVMLError(Exception):
    """The binding's one kind of exception: a code of NVML's."""

    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.value = value

    def __str__(self) -> str:
        return _WORDS.get(self.value, f"NVML Error with code {self.value}")


class Settings(ctypes.Structure):
    """``c_nvmlSystemConfComputeSettings_v1_t``."""

    _fields_ = tuple((name, ctypes.c_uint) for name in ("version", "environment", "ccFeature", "devToolsMode",
                                                        "multiGpuMode"))  # fmt: skip


class State(ctypes.Structure):
    """``c_nvmlConfComputeSystemState_t``."""

    _fields_ = tuple((name, ctypes.c_uint) for name in ("environment", "ccFeature", "devToolsMode"))


class Report(ctypes.Structure):
    """What is used of ``c_nvmlConfComputeGpuAttestationReport_t``."""

    _fields_ = (("attestationReportSize", ctypes.c_uint), ("attestationReport", ctypes.c_uint8 * REPORT_SIZE))


class Certificate(ctypes.Structure):
    """What is used of ``c_nvmlConfComputeGpuCertificate_t``."""

    _fields_ = (("attestationCertChainSize", ctypes.c_uint), ("attestationCertChain", ctypes.c_uint8 * CHAIN_SIZE))


class EmulatedNvml:
    """The binding.

    Args:
        gpus: what NVML counts.
        mode: members of its settings that differ from those of a machine in order.
    """

    NVMLError = NVMLError
    c_nvmlSystemConfComputeSettings_v1_t = Settings  # noqa: N815 - the binding's own name

    def __init__(self, gpus: Sequence[SimulatedGpu], **mode: int) -> None:
        self.gpus = tuple(gpus)
        self.mode: Mapping[str, int] = {"environment": 2, "ccFeature": 1, "devToolsMode": 0, "multiGpuMode": 0} | mode
        self.errors: dict[str, int] = {}
        """By the name of a function: the error that it ends with."""
        self.lost: dict[int, int] = {}
        """By a GPU's index: the error that whatever asks for it ends with."""
        self.settings_status = 0
        """What the question for the settings, which alone returns its status, returns."""
        self.ready = 1
        self.changed: Callable[[bytes], bytes] = lambda raw: raw
        self.chain: Callable[[bytes], bytes] = lambda raw: raw

    def nvmlInit(self) -> None:  # noqa: N802
        """Begin."""
        self._answer("nvmlInit")

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        """The driver's version."""
        self._answer("nvmlSystemGetDriverVersion")
        return (self.gpus[0].software.driver if self.gpus else None) or "590.12"

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        """How many GPUs there are."""
        self._answer("nvmlDeviceGetCount")
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> SimulatedGpu:  # noqa: N802
        """One of them."""
        if index in self.lost:
            raise NVMLError(self.lost[index])
        return self.gpus[index]

    def nvmlDeviceGetName(self, device: SimulatedGpu) -> str:  # noqa: N802
        """What it is called."""
        self._answer("nvmlDeviceGetName")
        return f"NVIDIA {device.family.chip} (simulated)"

    def nvmlSystemGetConfComputeSettings(self, pointer: Any) -> int:  # noqa: N802
        """The newer question, which returns its status in place of raising it."""
        for name, value in self.mode.items():
            setattr(pointer._obj, name, value)  # noqa: SLF001 - what a pointer by reference points to
        return self.settings_status

    def nvmlSystemGetConfComputeState(self) -> State:  # noqa: N802
        """The older question."""
        return State(**{name: value for name, value in self.mode.items() if name != "multiGpuMode"})

    def nvmlSystemGetConfComputeGpusReadyState(self) -> int:  # noqa: N802
        """Whether the GPUs take work."""
        self._answer("nvmlSystemGetConfComputeGpusReadyState")
        return self.ready

    def nvmlDeviceGetConfComputeGpuAttestationReport(self, device: SimulatedGpu, nonce: bytes) -> Report:  # noqa: N802
        """A report."""
        self._answer("nvmlDeviceGetConfComputeGpuAttestationReport")
        raw = self.changed(device.report(nonce))
        answer = Report(attestationReportSize=len(raw))
        ctypes.memmove(answer.attestationReport, raw, min(len(raw), REPORT_SIZE))
        return answer

    def nvmlDeviceGetConfComputeGpuCertificate(self, device: SimulatedGpu) -> Certificate:  # noqa: N802
        """The device's certificates."""
        self._answer("nvmlDeviceGetConfComputeGpuCertificate")
        raw = self.chain(device.items()["cert_chain"])
        answer = Certificate(attestationCertChainSize=len(raw))
        ctypes.memmove(answer.attestationCertChain, raw, min(len(raw), CHAIN_SIZE))
        return answer

    def _answer(self, name: str) -> None:
        if name in self.errors:
            raise NVMLError(self.errors[name])
