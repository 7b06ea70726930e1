"""JSON documents with one spelling: RFC 8785 bytes in, an object out, and nothing tolerated (section 3)."""

import json
from collections.abc import Mapping, Sequence
from typing import NoReturn

import rfc8785

from sealroom.errors import MalformedError, MisuseError

__all__ = ["JsonObject", "check_header", "check_members", "encode", "parse"]

JsonObject = dict[str, object]


def encode(document: Mapping[str, object] | Sequence[object]) -> bytes:
    """The RFC 8785 bytes of ``document``."""
    try:
        return rfc8785.dumps(document)  # type: ignore[arg-type]
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise MisuseError("sealed.not-encodable", "a document has no canonical form", got=error) from None


def parse(raw: bytes, *, code: str, where: str) -> JsonObject:
    """The object in ``raw``, if ``raw`` is its only spelling. ``code`` names anything that is not JSON at all."""

    def refuse(reason: object) -> NoReturn:
        raise MalformedError(code, f"{where} is not a JSON document", where=where, got=reason)

    try:
        document = json.loads(raw.decode("utf-8"), parse_float=refuse, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        refuse(error)
    if not isinstance(document, dict):
        refuse(f"a JSON {type(document).__name__}")
    _require_canonical(document, raw, where)
    return document


def _require_canonical(document: JsonObject, raw: bytes, where: str) -> None:
    try:
        canonical = rfc8785.dumps(document)  # type: ignore[arg-type]
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError):
        canonical = b""
    if canonical != raw:
        raise MalformedError(
            "sealed.not-canonical",
            f"{where} is not in the canonical form of RFC 8785",
            where=where,
            hint="the file was edited or written by something else than Sealroom",
        )


def check_header(document: JsonObject, name: str, version: int, *, where: str) -> None:
    """Refuse another format or another version of it, before anything else in the document is looked at."""
    if document.get("format") != name:
        raise MalformedError("sealed.unknown-format", f"{where} is of another format", where=f"{where}, format",
                             got=_brief(document.get("format")), expected=name)  # fmt: skip
    found = document.get("format_version")
    if found != version or isinstance(found, bool):
        raise MalformedError("sealed.unknown-format-version", f"{where} is of another version of its format",
                             where=f"{where}, format_version", got=_brief(found), expected=version,
                             hint="open it with a Sealroom that knows this version")  # fmt: skip


def check_members(document: Mapping[str, object], wanted: frozenset[str], *, code: str, where: str) -> None:
    """Refuse members that are missing (``code``) or not known (``sealed.unknown-field``)."""
    if unknown := sorted(document.keys() - wanted):
        raise MalformedError("sealed.unknown-field", f"{where} has a member that is not known", where=where,
                             got=_brief(unknown[0]), expected=", ".join(sorted(wanted)))  # fmt: skip
    if missing := sorted(wanted - document.keys()):
        raise MalformedError(code, f"{where} lacks a member", where=where, got="nothing", expected=missing[0])


def _brief(value: object) -> str:
    return repr(value)[:80]
