"""Collateral from the vendors' services. The only part of verification that speaks to a network, and ahead of it.

Nothing that is fetched is believed: it is untrusted bytes until verification has checked them. A fetch that fails
leaves nothing behind, and what is absent is a refusal.
"""

from sealroom.collateral.fetch.amd import fetch_amd
from sealroom.collateral.fetch.intel import IntelOptions, fetch_intel
from sealroom.collateral.fetch.nvidia import fetch_nvidia
from sealroom.collateral.fetch.transport import Transport

__all__ = ["IntelOptions", "Transport", "fetch_amd", "fetch_intel", "fetch_nvidia"]
