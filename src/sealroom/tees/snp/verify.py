"""Is this report what AMD's silicon said? (AMD 56860 section 7.3, 57230; the order of steps is ours.)"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from sealroom.errors import UnverifiedError
from sealroom.evidence import VERIFIED, Collateral, TrustRoots, Validity, Verified
from sealroom.tees.snp.certificates import Endorsement, verify_endorsement
from sealroom.tees.snp.layout import REPORT, SigningKey, SnpEvidence, SnpReport
from sealroom.tees.snp.tcb import Product, product_of_cpuid, read_tcb

__all__ = ["VerifiedSnp", "verify"]

_ECDSA = ec.ECDSA(hashes.SHA384())


@dataclass(frozen=True, kw_only=True)
class VerifiedSnp(Verified[SnpEvidence]):
    """An authentic report, and what only its certificate could tell."""

    product: Product
    signing_key: SigningKey
    csp_id: str | None
    revocation: Validity | None
    """The window of the revocation list that was looked at; None if none came with the evidence."""
    chip_id: bytes | None
    """As certificate and report both say; None if the report masks it, and for a VLEK, which belongs to no chip."""
    tcb: Mapping[str, Mapping[str, int]] = field(repr=False)
    """``current``, ``reported``, ``committed``, ``launch``, each by part."""


def verify(evidence: SnpEvidence, *, roots: TrustRoots, collateral: Collateral, at: datetime) -> VerifiedSnp:
    """Verify that ``evidence`` was signed by a genuine key of the platform that it describes.

    0. Length, version, reserved bytes, signature algorithm and guest policy's fixed bits: done by `layout.parse`.
    1. The leaf in the collateral leads to a pinned root (or a simulated one that ``roots`` names), every window
       contains ``at``, and nothing is revoked: `certificates.verify_endorsement`.
    2. The report says that it was signed by the kind of key that the leaf is.
    3. The report's CPUID, from version 3 on, is of the product that the issuers are for. A version 2 report names no
       product; its issuer's is taken.
    4. The signature over bytes 0 to 0x29F holds under the leaf's key.
    5. The leaf's TCB version is REPORTED_TCB, part by part and exactly. Not CURRENT_TCB, which may be ahead of it.
    6. A VCEK's hardware id is CHIP_ID, all 64 bytes (Turin: 8, and 56 of zero). A CHIP_ID of zero is masked: the
       report is authentic, and names no chip; `claims` says so, and a policy has to let it pass.

    Not checked here, because it is no question of authenticity: minimum TCB, measurement, report data, guest policy,
    VMPL. That is the policy's.

    Args:
        evidence: what `layout.parse` read.
        roots: simulated roots that count beside AMD's own.
        collateral: ``leaf``, ``chain``, and ``crl`` if there is one.
        at: the time to verify at, timezone-aware.

    Raises:
        MalformedError: a part of the collateral is not what it should be, or a TCB version has reserved bytes set.
        UnverifiedError: a step does not hold.
    """
    report = evidence.report
    # 1.
    endorsement = verify_endorsement(collateral, roots=roots, at=at)
    # 2.
    _require_same_kind(report, endorsement)
    # 3.
    _require_same_product(report, endorsement.product)
    # 4.
    _require_signature(evidence, endorsement.key)
    # 5.
    tcb = _tcb_versions(report, endorsement.product)
    _require_same_tcb(tcb["reported"], endorsement)
    # 6.
    chip_id = _chip_id(report, endorsement)
    return VerifiedSnp(
        evidence=evidence, root=endorsement.root, simulated=endorsement.simulated, validity=endorsement.validity,
        product=endorsement.product, signing_key=endorsement.kind, csp_id=endorsement.csp_id, chip_id=chip_id,
        revocation=endorsement.revocation, tcb=tcb, warrant=VERIFIED,
    )  # fmt: skip


def _require_same_kind(report: SnpReport, endorsement: Endorsement) -> None:
    if report.signing_key is not endorsement.kind:
        raise UnverifiedError(
            "snp.signing-key",
            "the report was signed by another kind of key than the certificate is for",
            where=REPORT.where("key_info"),
            got=report.signing_key.name,
            expected=endorsement.kind.name,
            hint="the collateral must hold the certificate of the key that signed this report",
        )


def _require_same_product(report: SnpReport, product: Product) -> None:
    if report.cpuid is None:
        return
    family, model, _ = report.cpuid
    named = product_of_cpuid(family, model)
    if named is not product:
        raise UnverifiedError("snp.product-mismatch", "the report's CPUID is of another product than its certificate",
                              where=REPORT.where("cpuid_fam"), got=named.value, expected=product.value)  # fmt: skip


def _require_signature(evidence: SnpEvidence, key: ec.EllipticCurvePublicKey) -> None:
    # r and s of zero or above the order are refused by the verification itself; a large s is as good as a small one
    signature = encode_dss_signature(evidence.report.signature_r, evidence.report.signature_s)
    try:
        key.verify(signature, evidence.signed, _ECDSA)
    except InvalidSignature:
        raise UnverifiedError(
            "snp.signature",
            "the report was not signed by the key in the certificate, or was changed since",
            where=REPORT.where("signature_r"),
            hint="fetch the evidence anew; if it stays so, the certificate is of another chip or TCB version",
        ) from None


def _tcb_versions(report: SnpReport, product: Product) -> Mapping[str, Mapping[str, int]]:
    raw = {
        "current": report.current_tcb,
        "reported": report.reported_tcb,
        "committed": report.committed_tcb,
        "launch": report.launch_tcb,
    }
    parts = {kind: read_tcb(product, value, REPORT.where(f"{kind}_tcb")) for kind, value in raw.items()}
    return MappingProxyType({kind: MappingProxyType(versions) for kind, versions in parts.items()})


def _require_same_tcb(reported: Mapping[str, int], endorsement: Endorsement) -> None:
    if reported != endorsement.tcb:
        raise UnverifiedError(
            "snp.tcb-mismatch",
            "the certificate is for another TCB version than the report's",
            where=REPORT.where("reported_tcb"),
            got=_written(reported),
            expected=_written(endorsement.tcb),
            hint="ask for the certificate of REPORTED_TCB",
        )


def _written(tcb: Mapping[str, int]) -> str:
    return " ".join(f"{part}={version}" for part, version in tcb.items())


def _chip_id(report: SnpReport, endorsement: Endorsement) -> bytes | None:
    if endorsement.hardware_id is None or not any(report.chip_id):
        return None
    if report.chip_id != endorsement.hardware_id.ljust(64, b"\x00"):
        raise UnverifiedError("snp.chip-id-mismatch", "the certificate is of another chip than the report",
                              where=REPORT.where("chip_id"), got=report.chip_id.hex(),
                              expected=endorsement.hardware_id.hex())  # fmt: skip
    return endorsement.hardware_id
