"""Azure's confidential VMs: SEV-SNP and TDX below Microsoft's paravisor, which answers for them through a vTPM.

    raw (JSON) ─layout.parse→ AzureEvidence ─verify.verify→ VerifiedAzure ─claims.claims→ Claims, with inner Claims
                 hcl: the report of the hardware    ↑ the verifier of SNP or TDX, from the registry
                 runtime_data: what it binds        ↑ the quote of the vTPM, by the key that is bound
    raw (JWT)  ─layout.parse→ AzureEvidence ─maa→ VerifiedMaa: what Microsoft's own service says of the same

The hardware's report is made at boot and binds the vTPM's key; only the quote is fresh.
Sources: Microsoft, "Guest attestation for confidential VMs"; kinvolk/azure-cvm-tooling; OpenHCL's igvm_attest.
"""

from sealroom.tees.azure_vtpm.claims import claims
from sealroom.tees.azure_vtpm.layout import AzureEvidence, parse
from sealroom.tees.azure_vtpm.verify import VerifiedAzure, VerifiedMaa, verify

__all__ = ["AzureEvidence", "VerifiedAzure", "VerifiedMaa", "claims", "parse", "verify"]
