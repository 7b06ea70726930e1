"""Silicon whose evidence carries what the room holds for it."""

from collections.abc import Callable

from sealroom.evidence import Attester, CollectedEvidence, DeviceAttester, Tee

__all__ = ["Stapled"]


class Stapled:
    """The machine's CPU, or one of its devices: asked as before, answered with more.

    Args:
        silicon: what is asked.
        staple: adds what is held to what it said.
    """

    def __init__(
        self, silicon: Attester | DeviceAttester, staple: Callable[[CollectedEvidence], CollectedEvidence]
    ) -> None:
        self._silicon = silicon
        self._staple = staple

    @property
    def tee(self) -> Tee:
        """As the silicon's."""
        return self._silicon.tee

    @property
    def simulated(self) -> bool:
        """As the silicon's."""
        return self._silicon.simulated

    @property
    def inner(self) -> Tee | None:
        """What is inside, if it is a cloud's wrapper (`sealroom.kbs.evidence.name_of`)."""
        return getattr(self._silicon, "inner", None)

    def collect(self, report_data: bytes) -> CollectedEvidence:
        """Return evidence that carries ``report_data`` (of a device: answers it as a nonce), and what is held.

        Raises:
            UnavailableError: ``room.collateral-missing``: it speaks of other firmware than what is held is for; or
                what the silicon raises.
        """
        return self._staple(self._silicon.collect(report_data))
