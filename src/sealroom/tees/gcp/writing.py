"""Writes an ``Attestation`` of go-tpm-tools: what a collector sends, and what minting changes before it is sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sealroom.tees._tpm.attest import TpmHash
from sealroom.tees.gcp.inner import HardwareReport, write_hardware
from sealroom.tees.gcp.protobuf import number_field, octets_field

__all__ = ["AttestationForm", "QuotedBank"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotedBank:
    """One quote and the registers that it is over."""

    bank: TpmHash
    message: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    pcrs: Mapping[int, bytes] = field(repr=False)

    def encode(self) -> bytes:
        """``tpm.Quote``."""
        entries = b"".join(
            octets_field(2, number_field(1, index) + octets_field(2, value)) for index, value in self.pcrs.items()
        )
        values = number_field(1, self.bank) + entries
        return octets_field(1, self.message) + octets_field(2, self.signature) + octets_field(3, values)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationForm:
    """What goes into an attestation. Change one member with `dataclasses.replace` to have one fault."""

    public: bytes = field(repr=False)
    """TPMT_PUBLIC."""
    quotes: Sequence[QuotedBank]
    certificate: bytes = field(repr=False)
    """Of the key, DER."""
    event_log: bytes = field(default=b"", repr=False)
    intermediates: Sequence[bytes] = field(default=(), repr=False)
    """DER, each issued by the next."""
    hardware: HardwareReport | None = None
    more: bytes = field(default=b"", repr=False)
    """Further fields, encoded."""

    def encode(self) -> bytes:
        """The message."""
        return b"".join((
            octets_field(1, self.public), *(octets_field(2, quote.encode()) for quote in self.quotes),
            octets_field(3, self.event_log) if self.event_log else b"",
            octets_field(6, self.certificate) if self.certificate else b"",
            *(octets_field(7, one) for one in self.intermediates),
            b"" if self.hardware is None else write_hardware(self.hardware), self.more,
        ))  # fmt: skip
