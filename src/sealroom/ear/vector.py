"""The trustworthiness vector of an attestation result: eight members, their values, and the tier that follows.

AR4SI (draft-ietf-rats-ar4si) sections 2.3 and 3.2. A result states a status beside its vector; the status is computed
here from the vector, and what a result claims for itself can only make it worse.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from enum import IntEnum

__all__ = ["MEMBERS", "TIER_NAMES", "Tier", "TrustVector", "better", "tier_of", "worst"]

_LEAST, _MOST = -128, 127


class Tier(IntEnum):
    """What a value, or a whole appraisal, amounts to. The number stands in CBOR results, the name in JSON."""

    NONE = 0
    AFFIRMING = 2
    WARNING = 32
    CONTRAINDICATED = 96


TIER_NAMES: Mapping[str, Tier] = {tier.name.lower(): tier for tier in Tier}

_FROM_BEST = (Tier.AFFIRMING, Tier.NONE, Tier.WARNING, Tier.CONTRAINDICATED)
"""In the order of trust. ``none`` asserts nothing, so it is less than ``affirming`` though its number is lower."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustVector:
    """One signed octet a member; 0: the verifier makes no claim, which is the same as an absent member."""

    instance_identity: int = 0
    configuration: int = 0
    executables: int = 0
    file_system: int = 0
    hardware: int = 0
    runtime_opaque: int = 0
    storage_opaque: int = 0
    sourced_data: int = 0

    @property
    def tier(self) -> Tier:
        """The worst tier of the members that claim anything; ``none`` if none does."""
        return worst(tier_of(value) for value in self.members().values())

    def members(self) -> dict[str, int]:
        """The members that claim anything, under the names that JSON results give them, in the order of the draft."""
        found = ((name, getattr(self, name.replace("-", "_"))) for name in MEMBERS)
        return {name: value for name, value in found if value}


MEMBERS: tuple[str, ...] = tuple(field.name.replace("_", "-") for field in fields(TrustVector))
"""Their place is their number in CBOR results (draft-ietf-rats-ear, trustworthiness-vector)."""


def tier_of(value: int) -> Tier:
    """The tier of one member's value (AR4SI section 2.3.2). Negative values are a verifier's own.

    Raises:
        ValueError: not a signed octet.
    """
    if not _LEAST <= value <= _MOST:
        raise ValueError("a member of a trust vector is a signed octet")
    if -1 <= value <= 1:
        return Tier.NONE
    if -32 <= value <= 31:
        return Tier.AFFIRMING
    return Tier.WARNING if -96 <= value <= 95 else Tier.CONTRAINDICATED


def worst(tiers: Iterable[Tier]) -> Tier:
    """The least trusted of ``tiers``; ``none`` if there are none."""
    return max(tiers, key=_FROM_BEST.index, default=Tier.NONE)


def better(one: Tier, other: Tier) -> bool:
    """Whether ``one`` says more trust than ``other``."""
    return _FROM_BEST.index(one) < _FROM_BEST.index(other)
