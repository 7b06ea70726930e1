"""The shape of what `inspect` shows."""

from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Description", "Tree", "shown_bytes"]

Tree: TypeAlias = "dict[str, Tree] | list[Tree] | str | int | bool | None"


@dataclass(frozen=True, slots=True)
class Description:
    """What something is, and what it says."""

    kind: str
    content: Tree


def shown_bytes(raw: bytes) -> str:
    """Bytes for a reader; a run of one value is said and not drawn."""
    if len(raw) > 8 and len(set(raw)) == 1:
        return f"{len(raw)} bytes of {raw[0]:#04x}"
    return raw.hex()
