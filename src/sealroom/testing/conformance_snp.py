"""Runs SNP vectors: reports with their certificates, and certificate chains alone."""

from sealroom.evidence import Collateral, TrustRoots
from sealroom.tees import snp
from sealroom.tees.snp.certificates import verify_endorsement
from sealroom.tees.snp.layout import layout_of
from sealroom.testing.outcome import Outcome, UnsupportedCaseError
from sealroom.testing.vector_store import VectorCase

__all__ = ["run_certificates", "run_report"]

_SPL_NAMES = {"bootloader": "blSPL", "tee": "teeSPL", "snp": "snpSPL", "microcode": "ucodeSPL", "fmc": "fmcSPL"}
_COLLATERAL = frozenset({"leaf", "chain", "crl"})


def run_report(case: VectorCase, roots: TrustRoots) -> Outcome:
    """``snp-report-vN``: parse, verify, claims."""
    raw = case.evidence
    collateral = _collateral(case)
    evidence = snp.parse(raw)
    verified = snp.verify(evidence, roots=roots, collateral=collateral, at=case.verify_at)
    claims = snp.claims(verified)
    return Outcome(
        simulated=claims.simulated,
        tcb_status=claims.tcb_status,
        flags=claims.flags,
        fields=_fields(raw, verified),
        claims=claims,
    )


def run_certificates(case: VectorCase, roots: TrustRoots) -> Outcome:
    """``snp-cert-chain``: the evidence is the leaf."""
    items = {**_collateral(case).items, "leaf": case.evidence}
    endorsement = verify_endorsement(Collateral(items=items), roots=roots, at=case.verify_at)
    parts = {_SPL_NAMES[part]: version for part, version in endorsement.tcb.items()}
    return Outcome(
        simulated=endorsement.simulated,
        fields={
            **parts,
            "hwID": None if endorsement.hardware_id is None else endorsement.hardware_id.hex(),
            "cspID": endorsement.csp_id,
            "product": endorsement.product.value,
            "signing_key": endorsement.kind.name,
        },
    )


def _collateral(case: VectorCase) -> Collateral:
    entries = case.collateral
    if unknown := set(entries) - _COLLATERAL:
        raise UnsupportedCaseError(f"collateral that is not understood: {', '.join(sorted(unknown))}")
    return Collateral(items={name: case.file(path) for name, path in entries.items()})


def _fields(raw: bytes, verified: snp.VerifiedSnp) -> dict[str, object]:
    """The report's fields under the names, and in the spelling, of the vectors."""
    values = layout_of(raw).parse(raw)
    fields: dict[str, object] = {
        name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()
    }
    # what a version does not have is reserved, and so zero
    absent = {"cpuid_fam": 0, "cpuid_mod": 0, "cpuid_step": 0}
    absent_octets = {"launch_mit_vector": bytes(8).hex(), "current_mit_vector": bytes(8).hex()}
    fields = absent | absent_octets | fields
    for name in ("policy", "platform_info", "key_info"):
        fields[name] = hex(values.integer(name))
    for which in ("current", "committed"):
        major, minor, build = (values.integer(f"{which}_{part}") for part in ("major", "minor", "build"))
        fields[f"{which}_ver"] = f"{major}.{minor} build {build}"
    fields["author_key_en"] = values.integer("key_info") & 1
    fields["mask_chip_key"] = values.integer("key_info") >> 1 & 1
    fields["signing_key"] = verified.signing_key.name
    for kind, parts in verified.tcb.items():
        fields[f"{kind}_tcb_fields"] = dict(parts)
    return fields
