"""The evidence bundle: what a room hands to a caller as proof (``spec/evidence-bundle.md`` section 2).

A CMW collection in deterministic CBOR. It keeps the vendor's own bytes, the collateral stapled to them and the
statement, and knows nothing of what they mean: reading a bundle proves nothing.
"""

import re
from dataclasses import dataclass, field

from sealroom.collateral.deterministic_cbor import CborValue, decode, encode
from sealroom.errors import MalformedError
from sealroom.evidence import Collateral, CollectedEvidence, Tee

__all__ = ["MAX_BUNDLE_SIZE", "MEDIA_TYPE", "BundleMember", "EvidenceBundle", "parse_bundle"]

MEDIA_TYPE = "application/cmw+cbor"
MAX_BUNDLE_SIZE = 4 * 1024 * 1024
MAX_STATEMENT_SIZE = 64 * 1024
MAX_VALUE_SIZE = 1024 * 1024
MAX_COLLATERAL = 16

_TYPE_KEY = "__cmwc_t"
_FORMAT = "tag:sealroom.example,2026:evidence-bundle:1"
_STATEMENT_TYPE = "application/vnd.sealroom.room-statement+json"
_EVIDENCE_TYPE = "application/vnd.sealroom.evidence."
_COLLATERAL_TYPES = {
    "leaf": "application/pkix-cert",
    "chain": "application/pem-certificate-chain",
    "crl": "application/pkix-crl",
}
_EVIDENCE, _ENDORSEMENTS = 4, 2
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")
_LABELS = ("cpu",)


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleMember:
    """Evidence of one TEE, in the vendor's own bytes, with its collateral."""

    label: str
    """``cpu``; later versions add devices."""
    tee: Tee
    raw: bytes = field(repr=False)
    collateral: Collateral = field(repr=False)

    @classmethod
    def cpu(cls, collected: CollectedEvidence) -> "BundleMember":
        """The member that the machine's own attester makes."""
        return cls(label="cpu", tee=collected.tee, raw=collected.raw, collateral=collected.collateral)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceBundle:
    """A statement and the evidence that is said to vouch for it. Nothing here is verified."""

    statement: bytes = field(repr=False)
    evidence: tuple[BundleMember, ...]

    @property
    def cpu(self) -> BundleMember:
        """The one CPU member, which vouches for everything else."""
        return self.evidence[0]

    def encode(self) -> bytes:
        """The one encoding of this bundle; refuses to write what `parse_bundle` would not read."""
        outer: dict[str, CborValue] = {
            _TYPE_KEY: _FORMAT,
            "statement": [_STATEMENT_TYPE, self.statement, _EVIDENCE],
            **{member.label: _member_value(member) for member in self.evidence},
        }
        raw = encode(outer)
        parse_bundle(raw)
        return raw


def parse_bundle(raw: bytes) -> EvidenceBundle:
    """Read a bundle.

    Raises:
        MalformedError: ``cbor.*`` or ``bundle.*``, for every row of section 2.4.
    """
    _limit("the bundle", len(raw), MAX_BUNDLE_SIZE)
    outer = _as_map(decode(raw), "the bundle")
    _check_format(outer)
    wanted = {_TYPE_KEY, "statement", *_LABELS}
    _check_members(set(outer), wanted)
    bundle = EvidenceBundle(
        statement=_record(outer["statement"], "statement", _STATEMENT_TYPE, _EVIDENCE, MAX_STATEMENT_SIZE),
        evidence=tuple(_member(label, outer[label]) for label in _LABELS),
    )
    _check_deterministic(outer, raw)
    return bundle


def _member_value(member: BundleMember) -> CborValue:
    value: dict[str, CborValue] = {"evidence": [_EVIDENCE_TYPE + member.tee.value, member.raw, _EVIDENCE]}
    for name, item in member.collateral.items.items():
        if name == "evidence":
            raise MalformedError("bundle.bad-name", "a collateral value can not be called evidence")
        value[name] = [_collateral_type(name), item, _ENDORSEMENTS]
    return value


