"""Asks the realm's firmware for its tokens, through configfs-tsm (kernel 6.13 and later, ``arm_cca_guest``).

Tokens bring no chain: the platform's key comes from the machine's maker, and goes along as ``platform_key``.
"""

from collections.abc import Callable
from time import sleep

from sealroom.errors import UnavailableError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.tees._tsm.collect import TsmDirectory, TsmReports
from sealroom.tees.cca.layout import parse

__all__ = ["PROVIDER", "CcaConfigfs"]

PROVIDER = "arm_cca_guest"
"""The kernel's name for realms under configfs-tsm."""


class CcaConfigfs:
    """The realm that we run in, as an `Attester`.

    Args:
        directory: where tokens are asked for.
        collateral: what goes along: ``platform_key``.
        attempts: how often to ask while the kernel is busy or the entry is disturbed.
        pause: waits between attempts; seconds.
    """

    tee = Tee.CCA
    simulated = False

    def __init__(
        self,
        directory: TsmDirectory | None = None,
        *,
        collateral: Collateral | None = None,
        attempts: int = 8,
        pause: Callable[[float], None] = sleep,
    ) -> None:
        self._reports = TsmReports(directory or TsmDirectory(), provider=PROVIDER, attempts=attempts, pause=pause)
        self._collateral = collateral or Collateral(items={})

    def collect(self, report_data: bytes) -> CollectedEvidence:
        """Return tokens whose challenge is ``report_data`` (64 bytes).

        Raises:
            MisuseError, UnavailableError, MalformedError: as `TsmReports.ask`.
        """
        answer = self._reports.ask(report_data, carries=_challenge)
        return CollectedEvidence(tee=Tee.CCA, raw=answer.outblob, collateral=self._collateral)


def _challenge(raw: bytes) -> bytes:
    realm = parse(raw).realm
    if realm is None:
        raise UnavailableError("cca.no-realm", "the kernel answered with a token that is of no realm")
    return realm.claims.challenge
