"""What goes into report data: one labelled, length-framed hash.

Evidence is worth what it binds. Every part that a TEE vouches for passes through this one function, under a label
that names the purpose, so that evidence made for one purpose can never serve for another, and two lists of parts
never hash alike (``("ab", "c")`` against ``("a", "bc")``).

The bytes, normative in ``spec/evidence-bundle.md`` section 4::

    SHA-512( "sealroom-binding-v1" 00 || frame(label) || u32be(count) || frame(part 1) || ... )
    frame(x) = u64be(length of x) || x

Key release to the broker does not use this: it follows the KBS protocol to the byte (``sealroom.kbs``).
"""

import hashlib
from enum import StrEnum

__all__ = ["REPORT_DATA_SIZE", "Label", "carried", "report_data"]

REPORT_DATA_SIZE = 64
"""Bytes of report data in TDX, SNP, SGX and CCA evidence."""

_DOMAIN = b"sealroom-binding-v1\x00"


class Label(StrEnum):
    """What a binding is for. A new use takes a new label, never an old one with other parts."""

    ROOM_STATEMENT = "room-statement"
    GPU_NONCE = "gpu-nonce"


_CARRIES_DIGEST = frozenset({"nvidia", "azure-vtpm", "tpm", "gcp"})
"""TEEs whose field for the verifier's choice is short: 32 bytes of a GPU's nonce, 50 of a vTPM's."""


def report_data(label: Label, *parts: bytes) -> bytes:
    """Return the 64 bytes that evidence for ``label`` must carry to vouch for ``parts``."""
    digest = hashlib.sha512(_DOMAIN + _frame(label.value.encode()) + len(parts).to_bytes(4, "big"))
    for part in parts:
        digest.update(_frame(part))
    return digest.digest()


def carried(tee: str, data: bytes) -> bytes:
    """What evidence of ``tee`` carries for the report data ``data``: itself, or its SHA-256 where the field is short.

    Hashed and never cut: of a cut value, the part that was cut off would be bound to nothing.
    """
    return hashlib.sha256(data).digest() if tee in _CARRIES_DIGEST else data


def _frame(part: bytes) -> bytes:
    return len(part).to_bytes(8, "big") + part
