"""Runs NVIDIA vectors: reports with chains and reference values, several devices, RIMs and tokens alone.

How far a case goes stands in its ``level``, whose first word counts: ``authenticity``, ``authenticity+topology``,
``full-appraisal``, ``rim-only``, ``format``. What the evidence is, its own bytes say.
"""

import hmac
from collections.abc import Mapping
from datetime import datetime

from cryptography.x509 import load_der_x509_certificate

from sealroom.errors import SealroomError, UnavailableError, UnverifiedError
from sealroom.evidence import Collateral, TrustRoots
from sealroom.tees import nvidia
from sealroom.tees.nvidia.appraisal import facts_of
from sealroom.tees.nvidia.certificates import DeviceIdentity, verify_device
from sealroom.tees.nvidia.envelope import report_bytes
from sealroom.tees.nvidia.opaque import OpaqueType
from sealroom.tees.nvidia.reference_values import compare
from sealroom.tees.nvidia.rim import RIM_ROOTS, read_rim, verify_rim
from sealroom.testing.conformance_nvidia_files import CaseFiles, rim_document, with_own_roots
from sealroom.testing.conformance_nvidia_set import run_set
from sealroom.testing.conformance_nvidia_token import is_token, run_token
from sealroom.testing.outcome import Outcome, UnsupportedCaseError
from sealroom.testing.vector_store import VectorCase
from sealroom.x509_reader import Certificate

__all__ = ["run"]

_LEVELS = {"authenticity", "authenticity+topology", "full-appraisal", "rim-only", "format"}
_CARRIED_UNNAMED = frozenset({OpaqueType.SWITCH_GPU_PDIS})
"""Types that have no name in NVIDIA's own table, and are given by number."""


def run(case: VectorCase, roots: TrustRoots) -> Outcome:
    """``nvidia``, by level."""
    level = _level(case)
    roots = with_own_roots(case, roots)
    first = case.evidence.lstrip()[:1]
    if level == "rim-only":
        return _run_rim(case, roots)
    if is_token(case.evidence):
        return run_token(case, roots, form_only=level == "format")
    if level == "format" and (first == b"<" or (first == b"{" and b'"rim"' in case.evidence)):
        return _run_rim_form(case)
    if first in {b"[", b"{"}:
        return run_set(case, roots, closed=level == "authenticity+topology", full=level == "full-appraisal",
                       require_nonce=lambda claims: _require_nonce(case, claims.report_data))  # fmt: skip
    return _run_report(case, roots, level)


def _level(case: VectorCase) -> str:
    text = str(case.collateral.get("level", "authenticity"))
    level = text.replace(";", " ").replace(",", " ").split()[0] if text.strip() else ""
    if level not in _LEVELS:
        raise UnsupportedCaseError(f"a level that is not known: {text}")
    return level


def _run_report(case: VectorCase, roots: TrustRoots, level: str) -> Outcome:
    evidence = nvidia.parse_report(report_bytes(case.evidence))
    fields = _fields(evidence)
    try:
        if level == "format":
            _require_nonce(case, evidence.report.request_nonce)
            return Outcome(fields=fields)
        return _judged(case, roots, evidence, fields, full=level == "full-appraisal")
    except UnavailableError:  # a file is not there, which says nothing of the evidence
        raise
    except SealroomError as refusal:
        return Outcome(refusal=refusal, fields=fields)


def _judged(
    case: VectorCase, roots: TrustRoots, evidence: nvidia.NvidiaEvidence, fields: dict[str, object], *, full: bool
) -> Outcome:
    """``fields`` grows as facts become known, since a refusal is compared with them too."""
    files = CaseFiles(case, roots)
    device = verify_device(Collateral(items=files.items(None, full=False)), roots=roots, at=case.verify_at)
    fields |= _device_fields(evidence, device)
    items = files.items(facts_of(evidence.report, device), full=full)
    fields |= _compared(items, evidence, device) if full else {}
    verified = nvidia.verify(evidence, roots=roots, collateral=Collateral(items=items), at=case.verify_at)
    claims = nvidia.claims(verified)
    _require_nonce(case, claims.report_data)
    _require_complete(verified, full=full)
    fields |= {"report_authentic": True} | (_windows(items, roots, case.verify_at) if full else {})
    return Outcome(simulated=claims.simulated, flags=claims.flags, fields=fields, claims=claims)


def _require_complete(verified: nvidia.VerifiedNvidia, *, full: bool) -> None:
    if full and verified.references.missing:
        raise UnverifiedError("nvidia.no-reference-values", "reference values are missing",
                              got=", ".join(verified.references.missing))  # fmt: skip


def _compared(
    items: Mapping[str, bytes], evidence: nvidia.NvidiaEvidence, device: DeviceIdentity
) -> dict[str, object]:
    """How the measurements compare with what the RIMs say, whether or not these are authentic."""
    driver, vbios = (read_rim(items[name]) if name in items else None for name in ("driver_rim", "vbios_rim"))
    comparison = compare(
        evidence.report.measurements, driver=driver, vbios=vbios, facts=facts_of(evidence.report, device)
    )
    return {
        "golden_compared": comparison.compared + len(comparison.skipped),
        "mismatched_indices": sorted((mismatch.index for mismatch in comparison.mismatches), key=str),
        "rim_colloquialVersion": None if vbios is None else vbios.version,
    }


