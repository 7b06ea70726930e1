"""What the gym is made of: a sample that verifies, and one thing done to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from sealroom.evidence import Collateral, Tee, TrustRoots

__all__ = ["Expectation", "Level", "Mutation", "Sample"]


class Level(StrEnum):
    """What was changed, from the outermost bytes to the keys underneath."""

    ORIGINAL = "original"
    FIELD = "field"
    LENGTH = "length"
    SIGNATURE = "signature"
    CERTIFICATE = "certificate"
    CHAIN = "chain"
    COLLATERAL = "collateral"
    JSON = "json"
    REVOCATION = "revocation"
    TIME = "time"
    PLATFORM = "platform"
    """Something true of another machine."""
    MINTED = "minted"
    """A private hierarchy in which all is right but one thing, so that one check alone can refuse it."""


class Expectation(StrEnum):
    """What a sound verifier makes of it."""

    ORIGINAL = "original"
    """As it was recorded: has to be accepted."""
    BENIGN = "benign"
    """Bytes that nobody signs or reads, or another encoding of the same: has to be accepted, as the original."""
    NEUTRAL = "neutral"
    """Not what the vendor sends, and nothing signed differs: may be refused; accepted only as the original."""
    FORGERY = "forgery"
    """Has to be refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Evidence with all that its verification needs."""

    name: str
    tee: Tee
    raw: bytes = field(repr=False)
    collateral: Mapping[str, bytes] = field(repr=False)
    at: datetime
    roots: TrustRoots = field(default_factory=TrustRoots)
    own_root: bytes | None = field(default=None, repr=False)
    """DER of the throwaway root that stands in for the vendor's, if it does."""

    def with_item(self, name: str, value: bytes) -> "Sample":
        """The same with one item of the collateral replaced or added."""
        return replace(self, collateral={**self.collateral, name: value})

    def without_item(self, name: str) -> "Sample":
        """The same with one item of the collateral left out."""
        return replace(self, collateral={key: value for key, value in self.collateral.items() if key != name})

    def as_collateral(self) -> Collateral:
        """The collateral in the verifier's own type."""
        return Collateral(items=self.collateral)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One labelled change. The label is stable: the same seed and the same sample give it the same meaning."""

    label: str
    level: Level
    expectation: Expectation
    sample: Sample = field(repr=False)

    @property
    def name(self) -> str:
        """Sample and label: what ``--only`` takes."""
        return f"{self.sample.name}/{self.label}"
