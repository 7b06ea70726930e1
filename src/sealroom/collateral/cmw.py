"""Conceptual message wrappers of others (RATS CMW, draft-ietf-rats-msg-wrap): read, in all of their forms, strictly.

A wrapper says of which type a message is, and nothing of whether it is true. Our own bundle is one such collection
with rules of its own (`collateral.bundle`); this reads anybody's.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntFlag, StrEnum
from typing import Any

from sealroom.cbor import Tagged, read_cbor
from sealroom.errors import MalformedError
from sealroom.jose import read_json

__all__ = ["Cmw", "CmwCollection", "CmwForm", "CmwRecord", "Indicator", "content_format_of", "read_cmw"]

MAX_SIZE = 4 << 20
_MAX_DEPTH = 8
_MAX_MEMBERS = 256
_TYPE_KEY = "__cmwc_t"
_TAGS = range(1668546817, 1668612096)
"""What RFC 9277 appendix B derives from content formats 0 to 65024."""
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][\w!#$&^.+-]{0,126}/[A-Za-z0-9][\w!#$&^.+-]{0,126}(;\s*[\x21-\x7e ]{1,512})?")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+")
_OID = re.compile(r"[0-2](\.(0|[1-9]\d*))+")
_C2J, _J2C = "#cmw-c2j-tunnel", "#cmw-j2c-tunnel"


class CmwForm(StrEnum):
    """How a wrapper is written."""

    JSON_RECORD = "json-record"
    CBOR_RECORD = "cbor-record"
    CBOR_TAG = "cbor-tag"
    JSON_COLLECTION = "json-collection"
    CBOR_COLLECTION = "cbor-collection"


class Indicator(IntFlag):
    """Which kinds of message a record holds (draft section 3.1, registry of section 10.4)."""

    REFERENCE_VALUES = 1
    ENDORSEMENTS = 2
    EVIDENCE = 4
    ATTESTATION_RESULTS = 8
    POLICY = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class CmwRecord:
    """One message and its type."""

    form: CmwForm
    type: str | int
    """A media type, or the number of a CoAP content format."""
    value: bytes = field(repr=False)
    indicator: Indicator | None = None
    """None: it says nothing; a record with an empty indicator is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CmwCollection:
    """Wrappers under labels that are unique here. Nothing binds them to each other: that is their user's matter."""

    form: CmwForm
    type: str | None
    """What the collection as a whole is: a URI or an object identifier."""
    members: "Mapping[str | int, Cmw]"


Cmw = CmwRecord | CmwCollection


def read_cmw(raw: bytes) -> Cmw:
    """Read one wrapper that fills ``raw``; its first byte says which form it has (draft section 4).

    Args:
        raw: untrusted, at most 4 MiB.

    Raises:
        MalformedError: ``cmw.form``, ``cmw.record``, ``cmw.tag``, ``cmw.collection``, ``cmw.too-deep``,
            ``cmw.too-large``, ``cmw.token`` (broken JSON), ``cmw.cbor-*``.
    """
    return _read(raw, 0)


def content_format_of(tag: int) -> int:
    """The CoAP content format that a CBOR tag stands for: the inverse of TN() in RFC 9277 appendix B.

    Of every 256 tags one is left out, so that none has 0 as its lowest byte.

    Raises:
        MalformedError: ``cmw.tag``.
    """
    high, low = divmod(tag - _TAGS[0], 256)
    if tag not in _TAGS or low == 255:
        raise MalformedError("cmw.tag", "the tag stands for no content format", got=str(tag)[:40],
                             expected=f"{_TAGS[0]} to {_TAGS[-1]}")  # fmt: skip
    return high * 255 + low


def _read(raw: bytes, depth: int) -> Cmw:
    if len(raw) > MAX_SIZE:
        raise MalformedError("cmw.too-large", "the wrapper is too large", got=f"{len(raw)} bytes",
                             expected=f"at most {MAX_SIZE}")  # fmt: skip
    first = raw[0] if raw else None
    if first in {0x5B, 0x7B}:
        return _json(read_json(raw, area="cmw"), depth)
    if first is not None and (first in {0x82, 0x83, 0x9F, 0xBF} or 0xA0 <= first <= 0xBB or 0xC0 <= first <= 0xDB):
        return _cbor(read_cbor(raw, area="cmw"), depth)
    raise MalformedError("cmw.form", "these bytes begin as no wrapper does",
                         got="nothing" if first is None else f"0x{first:02x}",
                         expected="a record, a tag or a collection")  # fmt: skip


def _json(value: Any, depth: int) -> Cmw:
    if isinstance(value, list):
        if value[:1] == [_C2J]:
            return _tunnel(value, depth, CmwForm.CBOR_RECORD)
        return _json_record(value)
    if isinstance(value, dict):
        return _collection(value, CmwForm.JSON_COLLECTION, depth)
    raise _bad_record("a wrapper in JSON is an array or an object", type(value).__name__)


