"""Writes evidence as Confidential Containers carries it: what a collector sends, and what minting changes before."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["EvidenceForm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceForm:
    """What goes into the JSON. Change one member with `dataclasses.replace` to have one fault."""

    hcl_report: bytes = field(repr=False)
    message: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    """Bare bytes of RSASSA."""
    pcrs: Sequence[bytes] = field(repr=False)
    """All 24 of the bank, in their order."""
    vcek: bytes | None = field(default=None, repr=False)
    """DER; of SEV-SNP."""
    td_quote: bytes | None = field(default=None, repr=False)
    event_log: bytes | None = field(default=None, repr=False)
    version: int = 1
    """Both have these members. In version 2 the runtime data's user data is what the quote answers."""

    def members(self) -> dict[str, object]:
        """The JSON's members."""
        more = {"vcek": self.vcek, "td_quote": self.td_quote, "event_log": self.event_log}
        return {
            "version": self.version,
            "tpm_quote": {"signature": self.signature.hex(), "message": self.message.hex(),
                          "pcrs": [value.hex() for value in self.pcrs]},
            "hcl_report": _text(self.hcl_report),
            **{name: _text(value) for name, value in more.items() if value is not None},
        }  # fmt: skip

    def encode(self) -> bytes:
        """The JSON."""
        return json.dumps(self.members(), separators=(",", ":")).encode()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()
