"""Runs vectors of several devices: each by itself, and all of them together as parts of one machine."""

from collections.abc import Callable, Sequence

from sealroom.errors import SealroomError, UnverifiedError
from sealroom.evidence import Claims, Collateral, TrustRoots
from sealroom.tees import nvidia
from sealroom.tees.nvidia.appraisal import facts_of
from sealroom.tees.nvidia.certificates import verify_device
from sealroom.tees.nvidia.envelope import DeviceRecord
from sealroom.tees.nvidia.layout import parse_report
from sealroom.tees.nvidia.topology import problems
from sealroom.testing.conformance_nvidia_files import CaseFiles
from sealroom.testing.outcome import Outcome
from sealroom.testing.vector_store import VectorCase

__all__ = ["run_set"]

_OF_ANY_SET = ("here twice", "different nonces")
"""How problems read that no set of devices may have; a part of a machine is no forgery."""


def run_set(
    case: VectorCase, roots: TrustRoots, *, closed: bool, full: bool, require_nonce: Callable[[Claims], None]
) -> Outcome:
    """Every device of the case's envelopes.

    Args:
        case: the vector.
        roots: what to trust.
        closed: whether all of them have to name each other.
        full: whether measurements are compared.
        require_nonce: raises unless a device answers the nonce that was asked for.
    """
    files = CaseFiles(case, roots)
    devices = [_device(record, files, case, roots, full=full) for record in files.records()]
    distinct: dict[str, object] = {"distinct_devices": len({device.device_id for device in devices})}
    try:
        for device in devices:
            require_nonce(device)
        _require_set(case, devices, closed=closed)
    except SealroomError as refusal:
        return Outcome(refusal=refusal, fields=distinct)
    return Outcome(
        simulated=any(device.simulated for device in devices),
        flags=frozenset[str]().union(*(device.flags for device in devices)),
        fields=distinct | _fields(devices),
        claims=devices[0] if len(devices) == 1 else None,
    )


def _fields(devices: Sequence[Claims]) -> dict[str, object]:
    gpus, switches = _of_kind(devices, "gpu"), _of_kind(devices, "switch")
    return {
        "devices": len(devices), "gpus": len(gpus), "switches": len(switches),
        "ueids": _all(devices, "ueid"), "gpu_ueids": _all(gpus, "ueid"), "switch_ueids": _all(switches, "ueid"),
        "gpu_pdis": _all(gpus, "pdi"), "switch_pdis": _all(switches, "pdi"), "pdis": _all(devices, "pdi"),
        "hwmodels": [device.hardware_model for device in devices],
        "request_nonce": devices[0].report_data.hex(),
        **{name: _shared(devices, name) for name in ("driver_version", "opaque_data_version", "feature_flag")},
        "vbios_version": _shared(gpus or switches, "vbios_version"),
        "switch_vbios_version": _shared(switches, "vbios_version"),
    }  # fmt: skip


def _of_kind(devices: Sequence[Claims], kind: str) -> list[Claims]:
    return [device for device in devices if device.details["kind"] == kind]


def _all(devices: Sequence[Claims], name: str) -> list[object]:
    return [device.details.get(name) for device in devices]


def _shared(devices: Sequence[Claims], name: str) -> object:
    """What all say that say something; None: they differ, or nobody does."""
    said = {device.details.get(name) for device in devices} - {None}
    return said.pop() if len(said) == 1 else None


def _require_set(case: VectorCase, devices: Sequence[Claims], *, closed: bool) -> None:
    found = problems(devices)
    if not closed:
        found = tuple(problem for problem in found if any(word in problem for word in _OF_ANY_SET))
    if found:
        raise UnverifiedError("nvidia.topology", "; ".join(found)[:400])
    policy = case.collateral.get("policy")
    for kind in ("gpu", "switch"):
        wanted = policy.get(f"expected_{kind}_count") if isinstance(policy, dict) else None
        got = len(_of_kind(devices, kind))
        if wanted not in {None, got}:
            raise UnverifiedError("nvidia.count", f"another number of devices of the kind {kind}", got=got,
                                  expected=wanted)  # fmt: skip


def _device(record: DeviceRecord, files: CaseFiles, case: VectorCase, roots: TrustRoots, *, full: bool) -> Claims:
    evidence = parse_report(record.report)
    chain = Collateral(items={"cert_chain": record.cert_chain})
    facts = None
    if full:
        device = verify_device(chain, roots=roots, at=case.verify_at)
        facts = facts_of(evidence.report, device)
    items = files.items(facts, full=full) | dict(chain.items)
    verified = nvidia.verify(evidence, roots=roots, collateral=Collateral(items=items), at=case.verify_at)
    if full and verified.references.missing:
        raise UnverifiedError("nvidia.no-reference-values", "reference values are missing",
                              got=", ".join(verified.references.missing))  # fmt: skip
    return nvidia.claims(verified)
