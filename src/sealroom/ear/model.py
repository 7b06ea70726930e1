"""An attestation result once read, or before it is written: draft-ietf-rats-ear over RFC 9711, in one set of words.

The draft renamed its claims in March 2026. Old results (Veraison, Trustee) spell ``ear.status``, new ones
``ear_status``, CBOR ones have integers; the words here are the same for all three.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sealroom.ear.vector import Tier, TrustVector, better, worst

__all__ = ["IETF_PROFILE", "PROFILES", "TRUSTEE_PROFILE", "VERAISON_PROFILE", "Ear", "Spelling", "Submodule",
           "VerifierId", "best_case"]  # fmt: skip

IETF_PROFILE = "tag:ietf.org,2026:rats/ear#03"
VERAISON_PROFILE = "tag:github.com,2023:veraison/ear"
TRUSTEE_PROFILE = "tag:github.com,2024:confidential-containers/Trustee"


class Spelling(StrEnum):
    """How a result names its claims."""

    UNDERSCORES = "underscores"
    DOTS = "dots"
    INTEGERS = "integers"


PROFILES: Mapping[str, frozenset[Spelling]] = {
    IETF_PROFILE: frozenset({Spelling.UNDERSCORES, Spelling.INTEGERS}),
    "tag:ietf.org,2026:rats/ear#04": frozenset({Spelling.UNDERSCORES, Spelling.INTEGERS}),
    "tag:ietf.org,2025-07:ear": frozenset(Spelling),
    VERAISON_PROFILE: frozenset({Spelling.DOTS, Spelling.INTEGERS}),
    TRUSTEE_PROFILE: frozenset({Spelling.DOTS}),
}
"""The profiles whose meaning is known here, and how each may spell its claims."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierId:
    """Who appraised (AR4SI section 3.3)."""

    developer: str
    build: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Submodule:
    """The appraisal of one attester."""

    label: str
    claimed: Tier
    """What the result says of itself."""
    vector: TrustVector | None = None
    policy_ids: tuple[str, ...] = ()
    nonces: tuple[str | bytes, ...] = ()
    """The nonces of the evidence; text in JSON results, bytes in CBOR ones."""
    extensions: Mapping[str | int, Any] = field(default_factory=dict)
    """Claims beyond the draft's own, as they stand there."""

    @property
    def status(self) -> Tier:
        """What to go by: the vector's tier, or worse if the result says so. No vector asserts nothing."""
        return worst((self.claimed, self.vector.tier if self.vector is not None else Tier.NONE))

    @property
    def overstated(self) -> bool:
        """Whether it claims more trust than its vector carries."""
        return self.vector is not None and better(self.claimed, self.vector.tier)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ear:
    """A whole result. Untrusted unless `read_ear_jwt` or `read_ear_cwt` returned it."""

    profile: str
    issued_at: datetime
    verifier: VerifierId
    submodules: tuple[Submodule, ...]
    """At least one, each label once."""
    claimed: Tier | None = None
    expires_at: datetime | None = None
    not_before: datetime | None = None
    nonces: tuple[str | bytes, ...] = ()
    """Of the result itself: what whoever asked for it sent."""
    raw_evidence: bytes | None = field(default=None, repr=False)
    extensions: Mapping[str | int, Any] = field(default_factory=dict)
    """Every other claim, ``iss``, ``aud`` and ``jti`` among them."""
    spelling: Spelling = Spelling.UNDERSCORES

    @property
    def status(self) -> Tier:
        """The worst of all attesters, recomputed."""
        claimed = () if self.claimed is None else (self.claimed,)
        return worst((*claimed, *(one.status for one in self.submodules)))

    def submodule(self, label: str) -> Submodule | None:
        """The appraisal of the attester called ``label``."""
        return next((one for one in self.submodules if one.label == label), None)


def best_case(submodules: tuple[Submodule, ...]) -> Tier:
    """The most that a result may claim as a whole: the worst that its attesters' appraisals claim."""
    return worst(one.claimed for one in submodules)
