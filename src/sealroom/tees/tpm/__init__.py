"""A TPM 2.0 by itself: a quote over its PCRs, by a key that was enrolled, with the log that explains them.

    raw (JSON) ─layout.parse→ TpmEvidence ─verify.verify→ VerifiedTpm ─claims.claims→ Claims

A TPM measures what a machine booted. It does not encrypt memory: alone it makes no machine confidential, and a policy
that accepts it should know the machine by other means. Evidence as Confidential Containers' TPM attester writes it.
"""

from sealroom.tees.tpm.claims import claims
from sealroom.tees.tpm.layout import TpmEvidence, parse
from sealroom.tees.tpm.verify import VerifiedTpm, verify

__all__ = ["TpmEvidence", "VerifiedTpm", "claims", "parse", "verify"]
