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
from collections.abc import Mapping
from enum import StrEnum

__all__ = ["INIT_DATA_FIELD", "REPORT_DATA_SIZE", "Label", "carried", "carried_init_data", "report_data"]

REPORT_DATA_SIZE = 64
"""Bytes of report data in TDX, SNP, SGX and CCA evidence."""

_DOMAIN = b"sealroom-binding-v1\x00"


class Label(StrEnum):
    """What a binding is for. A new use takes a new label, never an old one with other parts."""

    ROOM_STATEMENT = "room-statement"
    GPU_NONCE = "gpu-nonce"
    KMS_RECIPIENT = "kms-recipient"


_CARRIES_DIGEST = frozenset({"nvidia", "azure-vtpm", "tpm", "gcp"})
"""TEEs whose field for the verifier's choice is short: 32 bytes of a GPU's nonce, 50 of a vTPM's."""

INIT_DATA_FIELD: Mapping[str, str] = {
    "snp": "host_data", "tdx": "mr_config_id", "cca": "rpv",
    "azure-vtpm": "pcr08", "gcp": "pcr08", "tpm": "pcr08", "nitro": "pcr16",
}  # fmt: skip
"""The measurement in which each TEE carries the digest of the init-data document. These are Confidential Containers'
places; for Nitro, which it does not know, the first register that an enclave's own software may extend."""
_EXTENDED = frozenset({"azure-vtpm", "gcp", "tpm", "nitro"})
"""TEEs that have a register to extend in place of a field that the host fills in at launch."""
_BY_SIZE = {32: hashlib.sha256, 48: hashlib.sha384, 64: hashlib.sha512}


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


def carried_init_data(tee: str, digest: bytes, *, size: int) -> bytes:
    """What the measurement `INIT_DATA_FIELD` of ``tee`` holds for an init-data document.

    Args:
        tee: kind of evidence.
        digest: of the document, by the algorithm that it names.
        size: bytes of the measurement. A field holds the digest, cut or padded with zero bytes on the right; a
            register of zeros is extended with it, by the hash of that size.
    """
    if tee not in _EXTENDED:
        return digest[:size].ljust(size, b"\x00")
    return _BY_SIZE[size](bytes(size) + digest).digest() if size in _BY_SIZE else b""


def _frame(part: bytes) -> bytes:
    return len(part).to_bytes(8, "big") + part
