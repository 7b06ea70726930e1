"""What NVIDIA's devices can prove, and whether they take work."""

from collections import Counter
from collections.abc import Iterator

from sealroom.doctor.facts import Facts, GpuFacts
from sealroom.doctor.finding import Area, Finding, absent, missing, ok
from sealroom.errors import UnavailableError
from sealroom.evidence import Tee
from sealroom.tees.nvidia.collect_mode import require_confidential

__all__ = ["gpu_findings"]

_GPUS, _READY, _SWITCHES = "NVIDIA GPUs", "GPUs take work", "NVLink switches"


def gpu_findings(facts: Facts) -> Iterator[Finding]:
    """One for the GPUs; of those that prove something also whether they take work, and their switches."""
    gpus = facts.gpus
    if (first := _without_mode(gpus)) is not None:
        yield first
        return
    yield _proving(gpus)
    yield _ready(gpus)
    if gpus.switches_on_bus or (gpus.mode is not None and gpus.mode.protected_pcie):
        yield _switches(gpus)


def _without_mode(gpus: GpuFacts) -> Finding | None:
    if not gpus.gpus_on_bus and not gpus.names:
        return absent(_GPUS, "there is none on this machine's bus", tee=Tee.NVIDIA, area=Area.DEVICES)
    if gpus.problem is not None or gpus.mode is None:
        found, mend = gpus.problem or ("the driver does not say in which mode they are", "update the driver")
        return missing(_GPUS, f"{gpus.gpus_on_bus} on the bus: {found}", mend, tee=Tee.NVIDIA, area=Area.DEVICES)
    return None


def _proving(gpus: GpuFacts) -> Finding:
    assert gpus.mode is not None  # noqa: S101 - `_without_mode` has seen it
    what = f"{_counted(gpus.names)}, driver {gpus.driver or 'unknown'}"
    try:
        require_confidential(gpus.mode)
    except UnavailableError as error:
        return missing(_GPUS, f"{what}: {error.message}", error.hint, tee=Tee.NVIDIA, area=Area.DEVICES)
    how = "over protected PCIe" if gpus.mode.protected_pcie else "confidential computing is on"
    return ok(_GPUS, f"{what}: {how}", tee=Tee.NVIDIA, area=Area.DEVICES)


def _ready(gpus: GpuFacts) -> Finding:
    if gpus.takes_work is None:
        return missing(_READY, "the driver does not say", "nvidia-smi conf-compute -grs shows it", area=Area.DEVICES)
    if not gpus.takes_work:
        return missing(_READY, "not yet: whoever looks after the machine says so, once they are proved",
                       "nvidia-smi conf-compute -srs 1", area=Area.DEVICES)  # fmt: skip
    return ok(_READY, "the driver lets programs use them", area=Area.DEVICES)


def _switches(gpus: GpuFacts) -> Finding:
    seen = f"{gpus.switches_on_bus} on the bus"
    if gpus.mode is not None and not gpus.mode.protected_pcie:
        return absent(_SWITCHES, f"{seen}; GPUs in this mode are proved without them", area=Area.DEVICES)
    if not gpus.switches_on_bus:
        return missing(_SWITCHES, "GPUs over protected PCIe are proved with their switches, and none is here",
                       "have the host pass the switches to this machine too", area=Area.DEVICES)  # fmt: skip
    if gpus.switch_problem is not None:
        return missing(_SWITCHES, f"{seen}: {gpus.switch_problem[0]}", gpus.switch_problem[1], area=Area.DEVICES)
    return ok(_SWITCHES, f"{seen}, and NVIDIA's library asks them", area=Area.DEVICES)


def _counted(names: tuple[str, ...]) -> str:
    return ", ".join(f"{count} x {name}" for name, count in Counter(names).items()) or "no GPU"
