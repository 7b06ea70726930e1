"""The structure that a TPM signs when it quotes, right or wrong in any member (TPM 2.0 Library part 2, 10.12.12)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["QuoteForm", "sized"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteForm:
    """What goes into a TPMS_ATTEST. Change one member with `dataclasses.replace` to have one fault."""

    extra_data: bytes
    selection: Sequence[tuple[int, Iterable[int]]]
    """Hash identifier, PCRs."""
    pcr_digest: bytes
    qualified_signer: bytes = b""
    magic: int = 0xFF544347
    kind: int = 0x8018
    clock: int = 3_600_000
    reset_count: int = 1
    restart_count: int = 0
    safe: int = 1
    firmware_version: int = 0x2019_1023_0016_3636
    select_size: int = 3
    """Bytes of each bitmap."""

    def encode(self) -> bytes:
        """The structure."""
        banks = b"".join(
            bank.to_bytes(2, "big") + bytes((self.select_size,)) + _bitmap(indices, self.select_size)
            for bank, indices in self.selection
        )
        return b"".join((
            self.magic.to_bytes(4, "big"), self.kind.to_bytes(2, "big"), sized(self.qualified_signer),
            sized(self.extra_data), self.clock.to_bytes(8, "big"), self.reset_count.to_bytes(4, "big"),
            self.restart_count.to_bytes(4, "big"), bytes((self.safe,)), self.firmware_version.to_bytes(8, "big"),
            len(self.selection).to_bytes(4, "big"), banks, sized(self.pcr_digest),
        ))  # fmt: skip


def sized(raw: bytes) -> bytes:
    """A TPM2B."""
    return len(raw).to_bytes(2, "big") + raw


def _bitmap(indices: Iterable[int], size: int) -> bytes:
    return sum(1 << index for index in set(indices)).to_bytes(size, "little")
