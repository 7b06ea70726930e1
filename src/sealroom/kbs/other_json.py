"""Evidence of TEEs other than SNP as JSON, in the protocol's forms, and back. ``spec/key-release.md`` section 4.

As with SNP this is transcription: whether the bytes prove anything is the matter of `sealroom.tees`. The protocol has
the broker fetch what verification needs beside the evidence; ours fetches nothing, so that it comes along, in a
member ``collateral`` of ours, which a stock broker passes over.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from sealroom.errors import MalformedError
from sealroom.evidence import Collateral
from sealroom.kbs.json_text import Json, JsonObject, b64_decode, b64_encode, compact, members, parse_object
from sealroom.kbs.snp_certs import byte_list

__all__ = ["Document", "Octets"]

_COLLATERAL = "collateral"
_MAX_ITEMS = 16
_MAX_TOKEN = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Octets:
    """Evidence that stands in one member: a quote, a token, a document."""

    member: str
    is_list: bool = False
    """Written as a list of numbers, as byte arrays are where nobody asked for base64."""
    others: frozenset[str] = frozenset()
    """Members that stock guests send too, and nobody here reads."""

    def parse(self, evidence: JsonObject) -> tuple[bytes, Collateral]:
        """The evidence's bytes and what came with it, as untrusted as they came."""
        required = frozenset({self.member})
        found = members(evidence, what="the evidence", required=required, optional=self.others | {_COLLATERAL})
        value = found[self.member]
        return self._octets(value), _parse_collateral(evidence)

    def write(self, raw: bytes, collateral: Collateral) -> JsonObject:
        """The same as a KBS reads it."""
        value: Json = cast(Json, list(raw)) if self.is_list else b64_encode(raw)
        return {self.member: value, **_write_collateral(collateral)}

    def _octets(self, value: Json) -> bytes:
        if self.is_list:
            size = len(value) if isinstance(value, list) else 0
            if not 0 < size <= _MAX_TOKEN:
                raise _unreadable(self.member, "it is no list of numbers of a size that can be")
            return byte_list(value, self.member, size)
        if not isinstance(value, str):
            raise _unreadable(self.member, "it is not base64 text")
        return b64_decode(value, what=self.member)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Evidence that is itself a JSON object, whose members its TEE reads."""

    accepts: Callable[[JsonObject], bool] = lambda _: True
    """Whether it is of the kind that its name says."""

    def parse(self, evidence: JsonObject) -> tuple[bytes, Collateral]:
        """The object's bytes without our member, and what came with it."""
        own: JsonObject = {name: value for name, value in evidence.items() if name != _COLLATERAL}
        if not self.accepts(own):
            raise _unreadable("primary_evidence", "it is evidence of another kind of machine than announced")
        return compact(own), _parse_collateral(evidence)

    def write(self, raw: bytes, collateral: Collateral) -> JsonObject:
        """The object, and what goes with it."""
        return {**parse_object(raw, what="the evidence"), **_write_collateral(collateral)}


def _parse_collateral(evidence: JsonObject) -> Collateral:
    value = evidence.get(_COLLATERAL, {})
    if not isinstance(value, dict) or len(value) > _MAX_ITEMS:
        raise _unreadable(_COLLATERAL, f"it is no object of at most {_MAX_ITEMS} members")
    items = {}
    for name, item in value.items():
        if not isinstance(item, str) or not item:
            raise _unreadable(_COLLATERAL, "an item is not base64 text")
        items[name] = b64_decode(item, what=_COLLATERAL)
    return Collateral(items=items)


def _write_collateral(collateral: Collateral) -> JsonObject:
    items: JsonObject = {name: b64_encode(item) for name, item in sorted(collateral.items.items())}
    return {_COLLATERAL: items} if items else {}


def _unreadable(member: str, why: str) -> MalformedError:
    return MalformedError("kbs.evidence", f"the evidence can not be read: {why}", where=member)
