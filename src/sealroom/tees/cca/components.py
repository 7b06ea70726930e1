"""What a platform says of its firmware: components and its place in life (RFC 9783 sections 4.3.1, 4.4.1)."""

from dataclasses import dataclass

from sealroom.cbor import CborValue
from sealroom.tees.cca.claim_reader import ClaimReader

__all__ = ["MAX_COMPONENTS", "Component", "lifecycle_word", "read_components"]

MAX_COMPONENTS = 64
_TYPE, _MEASUREMENT, _VERSION, _SIGNER, _HASH = 1, 2, 4, 5, 6
_LIFECYCLES = (
    "unknown",
    "assembly-and-test",
    "rot-provisioning",
    "secured",
    "non-rot-debug",
    "recoverable-rot-debug",
    "decommissioned",
)
"""By the first byte of the number; the second is the vendor's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One measured piece of firmware."""

    type: str
    """``BL``, ``RMM``, …; empty where the firmware names none."""
    measurement: bytes
    version: str | None
    signer_id: bytes | None
    hash_name: str | None


def read_components(values: list[CborValue], what: str) -> tuple[Component, ...]:
    """Read the list of components of one token."""
    return tuple(_component(ClaimReader(value, f"{what} component")) for value in values)


def lifecycle_word(number: int) -> str:
    """``secured`` for 0x3000 to 0x30FF, and so on; ``invalid`` for what no profile has."""
    index, rest = divmod(number >> 8, 0x10)
    return _LIFECYCLES[index] if index < len(_LIFECYCLES) and not rest else "invalid"


def _component(reader: ClaimReader) -> Component:
    return Component(
        measurement=reader.digest(_MEASUREMENT),
        type=reader.text(_TYPE, may_be_empty=True) if _TYPE in reader else "",
        version=(reader.text(_VERSION, may_be_empty=True) or None) if _VERSION in reader else None,
        signer_id=reader.digest(_SIGNER) if _SIGNER in reader else None,
        hash_name=reader.text(_HASH) if _HASH in reader else None,
    )
