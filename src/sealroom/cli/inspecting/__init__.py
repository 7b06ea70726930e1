"""What something is, told from its bytes alone, as a tree of plain values. Proves nothing.

bytes ─describe→ Description(kind, content)        describe.py: which reader fits
                                                   evidence.py: bundles, statements, key configurations
                                                   quotes.py, snp.py: TDX and SGX quotes, SNP reports
                                                   devices.py: GPUs and switches, their reference values, OCSP
                                                   wrapped.py: Nitro, Arm, TPMs, Azure, Google
                                                   certificates.py, keys.py: certificates, lists, public keys
                                                   signed.py: attestation results, reference files
                                                   documents.py: policies, JSON, tokens, sealed models
"""

from sealroom.cli.inspecting.describe import describe, describe_directory
from sealroom.cli.inspecting.tree import Description, Tree

__all__ = ["Description", "Tree", "describe", "describe_directory"]