def _cbor(value: Any, depth: int) -> Cmw:
    if isinstance(value, Tagged):
        if not isinstance(value.value, bytes):
            raise MalformedError("cmw.tag", "a tag stands before bytes", got=type(value.value).__name__)
        return CmwRecord(form=CmwForm.CBOR_TAG, type=content_format_of(value.tag), value=value.value)
    if isinstance(value, list):
        if value[:1] == [_J2C]:
            return _tunnel(value, depth, CmwForm.JSON_RECORD)
        return _cbor_record(value)
    if isinstance(value, dict):
        return _collection(value, CmwForm.CBOR_COLLECTION, depth)
    raise _bad_record("a wrapper in CBOR is an array, a tag or a map", type(value).__name__)


def _json_record(value: list[Any]) -> CmwRecord:
    kind, message, indicator = _members(value)
    if not isinstance(kind, str) or not isinstance(message, str):
        raise _bad_record("a record in JSON has a media type and base64url text", None)
    if not message:
        raise _bad_record("a record in JSON holds at least one byte", None)
    return CmwRecord(form=CmwForm.JSON_RECORD, type=_media_type(kind), value=_base64url(message),
                     indicator=indicator)  # fmt: skip


def _cbor_record(value: list[Any]) -> CmwRecord:
    kind, message, indicator = _members(value)
    if isinstance(kind, bool) or not isinstance(kind, str | int) or not isinstance(message, bytes):
        raise _bad_record("a record in CBOR has a media type or content format, and bytes", None)
    if isinstance(kind, int) and not 0 <= kind <= 0xFFFF:
        raise _bad_record("a content format is a number of 16 bits", str(kind)[:40])
    return CmwRecord(form=CmwForm.CBOR_RECORD, type=_media_type(kind) if isinstance(kind, str) else kind,
                     value=message, indicator=indicator)  # fmt: skip


def _members(value: list[Any]) -> tuple[Any, Any, Indicator | None]:
    if len(value) not in {2, 3}:
        raise _bad_record("a record has two or three members", str(len(value)))
    if len(value) == 2:
        return value[0], value[1], None
    number = value[2]
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= sum(Indicator):
        raise _bad_record("an indicator has at least one of its five bits, and no other", ascii(number)[:40])
    return value[0], value[1], Indicator(number)


def _collection(value: dict[Any, Any], form: CmwForm, depth: int) -> CmwCollection:
    if depth >= _MAX_DEPTH:
        raise MalformedError("cmw.too-deep", "collections are nested too deeply", expected=f"at most {_MAX_DEPTH}")
    kind = value.get(_TYPE_KEY)
    if _TYPE_KEY in value and not (isinstance(kind, str) and (_URI.fullmatch(kind) or _OID.fullmatch(kind))):
        raise _bad_collection("its type is neither a URI nor an object identifier", ascii(kind)[:80])
    labels = [label for label in value if label != _TYPE_KEY]
    if not 1 <= len(labels) <= _MAX_MEMBERS:
        raise _bad_collection(f"a collection has 1 to {_MAX_MEMBERS} members", str(len(labels)))
    if any(not isinstance(label, str | int) or label == "" for label in labels):
        raise _bad_collection("a label is a text or an integer", None)
    read = _json if form is CmwForm.JSON_COLLECTION else _cbor
    return CmwCollection(form=form, type=kind, members={label: read(value[label], depth + 1) for label in labels})


def _tunnel(value: list[Any], depth: int, inner: CmwForm) -> Cmw:
    """A wrapper of the other encoding inside a collection (draft section 3.3.2); nowhere else."""
    if depth == 0 or len(value) != 2 or not isinstance(value[1], str if inner is CmwForm.CBOR_RECORD else bytes):
        raise _bad_record("a tunnel stands in a collection, and holds one wrapper", None)
    raw = _base64url(value[1]) if isinstance(value[1], str) else value[1]
    is_json = raw[:1] in {b"[", b"{"}
    if is_json is not (inner is CmwForm.JSON_RECORD):
        raise _bad_record("a tunnel leads to the other encoding", None)
    return _read(raw, depth + 1)


def _media_type(text: str) -> str:
    if not _MEDIA_TYPE.fullmatch(text):
        raise _bad_record("not a media type", ascii(text)[:80])
    return text


def _base64url(text: str) -> bytes:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _bad_record("not base64url", None) from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
        raise _bad_record("not base64url without padding", None)
    return raw


def _bad_record(message: str, got: str | None) -> MalformedError:
    return MalformedError("cmw.record", f"the record can not be read: {message}", got=got)


def _bad_collection(message: str, got: str | None) -> MalformedError:
    return MalformedError("cmw.collection", f"the collection can not be read: {message}", got=got)
