"""What a kind of simulated machine consists of: a way to make its CPU, to launch a guest on it, and to accept that.

One module for each CPU (``machine_snp``, ``machine_tdx`` …) has a `CPU` of this shape; `machines` puts them together.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealroom.evidence import Attester, Tee
from sealroom.testing.object_store import keep, kept

__all__ = ["CpuKind", "CpuRules", "Launched"]

_PLATFORM, _LAUNCHED = "platform.json", "launched.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """What stands in the evidence of a guest because of how it was launched."""

    measurement: bytes
    """48 bytes: of what runs in it."""
    init_data: bytes
    """Digest of the document that it was launched for, by the algorithm that this names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuRules:
    """What a policy says to accept the evidence of one guest."""

    roots: tuple[bytes, ...]
    tables: str
    device_keys: tuple[bytes, ...] = ()
    facts: dict[str, object]
    """The same for programs."""


class CpuKind:
    """One kind of CPU evidence, and how machines with it are kept in a folder."""

    tee: Tee
    words: str
    """``SEV-SNP hardware``."""

    def create(self) -> Any:
        """A new machine, without a guest: dataclasses and keys, as `object_store` keeps them."""
        raise NotImplementedError

    def attester(self, platform: Any, launched: Launched) -> Attester:
        """The guest's view of it."""
        raise NotImplementedError

    def rules(self, platform: Any, launched: Launched) -> CpuRules:
        """What accepts this guest on this machine."""
        raise NotImplementedError

    def platform_at(self, folder: Path) -> Any:
        """The machine that is kept in ``folder``; a new one if none is."""
        if not (folder / _PLATFORM).exists():
            keep(self.create(), folder / _PLATFORM)
        return kept(folder / _PLATFORM)

    def launch(self, folder: Path, platform: Any, launched: Launched) -> None:
        """Start a guest on ``platform``, which is in ``folder`` or is put there, in place of one that was there."""
        keep(platform, folder / _PLATFORM)
        keep(launched, folder / _LAUNCHED)

    def guest_at(self, folder: Path) -> Attester:
        """The guest that was launched in ``folder``."""
        return self.attester(kept(folder / _PLATFORM), kept(folder / _LAUNCHED))
