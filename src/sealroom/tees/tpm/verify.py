"""Is this quote what an enrolled TPM said?"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from sealroom.errors import UnverifiedError
from sealroom.evidence import VERIFIED, Collateral, TrustRoots, Validity, Verified
from sealroom.tees._tpm.quote import require_pcrs, require_signature
from sealroom.tees.tpm.layout import TpmEvidence
from sealroom.x509_chain import public_key_of

__all__ = ["VerifiedTpm", "verify"]

_ALWAYS = Validity(not_before=datetime(2000, 1, 1, tzinfo=UTC), not_after=datetime(2999, 12, 31, tzinfo=UTC))
"""A quote has no time of its own: freshness is the nonce's alone."""


@dataclass(frozen=True, kw_only=True)
class VerifiedTpm(Verified[TpmEvidence]):
    """An authentic quote."""


def verify(evidence: TpmEvidence, *, roots: TrustRoots, collateral: Collateral, at: datetime) -> VerifiedTpm:
    """Verify that ``evidence`` was quoted by a TPM whose attestation key was enrolled.

    0. Magic, type, sizes: done by `layout.parse`.
    1. The key is one that ``roots`` names by its fingerprint: the evidence brings the key, and no reason to trust it.
    2. The signature over the quote holds under it.
    3. The quote's digest is that of the PCRs that came.

    Raises:
        MalformedError, UnverifiedError: ``tpm.*``: a step does not hold.
    """
    del collateral, at
    quote = evidence.quote
    # 1.
    fingerprint = hashlib.sha256(quote.key).digest()
    simulated = fingerprint in roots.insecure_simulated
    if not simulated and fingerprint not in roots.device_keys:
        raise UnverifiedError("tpm.unknown-key", "nobody here has enrolled this TPM's attestation key",
                              got=f"sha256:{fingerprint.hex()}", expected="a key under [trust] device_keys",
                              hint="enrol it once, by another way than the evidence itself")  # fmt: skip
    # 2.
    require_signature(quote.message, quote.signature, public_key_of(quote.key))
    # 3.
    require_pcrs(quote.attest, quote.pcrs, quote.signature.digest)
    return VerifiedTpm(evidence=evidence, root=fingerprint, simulated=simulated, validity=_ALWAYS, warrant=VERIFIED)
