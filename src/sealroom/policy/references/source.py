"""What a publisher writes by hand, in TOML or JSON, before it is signed (``spec/reference-values.md`` section 7)."""

import json
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sealroom.errors import MalformedError
from sealroom.policy.references.read import MAX_FILE
from sealroom.toml_keys import has_long_key

__all__ = ["payload_from"]

_PLAIN: Mapping[str, str] = {"name": "name", "publisher": "iss", "for": "for", "serial": "serial",
                             "reason": "reason", "values": "values"}  # fmt: skip
"""Their words, and what the payload calls them; the payload's reader judges the values."""
_TIMES: Mapping[str, str] = {"from": "nbf", "until": "exp"}
_MUST = ("name", "publisher", "for", "serial", "until", "values")


def payload_from(raw: bytes, *, issued_at: datetime) -> dict[str, Any]:
    """The payload to be signed.

    Args:
        raw: TOML, or JSON where it begins with a brace.
        issued_at: now, timezone-aware.

    Raises:
        MalformedError: ``reference.source``, ``reference.member-missing``, ``reference.unknown-member``,
            ``reference.time``. What is wrong with a value shows when the payload is signed.
    """
    said = _document(raw)
    if unknown := sorted(set(said) - set(_PLAIN) - set(_TIMES)):
        raise MalformedError("reference.unknown-member", "the document has an unknown key",
                             got=ascii(unknown[0])[:80], expected=", ".join((*_PLAIN, *_TIMES)))  # fmt: skip
    if missing := [key for key in _MUST if key not in said]:
        raise MalformedError("reference.member-missing", "the document lacks a key", expected=missing[0])
    times = {name: _seconds(key, said[key]) for key, name in _TIMES.items() if key in said}
    issued = int(issued_at.timestamp())
    if times["exp"] <= max(issued, times.get("nbf", issued)):
        raise MalformedError("reference.time", "the file would be over before it begins", where="until",
                             got=str(said["until"])[:40], expected=f"later than {issued_at.isoformat()}")  # fmt: skip
    return {"version": 1, "iat": issued, **times, **{name: said[key] for key, name in _PLAIN.items() if key in said}}


def _document(raw: bytes) -> dict[str, Any]:
    if len(raw) > MAX_FILE:
        raise MalformedError("reference.too-large", "the document is too large", expected=f"at most {MAX_FILE}")
    try:
        text = raw.decode("utf-8")
        said = json.loads(text) if text.lstrip()[:1] == "{" else {} if has_long_key(text) else tomllib.loads(text)
    except (ValueError, RecursionError) as reason:
        raise MalformedError("reference.source", "the document is neither TOML nor JSON",
                             got=str(reason)[:120]) from None  # fmt: skip
    if not isinstance(said, dict) or not said:
        raise MalformedError("reference.source", "the document says nothing", expected=", ".join(_MUST))
    return said


def _seconds(key: str, value: Any) -> int:
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        instant = None
    if not isinstance(instant, datetime) or instant.tzinfo is None:
        raise MalformedError("reference.time", f"{key} is no time with a timezone", where=key, got=ascii(value)[:80],
                             expected="such as 2026-12-31T00:00:00Z")  # fmt: skip
    return int(instant.astimezone(UTC).timestamp())
