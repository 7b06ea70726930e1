"""What a verified GPU or switch says, in the words that every TEE shares.

Flags are the facts that a policy has to see because they can weaken what the report promises:

    sample_nonce              the nonce is the constant of NVIDIA's samples: a recording answers it as well
    reference_values_missing  not every measurement that could be compared was (`driver`, `vbios` in the details)
    revocation_not_checked    for a certificate that NVIDIA answers for, no answer came
    certificate_hold          a certificate is suspended
    fwid_missing              firmware that does not name itself in the report (driver 535)
    opaque_version_unknown    the device describes itself in a way that this release does not know
    nvdec0_unknown            NVDEC0's status is neither on nor off
    protected_pcie            the device works with others over protected PCIe, and is to be judged with them
    devtools                  NVIDIA's service says that the device can be looked into (a report says it only by
                              measurements that no reference values have)

Measurements are named ``m00`` to ``m63``, by the index of the reference values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from sealroom.errors import MisuseError
from sealroom.evidence import CLAIMED, Claims, Evidence, Tee, Verified
from sealroom.tees.nvidia.layout import NvidiaReport
from sealroom.tees.nvidia.opaque import DISABLED, ENABLED
from sealroom.tees.nvidia.standing import Standing
from sealroom.tees.nvidia.verify import VerifiedAnswer, VerifiedNvidia

__all__ = ["SAMPLE_NONCE", "claims"]

SAMPLE_NONCE = bytes.fromhex("931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb")
"""NVIDIA's sample scripts use it (NVIDIA/nvtrust issues 99 and 144 show people attesting with it)."""

_NAMES = tuple([f"m{index:02d}" for index in range(255)])
_GENERATIONS = {"GH": "hopper", "GB": "blackwell", "LS": "ls10"}
"""By how the name of a model begins, in what the service says."""
_KNOWN_OPAQUE_VERSIONS = (None, 0, 1)
_MODES = {0: "single", 1: "multi", 2: "protected-pcie"}


def claims(verified: Verified[Evidence]) -> Claims:
    """Translate ``verified``.

    Raises:
        MisuseError: ``verified`` is not a GPU's or switch's evidence.
    """
    if isinstance(verified, VerifiedAnswer):
        return _of_answer(verified)
    if not isinstance(verified, VerifiedNvidia):
        raise MisuseError("nvidia.other-tee", "this is no verified GPU report", got=type(verified).__name__)
    said, nonce = _said(verified.standing), verified.evidence.request_nonce
    return Claims(
        tee=Tee.NVIDIA,
        hardware_model=verified.device.hwmodel,
        measurements=said.measurements,
        report_data=nonce,
        tcb={},
        debug=False,  # what a developer's mode changes is in the measurements, which no RIM then has
        migratable=False,
        tcb_status=None,
        tcb_date=None,
        advisories=(),
        flags=said.flags | {"sample_nonce"} if nonce == SAMPLE_NONCE else said.flags,
        signer="FMC",
        device_id=said.device_id,
        details=said.details,
        root=verified.root,
        simulated=verified.simulated,
        validity=verified.validity,
        warrant=CLAIMED,
    )


@dataclass(frozen=True, slots=True)
class _Said:
    """What claims are made of, but for the nonce."""

    measurements: Mapping[str, bytes]
    flags: frozenset[str]
    details: Mapping[str, str | int]
    device_id: bytes


