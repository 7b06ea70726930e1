"""Is this quote what an enrolled TPM said?"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from sealroom.errors import UnverifiedError
from sealroom.evidence import VERIFIED, Collateral, TrustRoots, Validity, Verified
from sealroom.tees._tpm.event_log import ReplayedLog, verify_log
from sealroom.tees._tpm.public import require_bound_to_tpm
from sealroom.tees._tpm.quote import require_pcrs, require_signature
from sealroom.tees.tpm.layout import TpmEvidence, TpmQuote
from sealroom.x509_chain import public_key_of

__all__ = ["VerifiedTpm", "verify"]

_ALWAYS = Validity(not_before=datetime(2000, 1, 1, tzinfo=UTC), not_after=datetime(2999, 12, 31, tzinfo=UTC))
"""A quote has no time of its own: freshness is the nonce's alone."""


@dataclass(frozen=True, kw_only=True)
class VerifiedTpm(Verified[TpmEvidence]):
    """An authentic quote."""

    log: ReplayedLog | None
    """The boot's log, if one came; it leads to the registers that were quoted."""


def verify(evidence: TpmEvidence, *, roots: TrustRoots, collateral: Collateral, at: datetime) -> VerifiedTpm:
    """Verify that ``evidence`` was quoted by a TPM whose attestation key was enrolled.

    0. Magic, type, sizes: done by `layout.parse`.
    1. The key is one that ``roots`` names: by SHA-256 of its SubjectPublicKeyInfo, or of its whole public area (the
       digest in a TPM's name), which vouches for the key's attributes too. Evidence brings the key, and no reason to
       trust it.
    2. Where the evidence says what the key is, it never leaves its TPM. That it signs nothing but what the TPM made
       is for claims to say.
    3. The signature over the quote holds under it.
    4. The quote's digest is that of the PCRs that came.
    5. A log that came leads to these PCRs.

    Raises:
        MalformedError, UnverifiedError: ``tpm.*``, ``eventlog.*``: a step does not hold.
    """
    del collateral, at
    quote = evidence.quote
    # 1.
    fingerprint, simulated = _enrolled(quote, roots)
    # 2.
    if quote.public is not None:
        require_bound_to_tpm(quote.public)
    # 3.
    require_signature(quote.message, quote.signature, public_key_of(quote.key))
    # 4.
    require_pcrs(quote.attest, quote.pcrs, quote.signature.digest)
    # 5.
    log = verify_log(quote.event_log, quote.pcrs)
    return VerifiedTpm(evidence=evidence, root=fingerprint, simulated=simulated, validity=_ALWAYS, log=log,
                       warrant=VERIFIED)  # fmt: skip


def _enrolled(quote: TpmQuote, roots: TrustRoots) -> tuple[bytes, bool]:
    """By which digest the key is known, and whether as a simulated one."""
    known = [hashlib.sha256(form).digest() for form in (quote.area, quote.key) if form is not None]
    for simulated, keys in ((True, roots.insecure_simulated), (False, roots.device_keys)):
        for fingerprint in known:
            if fingerprint in keys:
                return fingerprint, simulated
    raise UnverifiedError("tpm.unknown-key", "nobody here has enrolled this TPM's attestation key",
                          got=f"sha256:{known[-1].hex()}", expected="a key under [trust] device_keys",
                          hint="enrol it once, by another way than the evidence itself")  # fmt: skip
