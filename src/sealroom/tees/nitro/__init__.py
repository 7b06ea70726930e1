"""AWS Nitro enclaves, and instances with a NitroTPM: attestation documents of the Nitro security module.

    raw (COSE_Sign1) ─layout.parse→ NitroEvidence ─verify.verify→ VerifiedNitro ─claims.claims→ Claims

The document brings its own chain; nothing else is needed but the pinned root and the time. `collect` asks the
enclave's own module, and is imported by itself, since it does I/O.
Source: AWS, "Verifying the root of trust" and "Validating attestation documents produced by AWS Nitro Enclaves".
"""

from sealroom.tees.nitro.claims import claims
from sealroom.tees.nitro.layout import NitroDocument, NitroEvidence, parse
from sealroom.tees.nitro.verify import VerifiedNitro, verify

__all__ = ["NitroDocument", "NitroEvidence", "VerifiedNitro", "claims", "parse", "verify"]
