"""From bytes to a `ReferenceFile`: a JWS in general JSON form, each signature read as a token of its own
(``spec/reference-values.md`` sections 2 and 3).
"""

import hashlib
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sealroom.errors import MalformedError
from sealroom.jose import parse_jwt, read_json, read_jwks
from sealroom.policy.references.keys import REFERENCE_KEYS, Form
from sealroom.policy.references.model import ReferenceFile, SignatureEntry

__all__ = ["MAX_FILE", "TYPE", "read_reference_file"]

MAX_FILE = 128 * 1024
TYPE = "sealroom-reference-values+json"
"""``typ`` of every signature, so that none made for something else serves here (RFC 8725 section 3.11)."""

_AREA = "reference"
_MEMBERS = frozenset({"version", "name", "iss", "for", "serial", "iat", "exp", "values"})
_OPTIONAL = frozenset({"nbf", "reason"})
_MOST_SIGNATURES, _MOST_VALUES, _MOST_SERIAL = 64, 1000, 2**53 - 1


def read_reference_file(raw: bytes) -> ReferenceFile:
    """Read a file; nothing of it counts before `with_references` has judged it.

    Raises:
        MalformedError: ``reference.*``.
    """
    if len(raw) > MAX_FILE:
        raise _bad("too-large", "the reference file is too large", f"{len(raw)} bytes", f"at most {MAX_FILE}")
    document = read_json(raw, area=_AREA)
    if not isinstance(document, dict) or set(document) != {"payload", "signatures"}:
        raise _bad("envelope", "this is no JWS in general JSON form", None, "payload and signatures, no more")
    payload, entries = document["payload"], document["signatures"]
    if not isinstance(payload, str) or not isinstance(entries, list) or not 1 <= len(entries) <= _MOST_SIGNATURES:
        raise _bad("envelope", "payload is no text, or signatures no list", None, f"1 to {_MOST_SIGNATURES} of them")
    signatures = tuple(_signature(payload, entry) for entry in entries)
    if len({entry.key.spki_sha256 for entry in signatures}) != len(signatures):
        raise _bad("signer-twice", "a signer is here twice", len(signatures), "each signer once")
    return _read(signatures[0].token.claims, hashlib.sha256(raw).digest(), signatures)


def _signature(payload: str, entry: Any) -> SignatureEntry:
    if not isinstance(entry, dict) or set(entry) != {"protected", "signature"}:
        raise _bad("envelope", "a signature has other members", None, "protected and signature")
    if not all(isinstance(entry[name], str) for name in entry):
        raise _bad("envelope", "a signature's members are no texts", None, "base64url")
    token = parse_jwt(f"{entry['protected']}.{payload}.{entry['signature']}", area=_AREA)
    if set(token.header) != {"alg", "jwk", "typ"} or token.header["typ"] != TYPE:
        raise _bad("header", "a signature's header has other members", sorted(token.header), f"alg, jwk, typ {TYPE}")
    keys = read_jwks(json.dumps({"keys": [token.header["jwk"]]}).encode(), area=_AREA)
    if len(keys) != 1:
        raise _bad("header", "a signature brings no key that can sign here", None, "an EC or RSA key")
    return SignatureEntry(token=token, key=keys[0])


def _read(said: Mapping[str, Any], digest: bytes, signatures: tuple[SignatureEntry, ...]) -> ReferenceFile:
    if missing := sorted(_MEMBERS - set(said)):
        raise _bad("member-missing", "the reference file lacks a member", None, missing[0])
    if unknown := sorted(set(said) - _MEMBERS - _OPTIONAL):
        raise _bad("unknown-member", "the reference file has an unknown member", ascii(unknown[0])[:80], None)
    if said["version"] != 1 or isinstance(said["version"], bool):
        raise _bad("version", "the reference file is of a version that is not known here", said["version"], 1)
    serial = said["serial"]
    if isinstance(serial, bool) or not isinstance(serial, int) or not 0 <= serial <= _MOST_SERIAL:
        raise _bad("serial", "the serial is no count", ascii(serial)[:40], f"0 to {_MOST_SERIAL}")
    table = _text(said, "for")
    if table not in REFERENCE_KEYS:
        raise _bad("table", "the values are for no table of a policy", table, ", ".join(REFERENCE_KEYS))
    return ReferenceFile(
        name=_text(said, "name"), publisher=_text(said, "iss"), table=table, serial=serial,
        values=_values(said["values"], REFERENCE_KEYS[table], table),
        reason=_text(said, "reason") if "reason" in said else "", digest=digest, signatures=signatures,
    )  # fmt: skip


def _values(values: Any, forms: Mapping[str, Form], table: str) -> Mapping[str, tuple[bytes | str, ...]]:
    if not isinstance(values, dict) or not values:
        raise _bad("values", "the reference file has no values", None, "lists of values by key")
    found = {}
    for key, listed in values.items():
        if key not in forms:
            raise _bad("values", f"[{table}] takes no such key from a file", ascii(key)[:80], ", ".join(forms))
        if not isinstance(listed, list) or not 1 <= len(listed) <= _MOST_VALUES:
            raise _bad("values", f"the values of {key} are no list", None, f"1 to {_MOST_VALUES} values")
        found[key] = tuple(_value(key, one, forms[key]) for one in listed)
    return MappingProxyType(found)


def _value(key: str, text: Any, form: Form) -> bytes | str:
    value = form.read(text) if isinstance(text, str) else None
    if value is None:
        raise _bad("values", f"a value that {key} can not have", ascii(text)[:120], form.expected)
    return value


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said[name]
    if not isinstance(value, str) or not 1 <= len(value) <= 300 or not value.isprintable():
        raise _bad("text", f"{name} is no text", ascii(value)[:80], "1 to 300 printable characters")
    return value


def _bad(what: str, message: str, got: object, expected: object) -> MalformedError:
    return MalformedError(f"reference.{what}", message, got=got, expected=expected)
