"""All that one piece of evidence needs, from whichever vendor has it: one call for every kind.

    needed = what_is_needed(tee, raw)
    items = fetch_needed(needed, transport, Services())
    cache.put(archive_of(needed, Services(), items, at=now))

For the command line, which fetches for others, and for a room, which fetches for itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sealroom.collateral.archive import CollateralArchive
from sealroom.collateral.cache import CollateralCache
from sealroom.collateral.fetch.amd import AMD_SERVICE, fetch_amd
from sealroom.collateral.fetch.google import fetch_google
from sealroom.collateral.fetch.intel import INTEL_SERVICE, IntelOptions, fetch_intel
from sealroom.collateral.fetch.nvidia import NVIDIA_OCSP, NVIDIA_RIMS, fetch_nvidia
from sealroom.collateral.fetch.transport import Transport
from sealroom.evidence import Collateral
from sealroom.tees.needs import AmdRequest, GoogleRequest, IntelRequest, NvidiaRequest, Request
from sealroom.tees.windows import earliest_end

__all__ = ["Services", "archive_of", "fetch_needed", "keep_leaf", "kept_leaf", "subject_of"]

_LEAF = "-leaf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Whom to ask; the vendors themselves unless somebody says otherwise."""

    intel: str = INTEL_SERVICE
    """Intel's service, or a PCCS."""
    intel_update: str = "standard"
    """Intel's data set: ``standard`` or ``early``."""
    amd: str = AMD_SERVICE
    google: str | None = None
    """In place of the addresses that stand in Google's certificates."""
    nvidia_rims: str = NVIDIA_RIMS
    nvidia_ocsp: str = NVIDIA_OCSP


def fetch_needed(
    needed: Request, transport: Transport, services: Services, *, leaf: bytes | None = None
) -> dict[str, bytes]:
    """The items by the names that verification has for them; untrusted.

    Args:
        needed: what the evidence needs.
        transport: how to ask.
        services: whom.
        leaf: of an AMD chip, if it is at hand: it is not asked for then.

    Raises:
        UnavailableError, MalformedError: ``collateral.*``.
    """
    if isinstance(needed, GoogleRequest):
        inside = {} if needed.inside is None else fetch_needed(needed.inside, transport, services, leaf=leaf)
        return inside | fetch_google(needed, transport, service=services.google)
    if isinstance(needed, AmdRequest):
        return fetch_amd(needed, transport, service=services.amd, leaf=leaf)
    if isinstance(needed, NvidiaRequest):
        return fetch_nvidia(needed, transport, rims=services.nvidia_rims, ocsp=services.nvidia_ocsp)
    return fetch_intel(needed, transport, IntelOptions(service=services.intel, update=services.intel_update))


def subject_of(needed: Request, services: Services) -> str:
    """Under which name it is kept: Intel's two data sets are two things."""
    silicon = needed.inside if isinstance(needed, GoogleRequest) else needed
    return f"{needed.name}-{services.intel_update}" if isinstance(silicon, IntelRequest) else needed.name


def archive_of(needed: Request, services: Services, items: Mapping[str, bytes], *, at: datetime) -> CollateralArchive:
    """What was fetched at ``at``, to be kept or carried."""
    collateral = Collateral(items=items)
    return CollateralArchive(tee=needed.tee, subject=subject_of(needed, services), fetched_at=at,
                             holds_until=earliest_end(collateral), collateral=collateral)  # fmt: skip


def kept_leaf(cache: CollateralCache, subject: str, at: datetime) -> bytes | None:
    """AMD's service limits its callers hard, and a chip's certificate for a version never changes in meaning."""
    found = cache.get(subject + _LEAF, at)
    return None if found is None else found.collateral.items.get("leaf")


def keep_leaf(cache: CollateralCache, archive: CollateralArchive) -> None:
    """Keep the leaf of ``archive`` by itself, if it has one: longer than the list beside it holds."""
    if (leaf := archive.collateral.items.get("leaf")) is not None:
        cache.put(replace(archive, subject=archive.subject + _LEAF, holds_until=None,
                          collateral=Collateral(items={"leaf": leaf})))  # fmt: skip
