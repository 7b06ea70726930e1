"""Benches that all tests here share (an RSA-4096 key takes a second), and the verification of what is made there."""

from sealroom.errors import SealroomError
from sealroom.evidence import Claims, Tee, TrustRoots
from sealroom.tees import azure_vtpm
from sealroom.testing.azure_cases import AzureBench, CloudCase
from sealroom.testing.azure_maa_cases import MaaBench

BENCHES = {tee: AzureBench.create(tee) for tee in (Tee.SNP, Tee.TDX)}
TOKENS = MaaBench()


def judged(case: CloudCase) -> Claims:
    """Parse, verify and translate, under the case's own roots."""
    roots = TrustRoots(insecure_simulated=case.roots)
    verified = azure_vtpm.verify(azure_vtpm.parse(case.raw), roots=roots, collateral=case.collateral, at=case.at)
    return azure_vtpm.claims(verified)


def code_of(case: CloudCase) -> str | None:
    """Of the refusal; None if it is accepted."""
    try:
        judged(case)
    except SealroomError as refusal:
        return refusal.code
    return None
