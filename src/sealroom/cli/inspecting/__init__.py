"""What something is, told from its bytes alone, as a tree of plain values. Proves nothing.

bytes ─describe→ Description(kind, content)        describe.py: which reader fits
                                                   evidence.py: bundles, reports, statements
                                                   quotes.py: TDX and SGX quotes
                                                   certificates.py: certificates and revocation lists
                                                   documents.py: policies, JSON, tokens, key lists, sealed models
"""

from sealroom.cli.inspecting.describe import describe, describe_directory
from sealroom.cli.inspecting.tree import Description, Tree

__all__ = ["Description", "Tree", "describe", "describe_directory"]
