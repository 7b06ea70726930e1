"""The opaque data of a report: what the device says of itself beside its measurements.

A list of items, each a type and a size of two bytes little-endian and its content, to the last byte. Types that are
not known are carried: newer firmware adds them, and the signature covers them. An item that is cut off, and a type
that stands twice, is refused: two readers would read another report.

Source: NVIDIA's attestation SDK and its older Python verifier; seen in reports of drivers 535 to 590.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType

from sealroom.errors import MalformedError

__all__ = ["DISABLED", "ENABLED", "Opaque", "OpaqueType", "read_opaque"]

ENABLED, DISABLED = 0xAA, 0x55
"""How a status of one byte says on and off; anything else is neither."""

PDI_SIZE = 8
_HEADER = 4
_MAX_TEXT = 64


class OpaqueType(IntEnum):
    """Types of items that are known."""

    CERT_ISSUER_NAME = 1
    CERT_AUTHORITY_KEY_IDENTIFIER = 2
    DRIVER_VERSION = 3
    GPU_INFO = 4
    SKU = 5
    VBIOS_VERSION = 6
    MANUFACTURER_ID = 7
    TAMPER_DETECTION = 8
    SMC = 9
    VPR = 10
    NVDEC0_STATUS = 11
    MSRSCNT = 12
    CPRINFO = 13
    BOARD_ID = 14
    CHIP_SKU = 15
    CHIP_SKU_MOD = 16
    PROJECT = 17
    PROJECT_SKU = 18
    PROJECT_SKU_MOD = 19
    FWID = 20
    PROTECTED_PCIE_STATUS = 21
    SWITCH_PDI = 22
    FLOORSWEPT_PORTS = 23
    POSITION_ID = 24
    LOCK_SWITCH_STATUS = 25
    SWITCH_GPU_PDIS = 26
    GPU_LINK_CONN = 32
    SYS_ENABLE_STATUS = 33
    OPAQUE_DATA_VERSION = 34
    CHIP_INFO = 35
    FEATURE_FLAG = 36
    INVALID = 255


@dataclass(frozen=True, slots=True)
class Opaque:
    """The items by type, in the order in which they stand."""

    items: Mapping[int, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "items", MappingProxyType(dict(self.items)))

    def octets(self, kind: OpaqueType, *, size: int) -> bytes | None:
        """An item of exactly ``size`` bytes, or None if there is none.

        Raises:
            MalformedError: ``nvidia.opaque-size``.
        """
        value = self.items.get(kind)
        if value is not None and len(value) != size:
            raise _bad("size", f"{kind.name} has a size that it can not have", kind, f"{len(value)} bytes",
                       f"{size} bytes")  # fmt: skip
        return value

    def integer(self, kind: OpaqueType, *, size: int) -> int | None:
        """A little-endian number of ``size`` bytes, or None if there is none."""
        value = self.octets(kind, size=size)
        return None if value is None else int.from_bytes(value, "little")

    def text(self, kind: OpaqueType) -> str | None:
        """Printable ASCII up to the zeros that fill the item, or None if there is none.

        Raises:
            MalformedError: ``nvidia.opaque-text``.
        """
        value = self.items.get(kind)
        if value is None:
            return None
        content = value.rstrip(b"\x00")
        if not content or len(content) > _MAX_TEXT or not all(0x20 < byte < 0x7F for byte in content):
            raise _bad("text", f"{kind.name} is not a word in ASCII", kind, value[:_MAX_TEXT].hex(),
                       "ASCII, then zeros")  # fmt: skip
        return content.decode("ascii")

    def pdis(self, kind: OpaqueType) -> tuple[bytes, ...]:
        """Identifiers of 8 bytes, one after the other; empty if the item is absent.

        Raises:
            MalformedError: ``nvidia.opaque-size``.
        """
        value = self.items.get(kind, b"")
        if len(value) % PDI_SIZE:
            raise _bad("size", f"{kind.name} is no list of identifiers", kind, f"{len(value)} bytes",
                       f"a multiple of {PDI_SIZE}")  # fmt: skip
        return tuple(value[at : at + PDI_SIZE] for at in range(0, len(value), PDI_SIZE))


def read_opaque(raw: bytes) -> Opaque:
    """Read the list of items that fills ``raw``.

    Raises:
        MalformedError: ``nvidia.opaque-truncated``, ``nvidia.opaque-duplicate``.
    """
    items: dict[int, bytes] = {}
    at = 0
    while at < len(raw):
        if len(raw) - at < _HEADER:
            raise _bad("truncated", "the opaque data ends inside the head of an item", at, len(raw) - at, _HEADER)
        kind, size = (int.from_bytes(raw[at + part : at + part + 2], "little") for part in (0, 2))
        at += _HEADER
        if size > len(raw) - at:
            raise _bad("truncated", "the opaque data ends inside an item", at, len(raw) - at, size)
        if kind in items:
            raise _bad("duplicate", "a type of item stands twice in the opaque data", at, kind, "each type once")
        items[kind] = raw[at : at + size]
        at += size
    return Opaque(items)


def _bad(what: str, message: str, at: int, got: object, expected: object) -> MalformedError:
    where = f"opaque data, {at.name}" if isinstance(at, OpaqueType) else f"opaque data at 0x{at:x}"
    return MalformedError(f"nvidia.opaque-{what}", message, where=where, got=got, expected=expected)
