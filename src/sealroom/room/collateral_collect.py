"""What a machine's silicon says of itself at boot, before anybody else asks: the evidence that collateral is for."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from sealroom.binding import REPORT_DATA_SIZE, carried
from sealroom.errors import SealroomError, UnavailableError
from sealroom.evidence import CollectedEvidence
from sealroom.room.collateral_part import Part

__all__ = ["OwnEvidence"]

_NO_PURPOSE = bytes(REPORT_DATA_SIZE)
"""What it is asked to vouch for: nothing. Every use of evidence asks for a hash, and this is the hash of nothing."""


class OwnEvidence:
    """Asks parts of the machine, each one thing at a time.

    Args:
        parts: how many there are.
        patience: seconds that they are waited for, all together.
    """

    def __init__(self, parts: int, *, patience: float) -> None:
        self._threads = ThreadPoolExecutor(max_workers=max(1, parts), thread_name_prefix="own-evidence")
        self._patience = patience
        self._open: dict[str, Future[CollectedEvidence]] = {}

    def of(self, parts: Sequence[Part]) -> Mapping[str, CollectedEvidence | SealroomError]:
        """What each said, or why it said nothing. One that still owes an answer is not asked again."""
        for part in parts:
            if part.name not in self._open:
                data = carried(part.silicon.tee, _NO_PURPOSE)
                self._open[part.name] = self._threads.submit(part.silicon.collect, data)
        wait([self._open[part.name] for part in parts], timeout=self._patience)
        return {part.name: self._answer(part.name) for part in parts}

    def close(self) -> None:
        """Ask no more. A device that hangs is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _answer(self, name: str) -> CollectedEvidence | SealroomError:
        if not self._open[name].done():
            return UnavailableError("room.device-silent", "a device gave no evidence in time", where=name,
                                    expected=f"an answer within {self._patience:g} s")  # fmt: skip
        try:
            return self._open.pop(name).result()
        except SealroomError as error:
            return error
