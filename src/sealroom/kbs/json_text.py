"""JSON and base64 as the protocol means them: one reading of every text, or an error.

Two readers that differ on a duplicate member or a stray bit are an attack waiting for its hour, so neither is let in.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import TypeAlias, cast

import rfc8785

from sealroom.errors import MalformedError

__all__ = [
    "Json",
    "JsonObject",
    "b64_decode",
    "b64_encode",
    "b64url_decode",
    "b64url_encode",
    "canonical",
    "compact",
    "members",
    "parse_object",
    "text_member",
]

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = dict[str, Json]

_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse_object(raw: bytes, *, what: str) -> JsonObject:
    """Read ``raw`` as one JSON object; ``what`` names it in errors.

    Raises:
        MalformedError: ``kbs.json``, for anything that two readers might read differently.
    """
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
        if _SURROGATE_ESCAPE.search(raw):
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate has no UTF-8
    except (ValueError, RecursionError) as error:
        raise MalformedError("kbs.json", f"{what} is not JSON that can be read in one way only") from error
    if not isinstance(value, dict):
        raise MalformedError("kbs.json", f"{what} is not a JSON object", got=type(value).__name__)
    return cast(JsonObject, value)


def _unique(pairs: list[tuple[str, Json]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member name occurs twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def members(
    value: Json, *, what: str, required: frozenset[str], optional: frozenset[str] = frozenset()
) -> JsonObject:
    """``value`` as an object with all ``required`` members and none beyond ``optional``."""
    if not isinstance(value, dict):
        raise MalformedError("kbs.member-type", f"{what} is not an object", got=type(value).__name__)
    if missing := required - value.keys():
        raise MalformedError("kbs.member-missing", f"{what} lacks a member", expected=", ".join(sorted(missing)))
    if value.keys() - required - optional:
        # Names are the sender's text, of any length: not repeated.
        raise MalformedError("kbs.member-unknown", f"{what} has a member that does not belong there",
                             expected=", ".join(sorted(required | optional)))  # fmt: skip
    return value


def text_member(obj: Mapping[str, Json], name: str, *, what: str) -> str:
    """The member ``name``, which must be a string."""
    value = obj.get(name)
    if not isinstance(value, str):
        raise MalformedError("kbs.member-type", f"{name} of {what} is not a string", got=type(value).__name__)
    return value


def compact(value: Json) -> bytes:
    """JSON without white space, members in the order in which they stand."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def canonical(value: Json) -> bytes:
    """RFC 8785 form."""
    try:
        return rfc8785.dumps(value)
    except (ValueError, RecursionError) as error:  # CanonicalizationError is a ValueError
        raise MalformedError("kbs.json", "a value has no canonical JSON form (RFC 8785)") from error


def b64url_encode(raw: bytes) -> str:
    """RFC 4648 section 5, no padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def b64url_decode(text: str, *, what: str) -> bytes:
    """The one byte string whose unpadded base64url is ``text``."""
    return _exact(text, base64.urlsafe_b64decode, b64url_encode, padding="=" * (-len(text) % 4), what=what)


def b64_encode(raw: bytes) -> str:
    """RFC 4648 section 4, padded."""
    return base64.b64encode(raw).decode("ascii")


def b64_decode(text: str, *, what: str) -> bytes:
    """The one byte string whose padded base64 is ``text``."""
    return _exact(text, base64.b64decode, b64_encode, padding="", what=what)


def _exact(
    text: str, decode: Callable[[str], bytes], encode: Callable[[bytes], str], *, padding: str, what: str
) -> bytes:
    # Encoding again and comparing refuses stray characters, white space, wrong padding and set trailing bits at once.
    try:
        raw = decode(text + padding)
    except (ValueError, binascii.Error) as error:
        raise MalformedError("kbs.base64", f"{what} is not base64 of the expected kind") from error
    if encode(raw) != text:
        raise MalformedError("kbs.base64", f"{what} is not base64 of the expected kind")
    return raw
