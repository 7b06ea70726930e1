"""Runs NVIDIA vectors: reports with chains and reference values, several devices, RIMs and tokens alone.

How far a case goes stands in its ``level``: ``authenticity``, ``authenticity+topology``, ``full-appraisal``,
``rim-only``, ``format``.
"""

import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from cryptography.x509 import load_der_x509_certificate

from sealroom.errors import MalformedError, SealroomError, UnverifiedError
from sealroom.evidence import Claims, Collateral, TrustRoots
from sealroom.jose import parse_jwt, read_jwks, require_times
from sealroom.tees import nvidia
from sealroom.tees.nvidia.appraisal import facts_of
from sealroom.tees.nvidia.certificates import DeviceIdentity, verify_device
from sealroom.tees.nvidia.detached_eat import read_detached_eat
from sealroom.tees.nvidia.nras import verify_nras
from sealroom.tees.nvidia.opaque import OpaqueType
from sealroom.tees.nvidia.reference_values import compare
from sealroom.tees.nvidia.rim import RIM_ROOTS, read_rim, verify_rim
from sealroom.tees.nvidia.topology import problems
from sealroom.testing.outcome import Outcome, UnsupportedCaseError
from sealroom.testing.vector_store import VectorCase
from sealroom.x509_reader import Certificate

__all__ = ["run"]

_LEVELS = {"authenticity", "authenticity+topology", "full-appraisal"}
_ITEMS = ("cert_chain", "driver_rim", "vbios_rim", "ocsp")
_CARRIED_UNNAMED = frozenset({OpaqueType.SWITCH_GPU_PDIS})
"""Types that have no name in NVIDIA's own table, and are given by number."""


def run(case: VectorCase, roots: TrustRoots) -> Outcome:
    """``nvidia``, by level."""
    level = str(case.collateral.get("level", "authenticity"))
    if level == "rim-only":
        return _run_rim(case, roots)
    if level.startswith("format") or ("jwks" in case.collateral and case.evidence[:1] == b"["):
        return _run_token(case, roots)
    if level not in _LEVELS:
        raise UnsupportedCaseError(f"a level that is not known: {level}")
    if case.text("evidence").endswith(".json"):
        return _run_set(case, roots, level)
    return _run_report(case, roots, level)


def _run_report(case: VectorCase, roots: TrustRoots, level: str) -> Outcome:
    items = {name: case.file(case.collateral[name]) for name in _ITEMS if name in case.collateral}
    full = level == "full-appraisal"
    if not full:
        items = {name: value for name, value in items.items() if not name.endswith("_rim")}
    evidence = nvidia.parse_report(case.evidence)
    collateral = Collateral(items=items)
    fields = _fields(evidence)
    try:
        device = verify_device(collateral, roots=roots, at=case.verify_at)
        fields |= _device_fields(evidence, device)
        fields |= _compared(items, evidence, device) if full else {}
        verified = nvidia.verify(evidence, roots=roots, collateral=collateral, at=case.verify_at)
        claims = nvidia.claims(verified)
        _require_nonce(case, [claims])
        _require_complete(verified, full=full)
    except SealroomError as refusal:
        return Outcome(refusal=refusal, fields=fields)
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
        "opaque_types": [_type_name(kind) for kind in report.opaque.items],
    }


