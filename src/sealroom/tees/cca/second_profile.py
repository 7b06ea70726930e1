"""What tokens of the profiles of 2024 say besides: attached devices, roots of the boot chain, memory contexts.

Sources: draft-ffm-rats-cca-token-03, section "cca-platform-extension" and what stands around it.
"""

from dataclasses import dataclass

from sealroom.cbor import CborValue
from sealroom.tees.cca.claim_reader import ClaimReader

__all__ = ["PLATFORM_2", "REALM_2", "AttachedDevice", "BootKey", "PlatformExtras", "read_platform_extras",
           "read_realm_extras"]  # fmt: skip

PLATFORM_2 = "tag:arm.com,2024:cca_platform#2.0.0"
REALM_2 = "tag:arm.com,2024:realm#2.0.0"
_CLIENT, _MANUFACTURING, _DEVICES, _BOOT_KEYS, _PEERS = 2394, 2403, 2404, 2405, 2406
_MEMORY = 44243
_CONTEXTS = ("shared", "private")
_MOST = 64
_WITH_NEGOTIATION = "spdm-1."
"""Protocols of which the first exchange is measured too; and the kind of device that says who encrypts."""
_CXL = "cxl-type-3"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedDevice:
    """A device outside the chip that the platform has attested for itself."""

    kind: str
    protocol: str
    measurements: bytes
    """Digest of what it measured."""
    certificates: bytes
    """Digest of its chain."""
    negotiation: bytes | None
    """Digest of versions, capabilities and algorithms, of SPDM."""
    uses_ide: bool
    """Whether its link is encrypted."""
    encryption: int | None
    """Of CXL memory: 0 by the host, 1 by the device, 2 by nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootKey:
    """A root of the boot chain: whose signatures the platform's firmware bears."""

    name: str
    array: int
    index: int
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformExtras:
    """All of it; empty in tokens of other profiles."""

    manufacturing: bytes | None = None
    devices: tuple[AttachedDevice, ...] = ()
    boot_keys: tuple[BootKey, ...] = ()
    peers: bytes | None = None


def read_platform_extras(reader: ClaimReader) -> PlatformExtras:
    """What a platform says besides.

    Raises:
        MalformedError: ``cca.claim``, ``cca.claim-missing``.
    """
    reader.integer(_CLIENT, low=1, high=1)
    devices = reader.list_of(_DEVICES, _MOST) if _DEVICES in reader else []
    keys = reader.list_of(_BOOT_KEYS, _MOST) if _BOOT_KEYS in reader else []
    return PlatformExtras(
        manufacturing=reader.octets(_MANUFACTURING) if _MANUFACTURING in reader else None,
        devices=tuple(map(_device, devices)), boot_keys=tuple(map(_boot_key, keys)),
        peers=reader.octets(_PEERS) if _PEERS in reader else None,
    )  # fmt: skip


def read_realm_extras(reader: ClaimReader) -> str:
    """Whether the realm's memory is encrypted by a key that it shares with others: ``shared`` or ``private``.

    Raises:
        MalformedError: ``cca.claim``, ``cca.claim-missing``.
    """
    return _CONTEXTS[reader.integer(_MEMORY, low=0, high=1)]


def _device(value: CborValue) -> AttachedDevice:
    reader = ClaimReader(value, "attached device")
    if 1 in reader:
        reader.text(1)  # the name of the hash, which its size says too
    protocol, kind = reader.text(5), reader.text(7)
    return AttachedDevice(
        kind=kind, protocol=protocol, measurements=reader.digest(2), certificates=reader.digest(3),
        negotiation=reader.digest(6) if protocol.startswith(_WITH_NEGOTIATION) or 6 in reader else None,
        uses_ide=reader.flag(4),
        encryption=reader.integer(8, low=0, high=2) if kind == _CXL or 8 in reader else None,
    )  # fmt: skip


def _boot_key(value: CborValue) -> BootKey:
    reader = ClaimReader(value, "boot key")
    return BootKey(name=reader.text(1), array=reader.integer(2, low=0, high=2**31 - 1),
                   index=reader.integer(3, low=0, high=2**31 - 1), digest=reader.digest(4))  # fmt: skip
