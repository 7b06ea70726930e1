"""``[hardware.fetch]`` of a room's configuration: whom it asks for collateral, and when.

Without the table a room makes no such connection. With it, an empty one, it asks the vendors themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

from sealroom.collateral.fetch.address import AN_ADDRESS, wrong_in_address
from sealroom.errors import MalformedError

__all__ = ["FetchSettings"]

_ADDRESSES = {"intel", "amd", "nvidia_rims", "nvidia_ocsp"}
_UPDATES = ("standard", "early")
_PRODUCTS = ("Milan", "Genoa", "Turin")
_COUNTS = {"renew_hours": (24, 1, 24 * 30), "wait_seconds": (60, 0, 3600), "timeout_seconds": (20, 1, 600)}
"""Default, least, most."""
_KEYS = frozenset({"intel_update", "amd_product", "cache", "insecure_simulated", *_ADDRESSES, *_COUNTS})
_FINGERPRINT = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchSettings:
    """Checked."""

    addresses: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """``intel``, ``amd``, ``nvidia_rims``, ``nvidia_ocsp``; of what is not named, the vendor's own."""
    intel_update: str = "standard"
    amd_product: str | None = None
    """For SNP reports of version 2, which do not say it."""
    cache: Path | None = None
    renew: timedelta = timedelta(hours=24)
    """How long before its end collateral is fetched anew; half of what is left, where that is less."""
    wait: timedelta = timedelta(seconds=60)
    """How long a boot waits for what could not be had at once."""
    timeout: timedelta = timedelta(seconds=20)
    """For each step of a request."""
    insecure_simulated: frozenset[bytes] = frozenset()
    """SHA-256 of simulated roots: what was fetched is tried on the room's own evidence before it is handed out."""

    @classmethod
    def parse(cls, table: object, *, source: str, folder: Path) -> "FetchSettings":
        """Read the table.

        Raises:
            MalformedError: ``room.config``.
        """
        if not isinstance(table, dict):
            raise _wrong(source, "", table, "a table")
        for key in table:
            if key not in _KEYS:
                raise _wrong(source, key, "an unknown key", f"one of {', '.join(sorted(_KEYS))}")
        cache = _text(table, "cache", source)
        spans = {key: _count(table, key, source) for key in _COUNTS}
        return cls(
            addresses=MappingProxyType({key: _address(table, key, source) for key in _ADDRESSES & set(table)}),
            intel_update=_one_of(table, "intel_update", _UPDATES, source) or "standard",
            amd_product=_one_of(table, "amd_product", _PRODUCTS, source),
            cache=None if cache is None else folder / cache,
            renew=timedelta(hours=spans["renew_hours"]),
            wait=timedelta(seconds=spans["wait_seconds"]),
            timeout=timedelta(seconds=spans["timeout_seconds"]),
            insecure_simulated=_roots(table, source),
        )


def _text(table: Mapping[str, object], key: str, source: str) -> str | None:
    value = table.get(key)
    if value is None or (isinstance(value, str) and value):
        return value
    raise _wrong(source, key, value, "text")


def _one_of(table: Mapping[str, object], key: str, words: tuple[str, ...], source: str) -> str | None:
    value = _text(table, key, source)
    if value is not None and value not in words:
        raise _wrong(source, key, value, " or ".join(words))
    return value


def _address(table: Mapping[str, object], key: str, source: str) -> str:
    text = _text(table, key, source) or ""
    if wrong := wrong_in_address(text):
        raise _wrong(source, key, wrong, AN_ADDRESS)
    return text


def _count(table: Mapping[str, object], key: str, source: str) -> int:
    default, low, high = _COUNTS[key]
    value = table.get(key, default)
    if type(value) is not int or not low <= value <= high:
        raise _wrong(source, key, value, f"a whole number from {low} to {high}")
    return value


def _roots(table: Mapping[str, object], source: str) -> frozenset[bytes]:
    values = table.get("insecure_simulated", [])
    expected = "a list of sha256: and 64 hexadecimal digits each"
    if not isinstance(values, list):
        raise _wrong(source, "insecure_simulated", values, expected)
    found = set()
    for value in values:
        try:
            root = bytes.fromhex(str(value).removeprefix("sha256:"))
        except ValueError:
            root = b""
        if not str(value).startswith("sha256:") or len(root) != _FINGERPRINT:
            raise _wrong(source, "insecure_simulated", value, expected)
        found.add(root)
    return frozenset(found)


def _wrong(source: str, key: str, got: object, expected: str) -> MalformedError:
    return MalformedError("room.config", "the room's configuration can not be used",
                          where=f"{source}: [hardware.fetch] {key}".rstrip(), got=str(got)[:100],
                          expected=expected)  # fmt: skip
