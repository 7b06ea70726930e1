"""The evidence bundle: what a room hands to a caller as proof (``spec/evidence-bundle.md`` section 2).

A CMW collection in deterministic CBOR. It keeps the vendor's own bytes, the collateral stapled to them and the
statement, and knows nothing of what they mean: reading a bundle proves nothing.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sealroom.collateral.deterministic_cbor import CborValue, decode, encode, is_encoding_of
from sealroom.errors import MalformedError
from sealroom.evidence import Collateral, CollectedEvidence, Tee

__all__ = ["MAX_BUNDLE_SIZE", "MEDIA_TYPE", "DeviceEvidence", "EvidenceBundle", "parse_bundle"]

MEDIA_TYPE = "application/cmw+cbor"
MAX_BUNDLE_SIZE = 4 * 1024 * 1024
MAX_STATEMENT_SIZE = 64 * 1024
MAX_VALUE_SIZE = 1024 * 1024
MAX_COLLATERAL = 16
MAX_DEVICES = 64

_TYPE_KEY = "__cmwc_t"
_FORMAT = "tag:sealroom.example,2026:evidence-bundle:2"
_STATEMENT_TYPE = "application/vnd.sealroom.room-statement+json"
_EVIDENCE_TYPE = "application/vnd.sealroom.evidence."
_TEES = {_EVIDENCE_TYPE + tee.value: tee for tee in Tee}
_COLLATERAL_TYPES = {
    "leaf": "application/pkix-cert",
    "chain": "application/pem-certificate-chain",
    "crl": "application/pkix-crl",
}
_OCTETS = "application/octet-stream"
_EVIDENCE, _ENDORSEMENTS = 4, 2
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")
_DEVICE = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_MUST = frozenset({_TYPE_KEY, "statement", "cpu"})
_MAY = frozenset({"devices", "endorsements"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEvidence:
    """Evidence of one device, in the vendor's own bytes."""

    tee: Tee
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceBundle:
    """A statement and the evidence that is said to vouch for it. Nothing here is verified."""

    statement: bytes = field(repr=False)
    cpu: CollectedEvidence
    """What vouches for everything else."""
    devices: Mapping[str, DeviceEvidence] = field(default_factory=dict)
    """By the name that the statement gives each."""
    endorsements: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
    """The devices' collateral by its SHA-256, each value once; which device it is for is in the statement."""

    @classmethod
    def of(
        cls, statement: bytes, cpu: CollectedEvidence, devices: Mapping[str, CollectedEvidence] | None = None
    ) -> "EvidenceBundle":
        """The bundle of what a room's machine and its devices gave."""
        given = devices or {}
        values = {value for collected in given.values() for value in collected.collateral.items.values()}
        return cls(
            statement=statement,
            cpu=cpu,
            devices={name: DeviceEvidence(tee=one.tee, raw=one.raw) for name, one in given.items()},
            endorsements={hashlib.sha256(value).digest(): value for value in values},
        )

    def encode(self) -> bytes:
        """The one encoding of this bundle; refuses to write what `parse_bundle` would not read."""
        outer: dict[str, CborValue] = {
            _TYPE_KEY: _FORMAT,
            "statement": [_STATEMENT_TYPE, self.statement, _EVIDENCE],
            "cpu": _cpu_value(self.cpu),
        }
        if self.devices:
            outer["devices"] = {name: _evidence_record(one.tee, one.raw) for name, one in self.devices.items()}
        if self.endorsements:
            outer["endorsements"] = {
                digest.hex(): [_OCTETS, value, _ENDORSEMENTS] for digest, value in self.endorsements.items()
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
    _check_members(set(outer))
    bundle = EvidenceBundle(
        statement=_record(outer["statement"], _STATEMENT_TYPE, _EVIDENCE, MAX_STATEMENT_SIZE, "statement"),
        cpu=_cpu(outer["cpu"]),
        devices=_devices(outer["devices"]) if "devices" in outer else {},
        endorsements=_endorsements(outer["endorsements"]) if "endorsements" in outer else {},
    )
    _check_deterministic(outer, raw)
    return bundle


def _cpu_value(cpu: CollectedEvidence) -> CborValue:
    value: dict[str, CborValue] = {"evidence": _evidence_record(cpu.tee, cpu.raw)}
    for name, item in cpu.collateral.items.items():
        if name == "evidence":
            raise MalformedError("bundle.bad-name", "a collateral value can not be called evidence")
        value[name] = [_collateral_type(name), item, _ENDORSEMENTS]
    return value


def _evidence_record(tee: Tee, raw: bytes) -> CborValue:
    return [_EVIDENCE_TYPE + tee.value, raw, _EVIDENCE]


def _cpu(value: CborValue) -> CollectedEvidence:
    records = _as_map(value, "cpu")
    if "evidence" not in records:
        raise MalformedError("bundle.missing-member", "the member has no evidence", where="cpu")
    names = sorted(records.keys() - {"evidence"})
    _count("cpu", len(names), MAX_COLLATERAL)
    tee, raw = _evidence(records["evidence"], "cpu", "evidence")
    items = {name: _collateral_item("cpu", name, records[name]) for name in names}
    return CollectedEvidence(tee=tee, raw=raw, collateral=Collateral(items=items))


def _devices(value: CborValue) -> Mapping[str, DeviceEvidence]:
    records = _as_map(value, "devices")
    _count("devices", len(records), MAX_DEVICES, least=1)
    found = {}
    for name, record in records.items():
        if not _DEVICE.match(name):
            raise MalformedError("bundle.bad-name", "a device's name is outside its grammar", got=ascii(name)[:80])
        tee, raw = _evidence(record, "devices", name)
        found[name] = DeviceEvidence(tee=tee, raw=raw)
    return found


def _endorsements(value: CborValue) -> Mapping[bytes, bytes]:
    records = _as_map(value, "endorsements")
    _count("endorsements", len(records), MAX_DEVICES * MAX_COLLATERAL, least=1)
    found = {}
    for name, record in records.items():
        content = _record(record, _OCTETS, _ENDORSEMENTS, MAX_VALUE_SIZE, "endorsements", name[:8])
        digest = hashlib.sha256(content).digest()
        if digest.hex() != name:
            if not _DIGEST.match(name):
                raise MalformedError("bundle.bad-name", "an endorsement is not named by a SHA-256",
                                     got=ascii(name)[:80])  # fmt: skip
            raise MalformedError("bundle.wrong-digest", "an endorsement is not what its name is the digest of",
                                 where="endorsements", got=digest.hex(), expected=name)  # fmt: skip
        found[digest] = content
    return found


def _evidence(record: CborValue, *where: str) -> tuple[Tee, bytes]:
    tee = _tee(record, where)
    return tee, _record(record, _EVIDENCE_TYPE + tee.value, _EVIDENCE, MAX_VALUE_SIZE, *where)


def _collateral_item(label: str, name: str, value: CborValue) -> bytes:
    if not _NAME.match(name):
        raise MalformedError(
            "bundle.bad-name", "a collateral name is outside its grammar", where=label, got=repr(name)
        )
    return _record(value, _collateral_type(name), _ENDORSEMENTS, MAX_VALUE_SIZE, label, name)


def _collateral_type(name: str) -> str:
    return _COLLATERAL_TYPES.get(name, _OCTETS)


def _tee(value: CborValue, where: Sequence[str]) -> Tee:
    media_type = value[0] if isinstance(value, list) and value else None
    tee = _TEES.get(media_type) if isinstance(media_type, str) else None
    if tee is None:
        raise MalformedError("bundle.wrong-type", "not a kind of evidence that is known here", where=".".join(where),
                             got=repr(media_type)[:100],
                             expected=_EVIDENCE_TYPE + "{" + ", ".join(Tee) + "}")  # fmt: skip
    return tee


def _record(value: CborValue, media_type: str, indicator: int, limit: int, *where: str) -> bytes:
    """The content of a record; ``where`` it stands is put together for an error alone."""
    got_type, content, got_indicator = value if isinstance(value, list) and len(value) == 3 else (None, None, None)
    if not isinstance(got_type, str) or not isinstance(content, bytes) or not isinstance(got_indicator, int):
        raise MalformedError("bundle.bad-record", "a record is not [type, value, indicator]", where=".".join(where))
    if (got_type, got_indicator) != (media_type, indicator):
        raise MalformedError("bundle.wrong-type", "a record has another type or indicator than its place asks for",
                             where=".".join(where), got=f"{got_type!r:.100}, {got_indicator}",
                             expected=f"{media_type!r}, {indicator}")  # fmt: skip
    if not content:
        raise MalformedError("bundle.empty-value", "a record is empty", where=".".join(where))
    if len(content) > limit:
        _limit(".".join(where), len(content), limit)
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


def _check_members(found: set[str]) -> None:
    if unknown := sorted(found - _MUST - _MAY):
        raise MalformedError("bundle.unknown-member", "the bundle has a member that its version does not know",
                             got=repr(unknown[0])[:100], expected=", ".join(sorted(_MUST | _MAY)))  # fmt: skip
    if missing := sorted(_MUST - found):
        raise MalformedError("bundle.missing-member", "the bundle lacks a member", expected=missing[0])


def _check_deterministic(outer: dict[str, CborValue], raw: bytes) -> None:
    if not is_encoding_of(raw, outer):  # the reader is strict already; this is the second lock on the same door
        raise MalformedError("bundle.not-deterministic", "re-encoding the bundle gives other bytes")


def _limit(where: str, size: int, limit: int) -> None:
    if size > limit:
        raise MalformedError("bundle.too-large", f"{where} is too large", got=f"{size} bytes",
                             expected=f"at most {limit}")  # fmt: skip


def _count(where: str, count: int, limit: int, *, least: int = 0) -> None:
    if not least <= count <= limit:
        raise MalformedError("bundle.too-large" if count else "bundle.empty-value", f"{where} has a number of values "
                             "that it can not have", got=count, expected=f"{least} to {limit}")  # fmt: skip
