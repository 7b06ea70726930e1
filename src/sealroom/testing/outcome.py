"""What a runner makes of a vector, and how it says that it can not run one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sealroom.errors import SealroomError
from sealroom.evidence import Claims

__all__ = ["Outcome", "UnsupportedCaseError"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A vector's facts. A runner that refuses raises an error of `sealroom.errors`, or states it as `refusal`."""

    simulated: bool = False
    """Whether the chain ended in a root that the vector brought, and not in the vendor's."""
    tcb_status: str | None = None
    flags: frozenset[str] = frozenset()
    fields: Mapping[str, object] = field(default_factory=dict)
    """What ``expect.fields`` is compared with."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """What every other ``expect.<key>`` is compared with: ``advisory_ids``, ``qe_status``, ``events`` …"""
    claims: Claims | None = None
    """For ``expect.default_policy`` and ``expect.nonce_file``; evidence of a TEE has them."""
    refusal: SealroomError | None = None
    """The vector is invalid, and for this reason, though there are facts to compare."""


class UnsupportedCaseError(Exception):
    """The vector asks for something that this release does not do. Not one of `sealroom.errors`: it is no verdict."""