def _fields(evidence: nvidia.NvidiaEvidence) -> dict[str, object]:
    report = evidence.report
    return {
        "report_len": len(evidence.raw),
        "request_nonce": report.request_nonce.hex(),
        "responder_nonce": report.responder_nonce.hex(),
        "slot": report.slot,
        "blocks": report.block_count,
        "record_len": report.record_size,
        "driver_version": report.driver_version,
        "vbios_version": report.vbios_version,
        "project": report.project,
        "project_sku": report.project_sku,
        "chip_sku": report.chip_sku,
        "chip_info": report.chip_info,
        "nvdec0_status": _status(report.nvdec0_status),
        "protected_pcie_status": _status(report.protected_pcie_status),
        "opaque_data_version": report.opaque_version,
        "feature_flag": report.feature_flag,
        "sys_enable_status": _hex(report.opaque.items.get(OpaqueType.SYS_ENABLE_STATUS)),
        "fwid": _hex(report.fwid),
        "switch_pdis": [pdi.hex() for pdi in report.switch_pdis],
        "gpu_pdis": [pdi.hex() for pdi in report.gpu_pdis],
        "opaque_types": [_type_name(kind) for kind in report.opaque.items],
    }


def _device_fields(evidence: nvidia.NvidiaEvidence, device: DeviceIdentity) -> dict[str, object]:
    leaf, facts = device.certificates[0], facts_of(evidence.report, device)
    named = [oid for oid in ("2.23.133.5.4.1", "2.23.133.5.4.1.1") if oid in leaf.extensions]
    return {
        "fwid_in_leaf_extension": named[0] if named and evidence.report.fwid is not None else None,
        "leaf_cn": str(leaf.subject),
        "hwmodel": device.hwmodel,
        "architecture": device.architecture,
        "pdi": _hex(device.pdi),
        "driver_rim_id": None if device.is_switch else facts.driver_rim_id,
        "vbios_rim_id": facts.vbios_rim_id,
        "ueid_leaf_serial_decimal": str(device.serial),
    }


def _windows(items: Mapping[str, bytes], roots: TrustRoots, at: datetime) -> dict[str, object]:
    found: dict[str, object] = {}
    common = None
    for name in ("driver_rim", "vbios_rim"):
        if name in items:
            rim = verify_rim(items[name], anchors=frozenset(RIM_ROOTS) | roots.insecure_simulated, at=at)
            signer = rim.certificates[0].validity
            found[f"{name}_signer_window"] = [day.date().isoformat() for day in (signer.not_before, signer.not_after)]
            common = rim.validity if common is None else common.meet(rim.validity)
    if common is not None:
        found["valid_window_for_all_rim_certs"] = [_zulu(common.not_before), _zulu(common.not_after)]
    return found


def _zulu(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _require_nonce(case: VectorCase, got: bytes) -> None:
    wanted = case.collateral.get("expected_nonce")
    if wanted is not None and not hmac.compare_digest(got, bytes.fromhex(str(wanted))):
        raise UnverifiedError("nvidia.nonce", "the report answers another nonce", got=got.hex(),
                              expected=str(wanted))  # fmt: skip


def _run_rim(case: VectorCase, roots: TrustRoots) -> Outcome:
    document = rim_document(case.evidence)
    fields = _rim_fields(document)
    try:
        verified = verify_rim(document, anchors=frozenset(RIM_ROOTS) | roots.insecure_simulated, at=case.verify_at)
    except SealroomError as refusal:
        return Outcome(refusal=refusal, fields=fields)
    fields |= {
        "signed_info_signature": True, "reference_digest": True, "chain_errors": [],
        "signer_subjects": [_rfc4514(certificate) for certificate in verified.certificates],
    }  # fmt: skip
    return Outcome(simulated=verified.root not in RIM_ROOTS, fields=fields)


def _run_rim_form(case: VectorCase) -> Outcome:
    return Outcome(fields=_rim_fields(rim_document(case.evidence)))


def _rim_fields(document: bytes) -> dict[str, object]:
    rim = read_rim(document)
    return {
        "colloquialVersion": rim.version, "product": rim.product, "edition": rim.edition,
        "active_measurements": len(rim.measurements), "active_indices": sorted(rim.measurements),
    }  # fmt: skip


def _rfc4514(certificate: Certificate) -> str:
    return load_der_x509_certificate(certificate.der).subject.rfc4514_string()


def _type_name(kind: int) -> str | int:
    return OpaqueType(kind).name if kind in set(OpaqueType) - _CARRIED_UNNAMED else kind


def _status(value: int | None) -> str | None:
    return None if value is None else f"{value:02x}"


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()
