"""The certificate table that a host hands to its guests (AMD 56421, GHCB section 4.1.8.1, ``struct cert_table``).

Entries of 24 bytes (GUID, u32 offset, u32 length, little-endian), closed by one of zero; the certificates follow. The
GUID's bytes stand in the order in which it is written. The host made it, so nothing in it is believed: it is
collateral.
"""

import struct
from collections.abc import Mapping

from sealroom.errors import MalformedError

__all__ = ["GUIDS", "read_certificate_table"]

GUIDS: Mapping[bytes, str] = {
    bytes.fromhex("63da758de6644564adc5f4b93be8accd"): "vcek",
    bytes.fromhex("a8074bc2a25a483eaae639c045a0b8a1"): "vlek",
    bytes.fromhex("4ab7b379bbac4fe4a02f05aef327c782"): "ask",
    bytes.fromhex("c0b406a4a803495297433fb6014cd0ae"): "ark",
    bytes.fromhex("92f81bc358114d3d97ffd19f88dc67ea"): "crl",
}
"""What each entry holds. An entry with another GUID is for somebody else, and passed over."""

_ENTRY = struct.Struct("<16sII")
_MAX_ENTRIES = 64


def read_certificate_table(table: bytes) -> dict[str, bytes]:
    """The certificates in ``table`` by name; empty if the host gave none.

    Raises:
        MalformedError: ``snp.certificate-table``.
    """
    if not any(table):
        return {}
    found: dict[str, bytes] = {}
    for index in range(_MAX_ENTRIES):
        start = index * _ENTRY.size
        if start + _ENTRY.size > len(table):
            raise _malformed("has no closing entry", start, f"{len(table)} bytes")
        guid, offset, length = _ENTRY.unpack_from(table, start)
        if not any(guid) and not offset and not length:
            return found
        if offset + length > len(table):
            raise _malformed("has an entry that points past its end", start, f"{length} bytes at {offset}")
        name = GUIDS.get(guid)
        if name in found:
            raise _malformed(f"has two entries for {name}", start, guid.hex())
        if name is not None:
            found[name] = table[offset : offset + length]
    raise _malformed("has more entries than any host gives", len(table), f"over {_MAX_ENTRIES}")


def _malformed(what: str, at: int, got: str) -> MalformedError:
    message = f"the host's certificate table {what}"
    return MalformedError("snp.certificate-table", message, where=f"byte 0x{at:x}", got=got)
