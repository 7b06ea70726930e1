"""AMD SEV-SNP: attestation reports version 2 to 5 of Milan, Genoa and Turin, signed by a VCEK or a VLEK.

    raw (1184 bytes) ─layout.parse→ SnpEvidence ─verify.verify→ VerifiedSnp ─claims.claims→ Claims
                                                  ↑ certificates: leaf extensions, roots pinned by fingerprint
                                                  ↑ tcb: the parts of a TCB version, per product

`collect` asks the machine's own silicon through Linux configfs-tsm and is imported by itself, since it does I/O.
Sources: AMD 56860 (SEV-SNP firmware ABI) for the report, AMD 57230 (VCEK certificate and KDS interface) for the leaf.
"""

from sealroom.tees.snp.claims import claims
from sealroom.tees.snp.layout import SnpEvidence, SnpReport, parse
from sealroom.tees.snp.tcb import Product
from sealroom.tees.snp.verify import VerifiedSnp, verify

__all__ = ["Product", "SnpEvidence", "SnpReport", "VerifiedSnp", "claims", "parse", "verify"]
