"""Intel TDX: quotes version 4 and 5, TD reports 1.0 and 1.5, signed through Intel's quoting enclave.

    raw ─layout.parse→ TdxEvidence ─verify.verify→ VerifiedTdx ─claims.claims→ Claims

What TDX shares with SGX (quotes, certificates, collateral, TCB) is in `sealroom.tees._dcap`. `collect` asks the
machine's own silicon and is imported by itself, since it does I/O.
"""

from sealroom.tees.tdx.claims import claims
from sealroom.tees.tdx.layout import TdReport, TdxEvidence, parse
from sealroom.tees.tdx.verify import VerifiedTdx, verify

__all__ = ["TdReport", "TdxEvidence", "VerifiedTdx", "claims", "parse", "verify"]
