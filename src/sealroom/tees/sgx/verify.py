"""Is this quote what an enclave and Intel's quoting enclave said? The steps are those of `_dcap.verify`."""

from dataclasses import dataclass
from datetime import datetime

from sealroom.evidence import VERIFIED, Collateral, TrustRoots, Verified
from sealroom.tees._dcap.verify import DcapVerdict, verify_quote
from sealroom.tees._remembered import Remembered, key_of
from sealroom.tees.sgx.layout import SgxEvidence

__all__ = ["VerifiedSgx", "verify"]


@dataclass(frozen=True, kw_only=True, eq=False)
class VerifiedSgx(Verified[SgxEvidence]):
    """An authentic quote of an enclave, and what Intel says of its platform."""

    verdict: DcapVerdict

    # Two verdicts on one quote, by other collateral, are two: what is remembered of one is not true of the other.
    __eq__ = object.__eq__
    __hash__ = object.__hash__


_REMEMBERED: Remembered[VerifiedSgx] = Remembered(limit=256)


def verify(evidence: SgxEvidence, *, roots: TrustRoots, collateral: Collateral, at: datetime) -> VerifiedSgx:
    """Verify a SGX quote; the same quote with the same collateral again is the same verdict while its window lasts.

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


def _verify(evidence: SgxEvidence, roots: TrustRoots, collateral: Collateral, at: datetime) -> VerifiedSgx:
    verdict = verify_quote(evidence.quote, collateral=collateral, roots=roots, at=at, td=None)
    return VerifiedSgx(evidence=evidence, root=verdict.root, simulated=verdict.simulated, validity=verdict.validity,
                       verdict=verdict, warrant=VERIFIED)  # fmt: skip
