"""Results in JSON, in both spellings (draft-ietf-rats-ear section 4.2; RFC 9711 section 7.2.2 for nonces)."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from sealroom.ear.claims import bad, read_claims
from sealroom.ear.model import PROFILES, Ear, Spelling
from sealroom.ear.names import NAMES
from sealroom.ear.vector import MEMBERS, TIER_NAMES, Tier
from sealroom.errors import MalformedError
from sealroom.jose import read_json

__all__ = ["read_claims_json", "spelling_of"]

MAX_SIZE = 256 * 1024
_NONCE_CHARACTERS = range(8, 89)


def read_claims_json(raw: bytes | Mapping[str, Any], *, strict: bool = True) -> Ear:
    """Read a result's claims from JSON, or from an object that was read strictly already.

    Raises:
        MalformedError: ``ear.token`` (no JSON object), and those of `read_claims`.
        UnverifiedError: ``ear.status-overstated``.
    """
    members = raw if isinstance(raw, Mapping) else _object(raw)
    return read_claims(members, spelling_of(members), _JsonValues(), strict=strict)


def spelling_of(members: Mapping[str, Any]) -> Spelling:
    """How a JSON result names its claims: as its profile says, or as its verifier's claim is named."""
    profile = members.get("eat_profile")
    allowed = PROFILES.get(profile, frozenset()) if isinstance(profile, str) else frozenset()
    if Spelling.DOTS in allowed and Spelling.UNDERSCORES in allowed:
        return Spelling.DOTS if NAMES[Spelling.DOTS]["verifier"] in members else Spelling.UNDERSCORES
    return Spelling.DOTS if Spelling.DOTS in allowed else Spelling.UNDERSCORES


def _object(raw: bytes) -> Mapping[str, Any]:
    if len(raw) > MAX_SIZE:
        raise MalformedError("ear.token", "the result is too large", got=f"{len(raw)} bytes",
                             expected=f"at most {MAX_SIZE}")  # fmt: skip
    members = read_json(raw, area="ear")
    if not isinstance(members, dict):
        raise MalformedError("ear.token", "the claims are no JSON object", got=type(members).__name__)
    return members


class _JsonValues:
    def tier(self, value: Any, where: str) -> Tier:
        if not isinstance(value, str) or value not in TIER_NAMES:
            raise bad("a status is one of four words", where=where, got=ascii(value)[:40])
        return TIER_NAMES[value]

    def member(self, key: Any, where: str) -> str:
        if key not in MEMBERS:
            raise bad("the vector has a member that no draft has", where=where, got=ascii(key)[:40])
        return str(key)

    def nonce(self, value: Any, where: str) -> str:
        if not isinstance(value, str) or len(value.encode("utf-8", "replace")) not in _NONCE_CHARACTERS:
            raise bad("a nonce is a text of 8 to 88 bytes", where=where, got=ascii(value)[:40])
        return value

    def octets(self, value: Any, where: str) -> bytes:
        if not isinstance(value, str):
            raise bad("not base64url text", where=where)
        try:
            raw = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise bad("not base64url", where=where) from None
        if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != value:
            raise bad("not base64url without padding", where=where)
        return raw
