"""Results in CBOR, whose claims have integers for names (draft-ietf-rats-ear section 4.3)."""

from collections.abc import Mapping
from typing import Any

from sealroom.cbor import read_cbor
from sealroom.ear.claims import bad, read_claims
from sealroom.ear.model import Ear, Spelling
from sealroom.ear.vector import MEMBERS, Tier
from sealroom.errors import MalformedError

__all__ = ["read_claims_cbor"]

MAX_SIZE = 256 * 1024
_NONCE_BYTES = range(8, 65)


def read_claims_cbor(raw: bytes, *, strict: bool = True) -> Ear:
    """Read a result's claims from a CBOR map that fills ``raw``.

    Raises:
        MalformedError: ``ear.cbor-*``, and those of `read_claims`.
        UnverifiedError: ``ear.status-overstated``.
    """
    if len(raw) > MAX_SIZE:
        raise MalformedError("ear.token", "the result is too large", got=f"{len(raw)} bytes",
                             expected=f"at most {MAX_SIZE}")  # fmt: skip
    members = read_cbor(raw, area="ear")
    if not isinstance(members, Mapping):
        raise MalformedError("ear.token", "the claims are no CBOR map", got=type(members).__name__)
    return read_claims(members, Spelling.INTEGERS, _CborValues(), strict=strict)


class _CborValues:
    def tier(self, value: Any, where: str) -> Tier:
        if isinstance(value, bool) or not isinstance(value, int) or value not in set(Tier):
            raise bad("a status is one of 0, 2, 32, 96", where=where, got=ascii(value)[:40])
        return Tier(value)

    def member(self, key: Any, where: str) -> str:
        if isinstance(key, bool) or not isinstance(key, int) or not 0 <= key < len(MEMBERS):
            raise bad("the vector has a member that no draft has", where=where, got=ascii(key)[:40])
        return MEMBERS[key]

    def nonce(self, value: Any, where: str) -> bytes:
        if not isinstance(value, bytes) or len(value) not in _NONCE_BYTES:
            raise bad("a nonce is 8 to 64 bytes", where=where, got=ascii(value)[:40])
        return value

    def octets(self, value: Any, where: str) -> bytes:
        if not isinstance(value, bytes):
            raise bad("not a byte string", where=where, got=type(value).__name__)
        return value
