"""Reads the claims of a result, whichever way they are spelled. What JSON and CBOR do differently is a `Values`."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from sealroom.cbor import Tagged
from sealroom.ear.model import PROFILES, VERAISON_PROFILE, Ear, Spelling, Submodule, VerifierId, best_case
from sealroom.ear.names import NAMES, VERIFIER_NAMES, ClaimKey
from sealroom.ear.vector import Tier, TrustVector, better
from sealroom.errors import MalformedError, UnverifiedError

__all__ = ["Values", "bad", "read_claims"]

MAX_SUBMODULES = 256
_MAX_TEXT = 4096
_LAST_SECOND = 253402300799  # the end of the year 9999


class Values(Protocol):
    """How one encoding writes the values that differ between JSON and CBOR."""

    def tier(self, value: Any, where: str) -> Tier:
        """A status."""
        ...

    def member(self, key: Any, where: str) -> str:
        """The name of a vector's member."""
        ...

    def nonce(self, value: Any, where: str) -> str | bytes:
        """One nonce."""
        ...

    def octets(self, value: Any, where: str) -> bytes:
        """The raw evidence."""
        ...


def read_claims(members: Mapping[Any, Any], spelling: Spelling, values: Values, *, strict: bool = True) -> Ear:
    """Read the claims of one result and see that they agree with each other.

    Args:
        members: untrusted, each key once.
        spelling: which names are looked for; those of another spelling are refused, not overlooked.
        values: of the encoding.
        strict: whether times that are written as floating-point numbers are refused, as the draft says.

    Raises:
        MalformedError: ``ear.profile-unknown``, ``ear.claim-missing``, ``ear.claim``, ``ear.time-not-integer``,
            ``ear.spelling``, ``ear.submods``, ``ear.nested``.
        UnverifiedError: ``ear.status-overstated``: more trust is claimed than the vector carries.
    """
    reader = _Reader(spelling, values, strict=strict)
    profile = _profile(reader.need(members, "profile"), spelling)
    reader.one_policy = profile == VERAISON_PROFILE
    reader.refuse_other_spellings(members, "")
    submodules = tuple(reader.submodules(reader.need(members, "submodules")))
    raw_evidence = reader.find(members, "raw_evidence")
    ear = Ear(
        profile=profile,
        spelling=spelling,
        issued_at=reader.instant(reader.need(members, "issued_at"), "iat"),
        expires_at=reader.optional_instant(members, "expires_at"),
        not_before=reader.optional_instant(members, "not_before"),
        verifier=reader.verifier(reader.need(members, "verifier")),
        claimed=reader.optional_tier(members),
        nonces=reader.nonces(members, ""),
        raw_evidence=None if raw_evidence is None else values.octets(raw_evidence, "raw evidence"),
        submodules=submodules,
        extensions=reader.others(members),
    )
    if ear.claimed is not None and better(ear.claimed, best_case(submodules)):
        raise _overstated("the result", ear.claimed, best_case(submodules))
    return ear


