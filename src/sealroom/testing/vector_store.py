"""Finds and reads test vectors: folders with a ``vector.json`` beside their data files."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sealroom.errors import MalformedError, UnavailableError

__all__ = ["Expectation", "VectorCase", "find_cases", "read_case"]

_VERDICTS = frozenset({"valid", "invalid", "implementation_defined"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a vector says must come out. None: it says nothing."""

    verdict: str
    tcb_status: str | None = None
    policy_flags: frozenset[str] | None = None
    fields: dict[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorCase:
    """One folder. Its files are read when they are asked for."""

    name: str
    """Path below the folder that was searched."""
    directory: Path
    document: dict[str, object] = field(repr=False)
    kind: str
    expect: Expectation

    @property
    def verify_at(self) -> datetime:
        """The time to verify at."""
        try:
            at = datetime.fromisoformat(self.text("verify_at"))
        except ValueError:
            raise self.malformed("verify_at is no time") from None
        if at.tzinfo is None:
            raise self.malformed("verify_at has no time zone")
        return at

    @property
    def evidence(self) -> bytes:
        """The evidence's bytes: ``report`` where ``evidence`` is something larger, less the trailing bytes."""
        raw = self.file(self.text("report" if "report" in self.document else "evidence"))
        trailing = self.document.get("trailing_bytes", 0)
        if not isinstance(trailing, int) or not 0 <= trailing <= len(raw):
            raise self.malformed("trailing_bytes is no number of bytes that the file has")
        return raw[: len(raw) - trailing]

    @property
    def collateral(self) -> dict[str, object]:
        """The collateral's entries as they stand there: mostly paths."""
        entries = self.document.get("collateral", {})
        if not isinstance(entries, dict):
            raise self.malformed("collateral is no object")
        return entries

    def text(self, key: str) -> str:
        """The string under ``key``."""
        value = self.document.get(key)
        if not isinstance(value, str):
            raise self.malformed(f"{key} is no string")
        return value

    def file(self, path: object) -> bytes:
        """The bytes of a file that the vector names relative to its folder."""
        if not isinstance(path, str):
            raise self.malformed("a path is no string")
        try:
            return (self.directory / path).read_bytes()
        except (OSError, ValueError) as reason:
            raise UnavailableError("conformance.file", f"a file of the vector can not be read: {reason}",
                                   where=self.name, got=path) from None  # fmt: skip

    def malformed(self, message: str) -> MalformedError:
        """The error for a vector that breaks its own schema."""
        return MalformedError("conformance.vector", message, where=f"{self.name}/vector.json")


def find_cases(directory: Path) -> Iterator[tuple[str, Path]]:
    """Name and folder of every vector at or below ``directory``, in the order of their names.

    Raises:
        UnavailableError: ``conformance.no-vectors``: there is none.
    """
    found = sorted(path.parent for path in directory.rglob("vector.json"))
    if not found:
        raise UnavailableError(
            "conformance.no-vectors", "there is no vector.json here or below", where=str(directory)
        )
    for folder in found:
        name = folder.relative_to(directory).as_posix()
        yield (folder.resolve().name if name == "." else name), folder


def read_case(name: str, directory: Path) -> VectorCase:
    """Read the ``vector.json`` of one folder.

    Raises:
        MalformedError: ``conformance.vector``.
        UnavailableError: ``conformance.file``.
    """
    try:
        document = json.loads((directory / "vector.json").read_bytes())
    except OSError as reason:
        raise UnavailableError("conformance.file", f"the vector can not be read: {reason.strerror}",
                               where=name) from None  # fmt: skip
    except ValueError as reason:
        raise MalformedError("conformance.vector", f"the vector is no JSON: {reason}", where=name) from None
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        raise MalformedError("conformance.vector", "the vector does not say its kind", where=name)
    return VectorCase(
        name=name,
        directory=directory,
        document=document,
        kind=document["kind"],
        expect=_expectation(name, document.get("expect")),
    )


_COMPARED = frozenset({"verdict", "tcb_status", "policy_flags", "fields"})
_REMARKS = frozenset({"reason", "note", "notes", "why", "default_policy", "if_accepted"})


def _expectation(name: str, expect: object) -> Expectation:
    verdict = expect.get("verdict") if isinstance(expect, dict) else None
    if not isinstance(expect, dict) or not isinstance(verdict, str) or verdict not in _VERDICTS:
        raise MalformedError("conformance.vector", "the vector does not say which verdict is expected", where=name)
    if unknown := expect.keys() - _COMPARED - _REMARKS:  # else what a misspelt name expects would never be compared
        raise MalformedError("conformance.vector", "the vector expects what this runner does not compare", where=name,
                             got=", ".join(sorted(unknown)))  # fmt: skip
    flags, fields = expect.get("policy_flags"), expect.get("fields")
    if not isinstance(flags, list | None) or not isinstance(fields, dict | None):
        raise MalformedError("conformance.vector", "policy_flags is no list, or fields no object", where=name)
    return Expectation(
        verdict=verdict,
        tcb_status=expect.get("tcb_status"),
        policy_flags=None if flags is None else frozenset(str(flag) for flag in flags),
        fields=fields,
    )
