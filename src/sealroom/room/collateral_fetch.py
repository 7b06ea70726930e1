"""What a room fetches for its own evidence, or has kept of an earlier day; and whether it is any good.

Whatever comes is tried on the evidence that it is for, by the code that callers use: a service that is wrong, or that
speaks of another machine, is found out here.
"""

import logging
from collections.abc import Mapping
from datetime import datetime

from sealroom.collateral.bundle import MAX_COLLATERAL, MAX_VALUE_SIZE
from sealroom.collateral.cache import CollateralCache
from sealroom.collateral.fetch.transport import Transport
from sealroom.collateral.fetch.vendors import Services, archive_of, fetch_needed, keep_leaf, kept_leaf, subject_of
from sealroom.errors import SealroomError, UnavailableError, UnverifiedError
from sealroom.evidence import Collateral, CollectedEvidence, TrustRoots
from sealroom.room.collateral_part import Held, Part
from sealroom.room.collateral_settings import FetchSettings
from sealroom.tees.needs import Request, what_is_needed
from sealroom.tees.registry import for_tee

__all__ = ["VendorsWord"]

_log = logging.getLogger("sealroom.room")
_CHAIN, _LEAF = "cert_chain", "leaf"
_LACKING = frozenset({"reference_values_missing", "revocation_not_checked"})
"""Flags of claims by which verification says that something did not come."""


class VendorsWord:
    """Fetches, keeps and tries collateral of one machine.

    Args:
        settings: whom to ask, and where to keep it.
    """

    def __init__(self, settings: FetchSettings) -> None:
        self._services = Services(intel_update=settings.intel_update, **settings.addresses)
        self._product = settings.amd_product
        self._cache = None if settings.cache is None else CollateralCache(settings.cache)
        self._roots = TrustRoots(insecure_simulated=settings.insecure_simulated)

    def needed(self, collected: CollectedEvidence) -> Request:
        """What has to be asked of a vendor.

        Raises:
            MisuseError: ``collateral.nothing-to-fetch``: nothing.
            MalformedError, UnverifiedError: the evidence can not be read.
        """
        chain = collected.collateral.items.get(_CHAIN)
        return what_is_needed(collected.tee, collected.raw, product=self._product, certificates=chain)

    def kept(self, part: Part, at: datetime) -> Held | None:
        """What was kept on an earlier day and is still good, for a part that holds nothing yet."""
        collected, needed = part.collected, part.needed
        if self._cache is None or collected is None or needed is None or part.held is not None or part.failures:
            return None
        try:
            archive = self._cache.get(subject_of(needed, self._services), at)
            if archive is None:
                return None
            return self.tried(collected, archive.collateral.items, at=at, fetched_at=min(archive.fetched_at, at))
        except SealroomError as error:
            _log.info("kept collateral of %s is passed over: %s", part.name, error.code)
            return None

    def fetched(self, part: Part, transport: Transport, at: datetime) -> Held:
        """What the vendor says today; kept, if there is a place for it.

        Raises:
            UnavailableError, MalformedError: ``collateral.*``: nothing came that could be used.
            SealroomError: it came, and the part's evidence does not verify with it.
        """
        collected, needed = part.collected, part.needed
        assert collected is not None  # noqa: S101 - asked before
        assert needed is not None  # noqa: S101
        held = self._fetched(collected, needed, transport, leaf=self._leaf_at_hand(part, needed, at), at=at)
        if part.holds(at) and part.held is not None and part.held.complete and not held.complete:
            raise UnavailableError("collateral.incomplete", "the vendor's service left something unanswered that it "
                                   "answered before", where=part.name)  # fmt: skip
        self._keep(needed, held.items, at)
        return held

    def tried(
        self, collected: CollectedEvidence, items: Mapping[str, bytes], *, at: datetime, fetched_at: datetime
    ) -> Held:
        """``items``, once the evidence verifies with them.

        Raises:
            SealroomError: it does not; ``collateral.too-large``: no bundle could carry them.
        """
        along = {**collected.collateral.items, **items}
        _require_size(along)
        verifier = for_tee(collected.tee)
        verified = verifier.verify(
            verifier.parse(collected.raw), roots=self._roots, collateral=Collateral(items=along), at=at
        )
        complete = not verifier.claims(verified).flags & _LACKING
        return Held(items=dict(items), validity=verified.validity, complete=complete, fetched_at=fetched_at)

    def _fetched(
        self, collected: CollectedEvidence, needed: Request, transport: Transport, *, leaf: bytes | None,
        at: datetime,
    ) -> Held:  # fmt: skip
        items = fetch_needed(needed, transport, self._services, leaf=leaf)
        try:
            return self.tried(collected, items, at=at, fetched_at=at)
        except UnverifiedError as error:
            if leaf is None or error.code.endswith("revoked"):
                raise
            refused = error
        try:  # the certificate that was at hand may be of firmware that is gone
            items = fetch_needed(needed, transport, self._services)
        except UnavailableError:
            raise refused from None
        return self.tried(collected, items, at=at, fetched_at=at)

    def _leaf_at_hand(self, part: Part, needed: Request, at: datetime) -> bytes | None:
        if part.held is not None and _LEAF in part.held.items:
            return part.held.items[_LEAF]
        kept = None if self._cache is None else kept_leaf(self._cache, subject_of(needed, self._services), at)
        given = None if part.collected is None else part.collected.collateral.items.get(_LEAF)
        return kept or given

    def _keep(self, needed: Request, items: Mapping[str, bytes], at: datetime) -> None:
        if self._cache is None:
            return
        try:
            archive = archive_of(needed, self._services, items, at=at)
            self._cache.put(archive)
            keep_leaf(self._cache, archive)
        except SealroomError as error:
            _log.warning("collateral can not be kept: %s", error.code)


def _require_size(items: Mapping[str, bytes]) -> None:
    largest = max(map(len, items.values()), default=0)
    if largest > MAX_VALUE_SIZE or len(items) > MAX_COLLATERAL:
        raise UnavailableError("collateral.too-large", "what came can not be handed on with evidence",
                               got=f"{len(items)} items, the largest of {largest} bytes",
                               expected=f"at most {MAX_COLLATERAL} items of {MAX_VALUE_SIZE} bytes")  # fmt: skip