def _member(label: str, value: CborValue) -> BundleMember:
    records = _as_map(value, label)
    if "evidence" not in records:
        raise MalformedError("bundle.missing-member", "the member has no evidence", where=label)
    names = sorted(records.keys() - {"evidence"})
    if len(names) > MAX_COLLATERAL:
        raise MalformedError("bundle.too-large", "too many collateral values", where=label, got=len(names),
                             expected=f"at most {MAX_COLLATERAL}")  # fmt: skip
    tee = _tee(records["evidence"], f"{label}.evidence")
    raw = _record(records["evidence"], f"{label}.evidence", _EVIDENCE_TYPE + tee.value, _EVIDENCE, MAX_VALUE_SIZE)
    items = {name: _collateral_item(label, name, records[name]) for name in names}
    return BundleMember(label=label, tee=tee, raw=raw, collateral=Collateral(items=items))


def _collateral_item(label: str, name: str, value: CborValue) -> bytes:
    if not _NAME.match(name):
        raise MalformedError(
            "bundle.bad-name", "a collateral name is outside its grammar", where=label, got=repr(name)
        )
    return _record(value, f"{label}.{name}", _collateral_type(name), _ENDORSEMENTS, MAX_VALUE_SIZE)


def _collateral_type(name: str) -> str:
    return _COLLATERAL_TYPES.get(name, "application/octet-stream")


def _tee(value: CborValue, where: str) -> Tee:
    media_type = value[0] if isinstance(value, list) and value else None
    name = media_type.removeprefix(_EVIDENCE_TYPE) if isinstance(media_type, str) else ""
    if name == media_type or name not in set(Tee):
        raise MalformedError("bundle.wrong-type", "not a kind of evidence that is known here", where=where,
                             got=repr(media_type)[:100],
                             expected=_EVIDENCE_TYPE + "{" + ", ".join(Tee) + "}")  # fmt: skip
    return Tee(name)


def _record(value: CborValue, where: str, media_type: str, indicator: int, limit: int) -> bytes:
    match value:
        case [str() as got_type, bytes() as content, int() as got_indicator]:
            pass
        case _:
            raise MalformedError("bundle.bad-record", "a record is not [type, value, indicator]", where=where)
    if (got_type, got_indicator) != (media_type, indicator):
        raise MalformedError("bundle.wrong-type", "a record has another type or indicator than its place asks for",
                             where=where, got=f"{got_type!r:.100}, {got_indicator}",
                             expected=f"{media_type!r}, {indicator}")  # fmt: skip
    if not content:
        raise MalformedError("bundle.empty-value", "a record is empty", where=where)
    _limit(where, len(content), limit)
    return content


def _as_map(value: CborValue, where: str) -> dict[str, CborValue]:
    if not isinstance(value, dict):
        code = "bundle.not-a-bundle" if where == "the bundle" else "bundle.bad-record"
        raise MalformedError(code, f"{where} is not a map", got=type(value).__name__)
    return value


def _check_format(outer: dict[str, CborValue]) -> None:
    found = outer.get(_TYPE_KEY)
    if not isinstance(found, str):
        raise MalformedError("bundle.not-a-bundle", f"the collection has no {_TYPE_KEY}", expected=_FORMAT)
    if found != _FORMAT:
        raise MalformedError("bundle.version", "the collection is not an evidence bundle of a known version",
                             where=_TYPE_KEY, got=repr(found)[:100], expected=_FORMAT,
                             hint="a newer room may need a newer sealroom here")  # fmt: skip


def _check_members(found: set[str], wanted: set[str]) -> None:
    if unknown := sorted(found - wanted):
        raise MalformedError("bundle.unknown-member", "the bundle has a member that its version does not know",
                             got=repr(unknown[0])[:100], expected=", ".join(sorted(wanted)))  # fmt: skip
    if missing := sorted(wanted - found):
        raise MalformedError("bundle.missing-member", "the bundle lacks a member", expected=missing[0])


def _check_deterministic(outer: dict[str, CborValue], raw: bytes) -> None:
    if encode(outer) != raw:  # the reader is strict already; this is the second lock on the same door
        raise MalformedError("bundle.not-deterministic", "re-encoding the bundle gives other bytes")


def _limit(where: str, size: int, limit: int) -> None:
    if size > limit:
        raise MalformedError("bundle.too-large", f"{where} is too large", got=f"{size} bytes",
                             expected=f"at most {limit}")  # fmt: skip
