"""Intel SGX: quotes version 3, and SGX quotes in the forms of version 4 and 5, by Intel's quoting enclave.

    raw ─layout.parse→ SgxEvidence ─verify.verify→ VerifiedSgx ─claims.claims→ Claims

What SGX shares with TDX (quotes, certificates, collateral, TCB) is in `sealroom.tees._dcap`. `collect` asks Gramine
and is imported by itself, since it does I/O.
"""

from sealroom.tees.sgx.claims import claims
from sealroom.tees.sgx.layout import EnclaveReport, SgxEvidence, parse
from sealroom.tees.sgx.verify import VerifiedSgx, verify

__all__ = ["EnclaveReport", "SgxEvidence", "VerifiedSgx", "claims", "parse", "verify"]
