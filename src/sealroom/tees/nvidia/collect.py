"""Asks the GPUs of the machine that we run in for reports, through NVIDIA's management library (NVML).

NVML's answer holds the whole exchange, our request first: exactly what `layout` reads. It brings the device's
certificates; reference values and revocation answers are NVIDIA's, are fetched ahead of time, and go along as
collateral.

The binding is NVIDIA's own (``nvidia-ml-py``, the optional part ``nvidia`` of this package), loaded when asked for.
"""

import ctypes
import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sealroom.errors import MalformedError, MisuseError, UnavailableError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.tees.nvidia.layout import NONCE_SIZE, parse_report

__all__ = ["NvidiaGpu", "gpus_of_this_machine"]

_SIMULATION, _PROTECTED_PCIE, _ON = 1, 1, 1
_SUCCESS = 0
_NOT_KNOWN = frozenset({3, 13, 25})
"""NVML's words for a question that a driver does not know: not supported, no function, another version."""
_CHAIN = "cert_chain"
_PEM = b"-----BEGIN CERTIFICATE-----"


class NvidiaGpu:
    """One GPU of the machine that we run in: a `DeviceAttester`.

    Args:
        nvml: NVIDIA's binding, initialised.
        index: as NVML counts GPUs.
        collateral: gives what goes along with a report: ``driver_rim``, ``vbios_rim``, ``ocsp``. Asked each time,
            since revocation answers live for days.
    """

    tee = Tee.NVIDIA
    simulated = False

    def __init__(self, nvml: Any, index: int, *, collateral: Callable[[], Collateral] | None = None) -> None:
        self._nvml = nvml
        self._index = index
        self._collateral = collateral or (lambda: Collateral(items={}))

    def collect(self, nonce: bytes) -> CollectedEvidence:
        """Return a report that answers ``nonce`` (32 bytes), with the device's certificates.

        Raises:
            MisuseError: ``nvidia.nonce-size``.
            UnavailableError: ``nvidia.no-report``: the device gave none; ``nvidia.other-report``: it answered another
                nonce; ``nvidia.no-certificates``.
            MalformedError: ``nvidia.*``: what it gave is no report.
        """
        if len(nonce) != NONCE_SIZE:
            raise MisuseError("nvidia.nonce-size", "a device answers a nonce of 32 bytes", got=f"{len(nonce)} bytes",
                              expected=f"{NONCE_SIZE} bytes")  # fmt: skip
        with _told(self._nvml, "nvidia.no-report", "the GPU gave no report", where=f"GPU {self._index}"):
            device = self._nvml.nvmlDeviceGetHandleByIndex(self._index)
            answer = self._nvml.nvmlDeviceGetConfComputeGpuAttestationReport(device, nonce)
            held = self._nvml.nvmlDeviceGetConfComputeGpuCertificate(device)
        raw = _cut(answer.attestationReport, answer.attestationReportSize)
        if (got := parse_report(raw).report.request_nonce) != nonce:
            raise UnavailableError("nvidia.other-report", "the GPU's report answers another nonce",
                                   where=f"GPU {self._index}", got=got.hex(), expected=nonce.hex())  # fmt: skip
        items = {_CHAIN: self._chain(held), **self._collateral().items}
        return CollectedEvidence(tee=Tee.NVIDIA, raw=raw, collateral=Collateral(items=items))

    def _chain(self, held: Any) -> bytes:
        chain = _cut(held.attestationCertChain, held.attestationCertChainSize).rstrip(b"\x00")
        if not chain.startswith(_PEM):
            raise UnavailableError("nvidia.no-certificates", "the GPU gave no certificates",
                                   where=f"GPU {self._index}", got=f"{len(chain)} bytes that are no PEM",
                                   hint="is confidential computing switched on for this GPU?")  # fmt: skip
        return chain


def gpus_of_this_machine(
    *, collateral: Callable[[str], Collateral] | None = None, nvml: Any = None
) -> Mapping[str, NvidiaGpu]:
    """Every GPU by the name that a statement gives it: ``gpu0`` …

    Args:
        collateral: what goes along with the reports of the GPU of that name; asked at each report.
        nvml: NVIDIA's binding; the installed one unless a test has another.

    Raises:
        UnavailableError: ``nvidia.no-binding``, ``nvidia.no-driver``: it can not be asked; ``nvidia.no-gpu``: there
            is none; ``nvidia.cc-off``, ``nvidia.cc-simulation``, ``nvidia.devtools``: what they would say is worth
            nothing.
    """
    nvml = nvml or _binding()
    with _told(nvml, "nvidia.no-driver", "NVIDIA's driver can not be asked", where="NVML"):
        nvml.nvmlInit()
        _require_confidential(nvml)
        count = nvml.nvmlDeviceGetCount()
    if not count:
        raise UnavailableError("nvidia.no-gpu", "this machine has no NVIDIA GPU", where="NVML")
    of = collateral or (lambda _: Collateral(items={}))
    names = {f"gpu{index}": index for index in range(count)}
    return {
        name: NvidiaGpu(nvml, index, collateral=lambda name=name: of(name))  # type: ignore[misc]
        for name, index in names.items()
    }


def _binding() -> Any:
    try:
        return importlib.import_module("pynvml")
    except ImportError:
        raise UnavailableError(
            "nvidia.no-binding",
            "NVIDIA's management library has no Python binding here",
            expected="the package nvidia-ml-py",
            hint="install sealroom[nvidia]",
        ) from None


def _require_confidential(nvml: Any) -> None:
    """A report does not say in which mode developers' tools are; the driver does."""
    state = _settings(nvml)
    if not (state.ccFeature == _ON or getattr(state, "multiGpuMode", 0) == _PROTECTED_PCIE):
        raise UnavailableError("nvidia.cc-off", "confidential computing is switched off on this machine's GPUs",
                               where="NVML", hint="have the host switch it on, and start the machine anew",
                               )  # fmt: skip
    if state.environment == _SIMULATION:
        raise UnavailableError("nvidia.cc-simulation", "the GPUs' confidential computing is a simulation",
                               where="NVML", hint="use production firmware")  # fmt: skip
    if state.devToolsMode == _ON:
        raise UnavailableError("nvidia.devtools", "the GPUs are in developers' mode: their memory can be read",
                               where="NVML", hint="have the host set the mode to on in place of devtools",
                               )  # fmt: skip


def _settings(nvml: Any) -> Any:
    """The newer question, which also tells of protected PCIe; drivers that do not know it are asked the older one."""
    settings = nvml.c_nvmlSystemConfComputeSettings_v1_t()
    try:
        status = nvml.nvmlSystemGetConfComputeSettings(ctypes.byref(settings))
    except nvml.NVMLError as error:
        status = error.value
    if status == _SUCCESS:
        return settings
    if status not in _NOT_KNOWN:
        raise nvml.NVMLError(status)
    return nvml.nvmlSystemGetConfComputeState()


@contextmanager
def _told(nvml: Any, code: str, message: str, *, where: str) -> Iterator[None]:
    """The binding's exceptions as one of ours."""
    try:
        yield
    except nvml.NVMLError as error:
        raise UnavailableError(code, message, where=where, got=str(error),
                               hint="`nvidia-smi conf-compute -q` says more") from None  # fmt: skip


def _cut(buffer: Any, size: int) -> bytes:
    if not 0 < size <= len(buffer):
        raise MalformedError("nvidia.wrong-length", "the driver gave a buffer of a size that can not be", got=size,
                             expected=f"1 to {len(buffer)}")  # fmt: skip
    return bytes(buffer[:size])
