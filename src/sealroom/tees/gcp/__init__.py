"""Google Cloud: vTPM attestations as go-tpm-tools writes them, and Confidential Space tokens.

    raw (protobuf) ─layout.parse→ GcpEvidence ─verify.verify→ VerifiedVtpm ─claims.claims→ Claims
                    protobuf: the fields that are known   ↑ certificates: of the attestation key, to Google's roots
                    inner: the hardware's own report     ↑ the verifier of SNP or TDX, from the registry
    raw (JWT)      ─layout.parse→ GcpEvidence ─verify.verify→ VerifiedSpace: what Google's service says
                    space: its claims                     ↑ pki_token: of the kind that brings certificates

A vTPM of Google's proves what a VM booted and whose VM it is. Confidential memory is proved by the hardware's own
report, which newer attestations carry, and which is verified by that TEE's verifier.
Sources: google/go-tpm-tools (proto/attest.proto), Google Cloud, "Confidential Space token claims".
"""

from sealroom.tees.gcp.claims import claims
from sealroom.tees.gcp.layout import GcpEvidence, parse
from sealroom.tees.gcp.verify import VerifiedSpace, VerifiedVtpm, verify

__all__ = ["GcpEvidence", "VerifiedSpace", "VerifiedVtpm", "claims", "parse", "verify"]
