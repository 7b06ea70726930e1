"""Intel's signed JSON: an object, and a signature over the very bytes in which it came.

    {"tcbInfo":{…},"signature":"128 hexadecimal digits"}

What is signed is the inner object as the service wrote it: nothing is parsed and written again. Where it begins and
ends is found without understanding it, since the signature stands last and holds no comma; whoever moves those
borders changes what is signed. Only what bears the signature is read as JSON.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from sealroom.errors import MalformedError, UnverifiedError

__all__ = ["MAX_SIGNED_JSON", "read_object", "signed_body", "verify_signature"]

MAX_SIGNED_JSON = 1024 * 1024
_SPACE = b" \t\r\n"
_TAIL = re.compile(rb'[ \t\r\n]*"signature"[ \t\r\n]*:[ \t\r\n]*"([0-9a-fA-F]{128})"[ \t\r\n]*\}[ \t\r\n]*')
_MAX_DIGITS = 18
_ECDSA = ec.ECDSA(hashes.SHA256())


def signed_body(raw: bytes, member: str, *, area: str) -> tuple[bytes, bytes]:
    """The object after ``"member":`` as it stands there, and the 64 bytes of its signature. Untrusted.

    Raises:
        MalformedError: ``AREA``: not of this form.
    """
    if len(raw) > MAX_SIGNED_JSON:
        raise _malformed(area, "is larger than any", f"{len(raw)} bytes", f"at most {MAX_SIGNED_JSON}")
    head = re.match(rb'[ \t\r\n]*\{[ \t\r\n]*"' + member.encode() + rb'"[ \t\r\n]*:[ \t\r\n]*(?=\{)', raw)
    if head is None:
        raise _malformed(area, f"does not begin with {member}", repr(raw[:40])[1:], f'{{"{member}":{{')
    comma = raw.rfind(b",")
    tail = _TAIL.fullmatch(raw, comma + 1)
    body = raw[head.end() : max(comma, head.end())].rstrip(_SPACE)
    if tail is None or not body.endswith(b"}"):
        raise _malformed(area, "does not end with its signature", repr(raw[-40:])[1:],
                         ',"signature":"128 hexadecimal digits"}')  # fmt: skip
    return body, bytes.fromhex(tail[1].decode("ascii"))


def verify_signature(body: bytes, signature: bytes, key: ec.EllipticCurvePublicKey, *, area: str) -> None:
    """Raise `UnverifiedError` ``AREA-signature`` unless ``signature`` (r and s, 32 bytes each) is over ``body``."""
    numbers = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        key.verify(encode_dss_signature(*numbers), body, _ECDSA)
    except InvalidSignature:
        raise UnverifiedError(
            f"{area}-signature",
            "the collateral does not bear the signature of its signer, or was changed since",
            hint="keep the service's answer as it came: other spaces or another order of members are another text",
        ) from None


def read_object(body: bytes, *, area: str) -> Mapping[str, Any]:
    """``body``, whose signature holds, as an object; no member twice at any level.

    Raises:
        MalformedError: ``AREA``.
    """
    try:
        # decoded here: json would guess other encodings too, and let half a surrogate pass
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_members, parse_int=_integer, parse_float=_no_number,
            parse_constant=_no_number,
        )  # fmt: skip
    except (ValueError, RecursionError) as reason:
        raise _malformed(area, "is not JSON", str(reason)[:100], "one object, no member twice") from None
    if not isinstance(value, dict):
        raise _malformed(area, "is no object", type(value).__name__, "an object")
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice in one object")
    return members


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > _MAX_DIGITS:
        raise ValueError("a number is larger than any that is read")
    return int(digits)


def _no_number(text: str) -> float:
    raise ValueError(f"{text:.20} is no whole number")


def _malformed(area: str, what: str, got: str, expected: str) -> MalformedError:
    return MalformedError(area, f"the collateral {what}", got=got, expected=expected)
