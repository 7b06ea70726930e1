"""Is this quote what a TDX module and Intel's quoting enclave said? The steps are those of `_dcap.verify`."""

from dataclasses import dataclass
from datetime import datetime

from sealroom.evidence import VERIFIED, Collateral, TrustRoots, Verified
from sealroom.tees._dcap.tcb_match import ModuleFacts
from sealroom.tees._dcap.verify import DcapVerdict, TdFacts, verify_quote
from sealroom.tees._remembered import Remembered, key_of
from sealroom.tees.tdx.layout import TdxEvidence

__all__ = ["VerifiedTdx", "verify"]


@dataclass(frozen=True, kw_only=True, eq=False)
class VerifiedTdx(Verified[TdxEvidence]):
    """An authentic quote of a TD, and what Intel says of its platform."""

    verdict: DcapVerdict

    # Two verdicts on one quote, by other collateral, are two: what is remembered of one is not true of the other.
    __eq__ = object.__eq__
    __hash__ = object.__hash__


_REMEMBERED: Remembered[VerifiedTdx] = Remembered(limit=256)


def verify(evidence: TdxEvidence, *, roots: TrustRoots, collateral: Collateral, at: datetime) -> VerifiedTdx:
    """Verify a TDX quote; the same quote with the same collateral again is the same verdict while its window lasts.

    Args:
        evidence: what `parse` read.
        roots: simulated roots that count beside Intel's own.
        collateral: ``tcb_info_response``, ``tcb_info_issuer_chain``, ``qe_identity_response``,
            ``qe_identity_issuer_chain``, ``pck_crl``, ``root_ca_crl``, and ``pck_crl_issuer_chain`` if there is one.
        at: the time to verify at, timezone-aware.

    Raises:
        MalformedError, UnverifiedError: as `verify_quote`.
    """
    key = key_of(evidence.raw, roots, collateral)
    return _REMEMBERED.answer(key, at, lambda: _verify(evidence, roots, collateral, at))


def _verify(evidence: TdxEvidence, roots: TrustRoots, collateral: Collateral, at: datetime) -> VerifiedTdx:
    report = evidence.report
    td = TdFacts(
        tee_tcb_svn=report.tee_tcb_svn,
        tee_tcb_svn_2=report.tee_tcb_svn_2,
        module=ModuleFacts(mr_signer=report.mr_signer_seam, attributes=report.seam_attributes),
    )
    verdict = verify_quote(evidence.quote, collateral=collateral, roots=roots, at=at, td=td)
    return VerifiedTdx(evidence=evidence, root=verdict.root, simulated=verdict.simulated, validity=verdict.validity,
                       verdict=verdict, warrant=VERIFIED)  # fmt: skip
