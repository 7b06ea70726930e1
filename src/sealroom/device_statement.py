"""What a room's statement says of its devices, and the nonce that their evidence answers.

``spec/evidence-bundle.md`` sections 3.3 and 4.2. A device's evidence is made first, for a nonce that is a hash of the
statement as it is without devices; the statement then names the digest of all that came of it, and the CPU's evidence
is made over that. So the CPU vouches for each device, and no device of another machine or another time fits.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sealroom.binding import Label, carried, report_data
from sealroom.errors import MalformedError
from sealroom.evidence import CollectedEvidence, Tee

__all__ = ["MAX_DEVICES", "DeviceStatement", "device_nonce", "read_devices", "write_devices"]

MAX_DEVICES = 64
MAX_COLLATERAL = 16
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_ITEM = re.compile(r"[a-z][a-z0-9_]{0,31}")
_SHA256, _DIGEST_SIZE = "sha256:", 71
_MEMBERS = frozenset({"name", "tee", "evidence", "collateral"})
_DEVICE_TEES: Mapping[str, Tee] = {Tee.NVIDIA.value: Tee.NVIDIA}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStatement:
    """One device: what its evidence is and what was stapled to it, by SHA-256 of the bytes."""

    name: str
    """Of this device in this bundle: ``gpu0``."""
    tee: Tee
    evidence: bytes
    collateral: Mapping[str, bytes]
    """By the name that the TEE gives each item."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "collateral", MappingProxyType(dict(self.collateral)))

    @classmethod
    def of(cls, name: str, collected: CollectedEvidence) -> "DeviceStatement":
        """What is to be said of what a device gave."""
        return cls(
            name=name,
            tee=collected.tee,
            evidence=hashlib.sha256(collected.raw).digest(),
            collateral={item: hashlib.sha256(value).digest() for item, value in collected.collateral.items.items()},
        )


def device_nonce(statement_without_devices: bytes, tee: Tee) -> bytes:
    """What the evidence of each device of a room has to answer: 32 bytes.

    Args:
        statement_without_devices: the canonical bytes of the statement with an empty list of devices.
        tee: of the device.
    """
    return carried(tee, report_data(Label.GPU_NONCE, statement_without_devices))


def read_devices(value: Any, where: str) -> tuple[DeviceStatement, ...]:
    """The member ``devices`` of a statement.

    Raises:
        MalformedError: ``statement.bad-value``.
    """
    if not isinstance(value, list) or len(value) > MAX_DEVICES:
        raise _bad(where, value, f"an array of at most {MAX_DEVICES} devices")
    devices = tuple(_read_device(entry, where) for entry in value)
    names = [device.name for device in devices]
    if names != sorted(set(names)):
        raise _bad(where, names, "each device once, in the order of their names")
    return devices


def write_devices(devices: tuple[DeviceStatement, ...]) -> list[dict[str, Any]]:
    """The same as JSON."""
    return [
        {
            "name": device.name,
            "tee": device.tee.value,
            "evidence": f"sha256:{device.evidence.hex()}",
            "collateral": {name: f"sha256:{digest.hex()}" for name, digest in device.collateral.items()},
        }
        for device in devices
    ]


def _read_device(entry: Any, where: str) -> DeviceStatement:
    if not isinstance(entry, dict) or entry.keys() != _MEMBERS:
        raise _bad(where, entry, f"an object with {', '.join(sorted(_MEMBERS))}")
    if not isinstance(entry["name"], str) or not _NAME.fullmatch(entry["name"]):
        raise _bad(f"{where}.name", entry["name"], "a lower-case letter, then letters, digits and hyphens")
    tee = _DEVICE_TEES.get(entry["tee"]) if isinstance(entry["tee"], str) else None
    if tee is None:
        raise _bad(f"{where}.tee", entry["tee"], ", ".join(_DEVICE_TEES))
    items = entry["collateral"]
    if not isinstance(items, dict) or len(items) > MAX_COLLATERAL or not all(map(_ITEM.fullmatch, items)):
        raise _bad(f"{where}.collateral", items, f"an object of at most {MAX_COLLATERAL} named digests")
    return DeviceStatement(
        name=entry["name"],
        tee=tee,
        evidence=_read_digest(entry["evidence"], where, "evidence"),
        collateral={name: _read_digest(digest, where, "collateral", name) for name, digest in items.items()},
    )


def _read_digest(value: Any, *where: str) -> bytes:
    if isinstance(value, str) and len(value) == _DIGEST_SIZE and value.startswith(_SHA256):
        try:
            digest = bytes.fromhex(value[len(_SHA256) :])
        except ValueError:
            digest = b""
        if digest.hex() == value[len(_SHA256) :]:  # one way to write it
            return digest
    raise _bad(".".join(where), value, "sha256: and 64 hexadecimal digits, lower case")


def _bad(where: str, got: object, expected: str) -> MalformedError:
    return MalformedError("statement.bad-value", "a member of the statement has a value that it can not have",
                          where=where, got=ascii(got)[:120], expected=expected)  # fmt: skip