class _Reader:
    def __init__(self, spelling: Spelling, values: Values, *, strict: bool) -> None:
        self.names = NAMES[spelling]
        self.verifier_names = VERIFIER_NAMES[spelling]
        self.foreign = {name for other in Spelling if other is not spelling
                        for name in NAMES[other].values()} - set(self.names.values())  # fmt: skip
        self.values = values
        self.strict = strict
        self.one_policy = False
        """Whether the claim of the policies may be one text, as it was in CBOR before it became a list."""

    def find(self, members: Mapping[Any, Any], word: str) -> Any:
        """The claim's value; None where it is absent. No claim of ours is null."""
        key = self.names.get(word)
        if key is None or key not in members:
            return None
        if members[key] is None:
            raise bad(f"the claim {key} is null", where=str(key))
        return members[key]

    def need(self, members: Mapping[Any, Any], word: str) -> Any:
        value = self.find(members, word)
        if value is None:
            raise MalformedError("ear.claim-missing", "the result lacks a claim that it must have",
                                 expected=str(self.names[word]))  # fmt: skip
        return value

    def refuse_other_spellings(self, members: Mapping[Any, Any], where: str) -> None:
        """A reader of another release would see a claim that this one passes over."""
        if found := sorted(str(key) for key in members if key in self.foreign):
            raise MalformedError("ear.spelling", "a claim is spelled as another profile spells it",
                                 where=where or None, got=", ".join(found)[:120])  # fmt: skip

    def others(self, members: Mapping[Any, Any]) -> dict[ClaimKey, Any]:
        known = set(self.names.values())
        return {key: value for key, value in members.items() if key not in known}

    def instant(self, value: Any, where: str) -> datetime:
        if isinstance(value, float) and not self.strict and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise MalformedError("ear.time-not-integer", "times of a result are whole seconds since 1970",
                                 where=where, got=ascii(value)[:40],
                                 hint="update the verifier that issued it; RFC 9711 section 4.3.1")  # fmt: skip
        if not 0 <= value <= _LAST_SECOND:
            raise bad("a time is out of range", where=where, got=str(value)[:40])
        return datetime.fromtimestamp(value, tz=UTC)

    def optional_instant(self, members: Mapping[Any, Any], word: str) -> datetime | None:
        value = self.find(members, word)
        return None if value is None else self.instant(value, str(self.names[word]))

    def optional_tier(self, members: Mapping[Any, Any]) -> Tier | None:
        value = self.find(members, "status")
        return None if value is None else self.values.tier(value, "status")

    def verifier(self, value: Any) -> VerifierId:
        if not isinstance(value, Mapping):
            raise bad("the verifier's identity is no map", where="verifier id")
        return VerifierId(**{word: _text(value.get(key), f"verifier id {word}")
                             for word, key in self.verifier_names.items()})  # fmt: skip

    def nonces(self, members: Mapping[Any, Any], where: str) -> tuple[str | bytes, ...]:
        value = self.find(members, "nonce")
        if value is None:
            return ()
        several = value if isinstance(value, list) else [value]
        if not several:
            raise bad("an empty list of nonces", where=where or None)
        return tuple(self.values.nonce(one, f"{where} nonce".strip()) for one in several)

    def submodules(self, value: Any) -> Iterator[Submodule]:
        if not isinstance(value, Mapping) or not 1 <= len(value) <= MAX_SUBMODULES:
            raise MalformedError("ear.submods", "a result is about at least one attester",
                                 got=type(value).__name__ if not isinstance(value, Mapping) else str(len(value)),
                                 expected=f"1 to {MAX_SUBMODULES}")  # fmt: skip
        for label, members in value.items():
            yield self.submodule(_text(label, "a submodule's label"), members)

    def submodule(self, label: str, members: Any) -> Submodule:
        where = f"submods.{ascii(label)[1:-1][:60]}"
        if isinstance(members, list | bytes | Tagged) or (isinstance(members, Mapping) and self.nests(members)):
            raise MalformedError("ear.nested", "an attester's appraisal is a token, a digest or a result of its own",
                                 where=where, expected="the claims of one appraisal",
                                 hint="have its own verifier's result, and read it by that one's key")  # fmt: skip
        if not isinstance(members, Mapping):
            raise bad("an appraisal is no map of claims", where=where, got=type(members).__name__)
        self.refuse_other_spellings(members, where)
        vector = self.find(members, "vector")
        found = Submodule(
            label=label,
            claimed=self.values.tier(self.need(members, "status"), f"{where} status"),
            vector=None if vector is None else self.vector(vector, where),
            policy_ids=self.policy_ids(members, where),
            nonces=self.nonces(members, where),
            extensions=self.others(members),
        )
        if found.overstated:
            raise _overstated(where, found.claimed, found.status)
        return found

    def nests(self, members: Mapping[Any, Any]) -> bool:
        """Whether there are attesters below this one: passed over, the worst of them would not count."""
        return self.names["submodules"] in members or self.names["verifier"] in members

    def vector(self, value: Any, where: str) -> TrustVector:
        if not isinstance(value, Mapping):
            raise bad("a trustworthiness vector is no map", where=where)
        found: dict[str, int] = {}
        for key, number in value.items():
            name = self.values.member(key, where)
            if isinstance(number, bool) or not isinstance(number, int) or not -128 <= number <= 127:
                raise bad("a member of the vector is no signed octet", where=f"{where} {name}",
                          got=ascii(number)[:40])  # fmt: skip
            found[name.replace("-", "_")] = number
        return replace(TrustVector(), **found)

    def policy_ids(self, members: Mapping[Any, Any], where: str) -> tuple[str, ...]:
        one, several = self.find(members, "policy_id"), self.find(members, "policy_ids")
        if one is not None and several is not None:
            raise bad("the policy is named in two claims", where=where)
        if self.one_policy and isinstance(several, str):
            one, several = several, None
        if several is None:
            return () if one is None else (_text(one, f"{where} policy id"),)
        if not isinstance(several, list) or not several:
            raise bad("the policies are no list with at least one entry", where=where)
        return tuple(_text(entry, f"{where} policy id") for entry in several)


def _profile(value: Any, spelling: Spelling) -> str:
    if not isinstance(value, str) or value not in PROFILES:
        raise MalformedError("ear.profile-unknown", "the result has a profile that is not known here",
                             got=ascii(value)[:80], expected=", ".join(PROFILES))  # fmt: skip
    if spelling not in PROFILES[value]:
        raise MalformedError("ear.spelling", "the result's claims are not spelled as its profile says",
                             got=spelling.value, expected=", ".join(sorted(PROFILES[value])))  # fmt: skip
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value or len(value) > _MAX_TEXT or not _encodes(value):
        raise bad("not a text of a sensible length", where=where, got=ascii(value)[:40])
    return value


def _encodes(text: str) -> bool:
    """JSON can spell half of a character, which no output of ours can then write."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _overstated(where: str, claimed: Tier, carried: Tier) -> UnverifiedError:
    return UnverifiedError("ear.status-overstated", "the result claims more trust than its vector carries",
                           where=where, got=claimed.name.lower(), expected=f"{carried.name.lower()}, or worse",
                           hint="the verifier that issued it is broken or lies: do not use its results")  # fmt: skip


def bad(message: str, *, where: str | None = None, got: str | None = None) -> MalformedError:
    """The error for a claim that is not as its definition says."""
    return MalformedError("ear.claim", message, where=where, got=got)