@lru_cache(maxsize=64)
def _said(standing: Standing) -> _Said:
    """A pure function of a verdict, which is equal to itself alone."""
    serial = standing.device.serial
    return _Said(
        measurements={_NAMES[index]: value for index, value in standing.report.measurements.items()},
        flags=_flags(standing),
        details=_details(standing),
        device_id=serial.to_bytes((serial.bit_length() + 7) // 8 or 1, "big"),
    )


def _of_answer(verified: VerifiedAnswer) -> Claims:
    """No report, hence no measurements: the service compared them, and says that all are as released."""
    device = verified.device
    family = device.hwmodel.split(" ")[0].upper()
    opened = device.debug_status != "disabled" or device.secure_boot is False
    facts = {
        "sample_nonce": verified.nonce == SAMPLE_NONCE,
        "certificate_hold": bool(device.on_hold),
        "revocation_not_checked": not device.revocation_checked and not device.on_hold,
        "devtools": opened and not device.is_switch,
    }
    details: dict[str, str | int | None] = {
        "architecture": next((name for start, name in _GENERATIONS.items() if family.startswith(start)), "unknown"),
        "kind": "switch" if device.is_switch else "gpu",
        "ueid": device.ueid,
        "driver_version": device.driver_version,
        "vbios_version": device.vbios_version,
        "debug_status": device.debug_status,
        "warning": device.warning,
    }
    return Claims(
        tee=Tee.NVIDIA, hardware_model=device.hwmodel, measurements={}, report_data=verified.nonce, tcb={},
        debug=facts["devtools"], migratable=False, tcb_status=None, tcb_date=None, advisories=(),
        flags=frozenset(name for name, holds in facts.items() if holds), signer="NRAS",
        device_id=_serial(device.ueid), details={name: value for name, value in details.items() if value is not None},
        root=verified.root, simulated=verified.simulated, validity=verified.validity, warrant=CLAIMED,
    )  # fmt: skip


def _serial(ueid: str) -> bytes:
    """As it is made of a leaf's serial number, so that one device has one name whoever speaks of it."""
    if not (ueid.isascii() and ueid.isdigit() and len(ueid) <= 60):
        return ueid.encode()
    number = int(ueid)
    return number.to_bytes((number.bit_length() + 7) // 8 or 1, "big")


def _flags(standing: Standing) -> frozenset[str]:
    """All but ``sample_nonce``."""
    report, switch = standing.report, standing.device.is_switch
    facts = {
        "reference_values_missing": bool(standing.references.missing),
        "revocation_not_checked": bool(standing.revocation.unanswered),
        "certificate_hold": bool(standing.revocation.on_hold),
        "fwid_missing": report.fwid is None and not switch,
        "opaque_version_unknown": report.opaque_version not in _KNOWN_OPAQUE_VERSIONS,
        "nvdec0_unknown": report.nvdec0_status not in {ENABLED, DISABLED} and not switch,
        "protected_pcie": report.protected_pcie,
    }
    return frozenset(name for name, holds in facts.items() if holds)


def _details(standing: Standing) -> dict[str, str | int]:
    report, device, references, revocation = (
        standing.report, standing.device, standing.references, standing.revocation
    )  # fmt: skip
    details: dict[str, str | int | None] = {
        "architecture": device.architecture,
        "kind": "switch" if device.is_switch else "gpu",
        "ueid": str(device.serial),
        "driver_version": report.driver_version,
        "vbios_version": report.vbios_version,
        "project": report.project,
        "project_sku": report.project_sku,
        "chip_sku": report.chip_sku,
        "chip_info": report.chip_info,
        "fwid": None if report.fwid is None else report.fwid.hex(),
        "opaque_data_version": report.opaque_version,
        "feature_flag": report.feature_flag,
        "mode": _mode(report),
        "pdi": None if device.pdi is None else device.pdi.hex(),
        "driver_rim": references.driver_rim,
        "vbios_rim": references.vbios_rim,
        "measurements_compared": references.compared,
        "revocation": "checked" if not revocation.unanswered else "incomplete",
        "certificates_checked": revocation.checked,
        **_links(report, switch=device.is_switch),
    }
    return {name: value for name, value in details.items() if value is not None}


def _mode(report: NvidiaReport) -> str | None:
    """How the device shares a machine; older firmware says only whether it is protected PCIe."""
    if report.feature_flag is not None:
        return _MODES.get(report.feature_flag, f"unknown {report.feature_flag}")
    if report.protected_pcie_status is None:
        return None
    return "protected-pcie" if report.protected_pcie else "single"


def _links(report: NvidiaReport, *, switch: bool) -> dict[str, str]:
    """Who is at the other ends: of a GPU's links the switches (turned round, since a GPU writes them reversed), of a
    switch's ports the GPUs. Zero stands for a link that nobody is on."""
    if switch:
        named = {pdi.hex() for pdi in report.gpu_pdis if any(pdi)}
        own = {"own_pdi": report.switch_pdis[0].hex()} if report.switch_pdis else {}
    else:
        named = {pdi[::-1].hex() for pdi in report.switch_pdis if any(pdi)}
        own = {}
    return own | ({"linked": " ".join(sorted(named))} if named else {})
