"""Asks the GPUs of the machine that we run in for reports, through NVIDIA's management library (NVML).

NVML's answer holds the whole exchange, our request first: exactly what `layout` reads. It brings the device's
certificates; reference values and revocation answers are NVIDIA's, are fetched ahead of time, and go along as
collateral. Where GPUs work over protected PCIe, the switches between them belong to the machine, and are asked too
(`collect_switches`).

The binding is NVIDIA's own (``nvidia-ml-py``, the optional part ``nvidia`` of this package), loaded when asked for.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from sealroom.errors import MalformedError, MisuseError, UnavailableError
from sealroom.evidence import Collateral, CollectedEvidence, DeviceAttester, Tee
from sealroom.tees.nvidia.collect_mode import GpuMode, gpu_mode, require_confidential, told
from sealroom.tees.nvidia.collect_switches import switches_of_this_machine
from sealroom.tees.nvidia.layout import NONCE_SIZE, parse_report

__all__ = ["NvidiaGpu", "gpus_of_this_machine", "nvidia_devices", "nvml_binding"]

_CHAIN = "cert_chain"
_PEM = b"-----BEGIN CERTIFICATE-----"

_Along = Callable[[str], Collateral]


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
            UnavailableError: ``nvidia.no-report``: the device gave none; ``nvidia.gpu-lost``,
                ``nvidia.reset-required``; ``nvidia.other-report``: it answered another nonce;
                ``nvidia.no-certificates``.
            MalformedError: ``nvidia.*``: what it gave is no report.
        """
        if len(nonce) != NONCE_SIZE:
            raise MisuseError("nvidia.nonce-size", "a device answers a nonce of 32 bytes", got=f"{len(nonce)} bytes",
                              expected=f"{NONCE_SIZE} bytes")  # fmt: skip
        where = f"GPU {self._index}"
        with told(self._nvml, "nvidia.no-report", "the GPU gave no report", where=where):
            device = self._nvml.nvmlDeviceGetHandleByIndex(self._index)
            answer = self._nvml.nvmlDeviceGetConfComputeGpuAttestationReport(device, nonce)
        with told(self._nvml, "nvidia.no-certificates", "the GPU gave no certificates", where=where):
            held = self._nvml.nvmlDeviceGetConfComputeGpuCertificate(device)
        raw = _cut(answer.attestationReport, answer.attestationReportSize)
        if (got := parse_report(raw).report.request_nonce) != nonce:
            raise UnavailableError("nvidia.other-report", "the GPU's report answers another nonce", where=where,
                                   got=got.hex(), expected=nonce.hex())  # fmt: skip
        items = {_CHAIN: self._chain(held), **self._collateral().items}
        return CollectedEvidence(tee=Tee.NVIDIA, raw=raw, collateral=Collateral(items=items))

    def _chain(self, held: Any) -> bytes:
        chain = _cut(held.attestationCertChain, held.attestationCertChainSize).rstrip(b"\x00")
        if not chain.startswith(_PEM):
            raise UnavailableError("nvidia.no-certificates", "the GPU gave no certificates",
                                   where=f"GPU {self._index}", got=f"{len(chain)} bytes that are no PEM",
                                   hint="is confidential computing switched on for this GPU?")  # fmt: skip
        return chain


def nvidia_devices(*, collateral: _Along | None = None, nvml: Any = None) -> Mapping[str, DeviceAttester]:
    """Every GPU by the name that a statement gives it, and every switch where GPUs work over protected PCIe: a
    machine is proved as a whole.

    Args:
        collateral: what goes along with the reports of the device of that name; asked at each report.
        nvml: NVIDIA's binding; the installed one unless a test has another.

    Raises:
        UnavailableError: as `gpus_of_this_machine` and `switches_of_this_machine`.
    """
    gpus, mode = _gpus(nvml or nvml_binding(), collateral)
    return {**gpus, **(switches_of_this_machine(collateral=collateral) if mode.protected_pcie else {})}


def gpus_of_this_machine(*, collateral: _Along | None = None, nvml: Any = None) -> Mapping[str, NvidiaGpu]:
    """Every GPU by its name: ``gpu0`` …

    Args:
        collateral: what goes along with the reports of the GPU of that name; asked at each report.
        nvml: NVIDIA's binding; the installed one unless a test has another.

    Raises:
        UnavailableError: ``nvidia.no-binding``, ``nvidia.no-driver``: it can not be asked; ``nvidia.no-gpu``: there
            is none; ``nvidia.cc-off``, ``nvidia.cc-simulation``, ``nvidia.devtools``: what they would say is worth
            nothing.
    """
    return _gpus(nvml or nvml_binding(), collateral)[0]


def nvml_binding() -> Any:
    """NVIDIA's own binding.

    Raises:
        UnavailableError: ``nvidia.no-binding``.
    """
    try:
        return importlib.import_module("pynvml")
    except ImportError:
        raise UnavailableError(
            "nvidia.no-binding",
            "NVIDIA's management library has no Python binding here",
            expected="the package nvidia-ml-py",
            hint='pip install "sealroom[nvidia]"',
        ) from None


def _gpus(nvml: Any, collateral: _Along | None) -> tuple[dict[str, NvidiaGpu], GpuMode]:
    with told(nvml, "nvidia.no-driver", "NVIDIA's driver can not be asked", where="NVML"):
        nvml.nvmlInit()
        mode = gpu_mode(nvml)
        require_confidential(mode)
        count = nvml.nvmlDeviceGetCount()
    if not count:
        raise UnavailableError("nvidia.no-gpu", "this machine has no NVIDIA GPU", where="NVML")
    of = collateral or (lambda _: Collateral(items={}))
    return {name: NvidiaGpu(nvml, index, collateral=lambda name=name: of(name))  # type: ignore[misc]
            for index in range(count) for name in (f"gpu{index}",)}, mode  # fmt: skip


def _cut(buffer: Any, size: int) -> bytes:
    if not 0 < size <= len(buffer):
        raise MalformedError("nvidia.wrong-length", "the driver gave a buffer of a size that can not be", got=size,
                             expected=f"1 to {len(buffer)}")  # fmt: skip
    return bytes(buffer[:size])
