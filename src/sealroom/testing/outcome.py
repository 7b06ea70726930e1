"""What a TEE makes of a vector that it accepts, and how it says that it can not run one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Outcome", "UnsupportedCaseError"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A valid vector's facts. An invalid one is an error of `sealroom.errors` instead."""

    simulated: bool
    """Whether the chain ended in a root that the vector brought, and not in the vendor's."""
    tcb_status: str | None = None
    flags: frozenset[str] = frozenset()
    fields: Mapping[str, object] = field(default_factory=dict)


class UnsupportedCaseError(Exception):
    """The vector asks for something that this release does not do. Not one of `sealroom.errors`: it is no verdict."""
