"""Asks the realm's firmware for its tokens, through configfs-tsm (kernel 6.13 and later, ``arm_cca_guest``).

Tokens bring no chain: the platform's key comes from the machine's maker, and goes along as ``platform_key``.
"""

from sealroom.errors import UnavailableError
from sealroom.evidence import Tee
from sealroom.tees._tsm.collect import TsmAttester
from sealroom.tees.cca.layout import parse

__all__ = ["PROVIDER", "CcaConfigfs"]

PROVIDER = "arm_cca_guest"
"""The kernel's name for realms under configfs-tsm."""


class CcaConfigfs(TsmAttester):
    """The realm that we run in. Its tokens' challenge is the report data."""

    tee = Tee.CCA
    provider = PROVIDER

    def report_data(self, raw: bytes) -> bytes:
        """The challenge of the realm's token."""
        realm = parse(raw).realm
        if realm is None:
            raise UnavailableError("cca.no-realm", "the kernel answered with a token that is of no realm")
        return realm.claims.challenge
