"""Runtime data, and the hash of it that the hardware report must carry. ``spec/key-release.md`` section 3.

The object is hashed as it was received: a member more or less, even inside the key, changes the hash, so no model of
ours stands between the bytes and the digest.
"""

import hashlib

from sealroom.kbs.json_text import JsonObject, canonical

__all__ = ["device_digest", "device_runtime_data", "fit", "primary_digest", "primary_runtime_data"]


def primary_runtime_data(runtime_data: JsonObject, additional_evidence: str) -> bytes:
    """What the CPU's evidence vouches for, in RFC 8785 form; the devices' evidence text is part of it."""
    return canonical({"additional-evidence": additional_evidence, **runtime_data})


def device_runtime_data(runtime_data: JsonObject) -> bytes:
    """What a device's evidence vouches for, in RFC 8785 form."""
    return canonical(runtime_data)


def primary_digest(runtime_data: JsonObject, additional_evidence: str) -> bytes:
    """SHA-384 of `primary_runtime_data`: 48 bytes, not yet fitted to the report's field."""
    return hashlib.sha384(primary_runtime_data(runtime_data, additional_evidence)).digest()


def device_digest(runtime_data: JsonObject) -> bytes:
    """SHA-384 of `device_runtime_data`."""
    return hashlib.sha384(device_runtime_data(runtime_data)).digest()


def fit(digest: bytes, size: int) -> bytes:
    """``digest`` as a field of ``size`` bytes holds it: cut, or padded with zero bytes, on the right."""
    return digest[:size].ljust(size, b"\x00")