def _device_fields(evidence: nvidia.NvidiaEvidence, device: DeviceIdentity) -> dict[str, object]:
    leaf = device.certificates[0]
    named = [oid for oid in ("2.23.133.5.4.1", "2.23.133.5.4.1.1") if oid in leaf.extensions]
    return {
        "fwid_in_leaf_extension": named[0] if named and evidence.report.fwid is not None else None,
        "leaf_cn": str(leaf.subject),
        "hwmodel": device.hwmodel,
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


def _run_set(case: VectorCase, roots: TrustRoots, level: str) -> Outcome:
    devices = [_device(entry, roots, case.verify_at) for entry in _entries(case.evidence)]
    distinct = {"distinct_devices": len({device.device_id for device in devices})}
    try:
        _require_nonce(case, devices)
        _require_set(case, devices, closed="topology" in level)
    except SealroomError as refusal:
        return Outcome(refusal=refusal, fields=distinct)
    drivers = {device.details.get("driver_version") for device in devices} - {None}
    gpus = [device for device in devices if device.details["kind"] == "gpu"]
    return Outcome(
        simulated=any(device.simulated for device in devices),
        flags=frozenset().union(*(device.flags for device in devices)),
        fields=distinct
        | {
            "gpus": len(gpus),
            "switches": len(devices) - len(gpus),
            "ueids": [device.details["ueid"] for device in devices],
            "driver_version": str(drivers.pop()) if len(drivers) == 1 else None,
        },
    )


def _require_set(case: VectorCase, devices: list[Claims], *, closed: bool) -> None:
    found = problems(devices)
    if not closed:  # a part of a machine is no forgery
        found = tuple(problem for problem in found if "twice" in problem or "nonce" in problem)
    if found:
        raise UnverifiedError("nvidia.topology", "; ".join(found)[:400])
    policy = case.collateral.get("policy")
    wanted = policy.get("expected_gpu_count") if isinstance(policy, dict) else None
    if wanted not in {None, len([device for device in devices if device.details["kind"] == "gpu"])}:
        raise UnverifiedError("nvidia.count", "another number of GPUs", got=len(devices), expected=wanted)


def _entries(raw: bytes) -> list[Mapping[str, Any]]:
    try:
        entries = json.loads(raw)
    except (ValueError, RecursionError):
        raise MalformedError("nvidia.evidence-list", "the list of devices is no JSON") from None
    if isinstance(entries, dict):
        entries = next((value for value in entries.values() if isinstance(value, list)), None)
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise MalformedError("nvidia.evidence-list", "the evidence is no list of devices")
    return entries


def _device(entry: Mapping[str, Any], roots: TrustRoots, at: datetime) -> Claims:
    try:
        raw, chain = (base64.b64decode(entry[name], validate=True) for name in ("evidence", "certificate"))
    except (KeyError, TypeError, binascii.Error, ValueError):
        raise MalformedError("nvidia.evidence-list", "a device lacks its evidence or certificates") from None
    collateral = Collateral(items={"cert_chain": chain})
    return nvidia.claims(nvidia.verify(nvidia.parse(raw), roots=roots, collateral=collateral, at=at))


def _require_nonce(case: VectorCase, devices: list[Claims]) -> None:
    wanted = case.collateral.get("expected_nonce")
    if wanted is None:
        return
    for device in devices:
        if not hmac.compare_digest(device.report_data, bytes.fromhex(str(wanted))):
            raise UnverifiedError("nvidia.nonce", "the report answers another nonce", got=device.report_data.hex(),
                                  expected=str(wanted))  # fmt: skip


def _run_rim(case: VectorCase, roots: TrustRoots) -> Outcome:
    rim = read_rim(case.evidence)
    fields: dict[str, object] = {
        "colloquialVersion": rim.version, "product": rim.product, "edition": rim.edition,
        "active_measurements": len(rim.measurements),
    }  # fmt: skip
    try:
        verified = verify_rim(
            case.evidence, anchors=frozenset(RIM_ROOTS) | roots.insecure_simulated, at=case.verify_at
        )
    except SealroomError as refusal:
        return Outcome(refusal=refusal, fields=fields)
    fields |= {
        "signed_info_signature": True, "reference_digest": True, "chain_errors": [],
        "signer_subjects": [_rfc4514(certificate) for certificate in verified.certificates],
    }  # fmt: skip
    return Outcome(simulated=verified.root not in RIM_ROOTS, fields=fields)


def _rfc4514(certificate: Certificate) -> str:
    return load_der_x509_certificate(certificate.der).subject.rfc4514_string()


def _run_token(case: VectorCase, roots: TrustRoots) -> Outcome:
    """An answer of NVIDIA's service: under the key set that the case brings; its form alone if it brings none."""
    fields = _claimed(case.evidence)
    try:
        eat = read_detached_eat(case.evidence)
        fields["submod_digest_matches"] = True
        if "jwks" in case.collateral:
            simulated = _verify_token(case, roots)
        else:
            simulated = False
            require_times(eat.overall.claims, at=case.verify_at, area="nvidia")
    except SealroomError as refusal:
        if refusal.code == "nvidia.nras-submodule-digest":
            fields["submod_digest_matches"] = False
        return Outcome(refusal=refusal, fields=fields)
    return Outcome(simulated=simulated, fields=fields)


def _verify_token(case: VectorCase, roots: TrustRoots) -> bool:
    """Whoever made the case is the relying party, and its key set the one that it trusts."""
    jwks, nonce = case.file(case.collateral["jwks"]), case.collateral.get("expected_nonce")
    trusted = frozenset(key.spki_sha256 for key in read_jwks(jwks, area="nvidia"))
    roots = replace(roots, token_signers=roots.token_signers | trusted)
    wanted = None if nonce is None else bytes.fromhex(str(nonce))
    return verify_nras(case.evidence, jwks=jwks, roots=roots, nonce=wanted, at=case.verify_at).simulated


def _claimed(raw: bytes) -> dict[str, object]:
    """What the overall token says, if there is one to read; a refusal may speak of it too."""
    try:
        document = json.loads(raw)
        token = parse_jwt(str(document[0][1]), area="nvidia")
    except (ValueError, RecursionError, LookupError, TypeError, SealroomError):
        return {}
    return {
        "overall_alg": token.alg,
        "claims_version": token.claims.get("x-nvidia-ver"),
        "eat_nonce": token.claims.get("eat_nonce"),
    }


def _type_name(kind: int) -> str | int:
    return OpaqueType(kind).name if kind in set(OpaqueType) - _CARRIED_UNNAMED else kind


def _status(value: int | None) -> str | None:
    return None if value is None else f"{value:02x}"


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()
