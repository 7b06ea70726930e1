"""Collateral in one file: to carry into a place without a network, and to staple to evidence.

``spec/collateral-bundle.md``. A CMW collection in deterministic CBOR, like an evidence bundle: the vendor's own bytes
under the names that verification asks for, and a note on what they are for. Reading one proves nothing, and the note
decides nothing: verification checks every signature and window itself.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sealroom.collateral.deterministic_cbor import CborValue, decode, encode
from sealroom.errors import MalformedError
from sealroom.evidence import Collateral, Tee

__all__ = ["MAX_ARCHIVE", "CollateralArchive", "is_archive", "read_archive"]

MAX_ARCHIVE = 8 * 1024 * 1024
_FORMAT = "tag:sealroom.example,2026:collateral-bundle:1"
_TYPE_KEY, _NOTE = "__cmwc_t", "note"
_NOTE_TYPE = "application/vnd.sealroom.collateral-note+json"
_ITEM_TYPE = "application/octet-stream"
_ENDORSEMENTS, _REFERENCE = 2, 1
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")
_MAX_ITEMS, _MAX_NOTE = 16, 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class CollateralArchive:
    """Untrusted."""

    tee: Tee
    subject: str
    """What it was asked for, such as ``tdx-90c06f000000-platform``; a hint."""
    fetched_at: datetime
    holds_until: datetime | None
    """The earliest end that was seen when it was fetched; a hint. None: unknown."""
    collateral: Collateral = field(repr=False)

    def encode(self) -> bytes:
        """The one encoding; refuses to write what `read_archive` would not read."""
        until = None if self.holds_until is None else self.holds_until.isoformat()
        note = json.dumps({"tee": self.tee.value, "subject": self.subject, "fetched_at": self.fetched_at.isoformat(),
                           "holds_until": until}, sort_keys=True)  # fmt: skip
        outer: dict[str, CborValue] = {_TYPE_KEY: _FORMAT, _NOTE: [_NOTE_TYPE, note.encode(), _REFERENCE]}
        for name, item in self.collateral.items.items():
            outer[name] = [_ITEM_TYPE, item, _ENDORSEMENTS]
        raw = encode(outer)
        read_archive(raw)
        return raw


def is_archive(raw: bytes) -> bool:
    """Whether ``raw`` looks like one: a CBOR map that names the format."""
    return raw[:1] != b"" and 0xA0 <= raw[0] <= 0xB7 and _FORMAT.encode() in raw


def read_archive(raw: bytes) -> CollateralArchive:
    """Read one.

    Raises:
        MalformedError: ``cbor.*``, ``bundle.*``.
    """
    if len(raw) > MAX_ARCHIVE:
        raise MalformedError("bundle.too-large", "the collateral is larger than any", got=len(raw),
                             expected=MAX_ARCHIVE)  # fmt: skip
    outer = decode(raw)
    if not isinstance(outer, dict) or outer.get(_TYPE_KEY) != _FORMAT:
        raise MalformedError("bundle.version", "this is no collateral bundle of a known version", expected=_FORMAT)
    names = sorted(outer.keys() - {_TYPE_KEY, _NOTE})
    if not names or len(names) > _MAX_ITEMS or _NOTE not in outer:
        raise MalformedError("bundle.missing-member", "the collateral has no note, or no or too many items",
                             got=f"{len(names)} items", expected=f"1 to {_MAX_ITEMS}")  # fmt: skip
    items = {name: _record(name, outer[name], _ITEM_TYPE, _ENDORSEMENTS) for name in names if _named(name)}
    return _archive(_record(_NOTE, outer[_NOTE], _NOTE_TYPE, _REFERENCE), items)


def _archive(note: bytes, items: Mapping[str, bytes]) -> CollateralArchive:
    try:
        if len(note) > _MAX_NOTE:
            raise ValueError("too long")  # noqa: TRY301 - every fault of the note is one error
        facts = json.loads(note)
        until = facts["holds_until"]
        return CollateralArchive(
            tee=Tee(facts["tee"]), subject=str(facts["subject"])[:200],
            fetched_at=datetime.fromisoformat(facts["fetched_at"]),
            holds_until=None if until is None else datetime.fromisoformat(until),
            collateral=Collateral(items=items),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, RecursionError):
        raise MalformedError("bundle.bad-record", "the note on the collateral can not be read", where=_NOTE) from None


def _named(name: str) -> bool:
    if not _NAME.match(name):
        raise MalformedError("bundle.bad-name", "a collateral name is outside its grammar", got=repr(name)[:100])
    return True


def _record(name: str, value: CborValue, media_type: str, indicator: int) -> bytes:
    match value:
        case [str() as got_type, bytes() as content, int() as got_indicator] if content:
            if (got_type, got_indicator) == (media_type, indicator):
                return content
    raise MalformedError("bundle.bad-record", "a record is not [type, value, indicator] as its place asks for",
                         where=name, expected=f"{media_type}, {indicator}")  # fmt: skip
