"""Arm: CCA realms (realm and platform token), and PSA tokens, which TrustZone firmware gives (profile 1 and 2).

    raw ─layout.parse→ CcaEvidence ─verify.verify→ VerifiedCca ─claims.claims→ Claims
         tokens: the sets of claims   ↑ the platform's key, enrolled by the relying party: no chain is in the token

A PSA token is evidence of the same kind with one token in place of two: it proves a device and its firmware, and no
realm. TrustZone itself has no attestation; OP-TEE and TF-M devices give PSA tokens with an enrolled key.
`collect` asks the machine's own realm management monitor, and is imported by itself, since it does I/O.
Sources: Arm DEN0137 (RMM 1.0, A7.2), draft-ffm-rats-cca-token, RFC 9783 (PSA token),
draft-tschofenig-rats-psa-token-07.
"""

from sealroom.tees.cca.claims import claims
from sealroom.tees.cca.layout import CcaEvidence, parse
from sealroom.tees.cca.verify import VerifiedCca, verify

__all__ = ["CcaEvidence", "VerifiedCca", "claims", "parse", "verify"]
