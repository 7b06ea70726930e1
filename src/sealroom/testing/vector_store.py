"""Finds and reads test vectors: folders with a ``vector.json`` beside their data files."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sealroom.errors import MalformedError, MisuseError, UnavailableError

__all__ = ["Expectation", "VectorCase", "find_cases", "read_case"]

_VERDICTS = frozenset({"valid", "invalid", "implementation_defined"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a vector says must come out. None: it says nothing."""

    verdict: str
    tcb_status: str | None = None
    policy_flags: frozenset[str] | None = None
    fields: dict[str, object] | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    """Whatever else it expects, under the vector's own names: ``advisory_ids``, ``qe_status``, ``events`` …"""
    default_policy: str | None = None
    """``refuse``: the evidence is authentic, and the built-in policy must refuse it all the same."""
    nonce_file: str | None = None
    """The file whose bytes, zero filled, are the report data."""
    if_accepted: "Expectation | None" = None
    """What must be so besides, where the verdict is the implementation's own and it accepts."""


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
        raw = self.evidence_file
        trailing = self.document.get("trailing_bytes", 0)
        if not isinstance(trailing, int) or not 0 <= trailing <= len(raw):
            raise self.malformed("trailing_bytes is no number of bytes that the file has")
        return raw[: len(raw) - trailing]

    @property
    def evidence_file(self) -> bytes:
        """As `evidence`, trailing bytes included, for a format that must itself find where it ends."""
        return self.file(self.text("report" if "report" in self.document else "evidence"))

    @property
    def collateral(self) -> dict[str, object]:
        """The collateral's entries as they stand there: mostly paths."""
        return self.entries("collateral")

    @property
    def input(self) -> dict[str, object]:
        """The inputs of a measurement as they stand there: paths and plain values."""
        return self.entries("input")

    def entries(self, key: str) -> dict[str, object]:
        """The object under ``key``; empty if there is none."""
        value = self.document.get(key, {})
        if not isinstance(value, dict):
            raise self.malformed(f"{key} is no object")
        return value

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

    def has_file(self, path: str) -> bool:
        """Whether the vector has a file under ``path``; a remark is none."""
        try:
            return (self.directory / path).is_file()
        except (OSError, ValueError):
            return False

    def malformed(self, message: str) -> MalformedError:
        """The error for a vector that breaks its own schema."""
        return MalformedError("conformance.vector", message, where=f"{self.name}/vector.json")


def find_cases(directory: Path) -> Iterator[tuple[str, Path]]:
    """Name and folder of every vector at or below ``directory``, in the order of their names.

    Raises:
        UnavailableError: ``conformance.no-vectors``: there is none.
        MisuseError: ``conformance.no-folder``: there is no such folder.
    """
    if not directory.is_dir():
        raise MisuseError("conformance.no-folder", "this is no folder", where=str(directory),
                          expected="a vector's folder, or a folder of such")  # fmt: skip
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
    except (ValueError, RecursionError) as reason:
        raise MalformedError("conformance.vector", f"the vector is no JSON: {reason}", where=name) from None
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        raise MalformedError("conformance.vector", "the vector does not say its kind", where=name)
    return VectorCase(
        name=name,
        directory=directory,
        document=document,
        kind=document["kind"],
        expect=_expectation(name, _with_verdict(document["kind"], document.get("expect"))),
    )


_ACCEPTING_KINDS = ("ear-", "cmw")
"""Kinds of formats that are no TEE's: they say ``accept``, or nothing where it is enough that the message is read."""


def _with_verdict(kind: str, expect: object) -> object:
    """The verdict that a vector of such a kind stands for. An ``accept`` in words says what a strict reader does."""
    if not kind.startswith(_ACCEPTING_KINDS) or not isinstance(expect, dict) or "verdict" in expect:
        return expect
    accept = expect.get("accept", True)
    if isinstance(accept, str):
        accept = "refuse" not in accept
    return expect | {"verdict": "valid" if accept is True else "invalid"}


_REMARKS = frozenset({"reason", "note", "notes", "why"})
"""Keys of ``expect`` for people. Every other one is compared, or the case counts as not supported."""


def _expectation(name: str, expect: object) -> Expectation:
    if not isinstance(expect, dict):
        raise MalformedError("conformance.vector", "the vector does not say what is expected", where=name)
    rest = {key: value for key, value in expect.items() if key not in _REMARKS}
    verdict = rest.pop("verdict", None)
    if not isinstance(verdict, str) or verdict not in _VERDICTS:
        raise MalformedError("conformance.vector", "the vector does not say which verdict is expected", where=name)
    if_accepted = rest.pop("if_accepted", None)
    if not isinstance(if_accepted, dict | None):
        raise MalformedError("conformance.vector", "if_accepted is no object", where=name)
    return Expectation(
        verdict=verdict,
        tcb_status=_text(name, rest, "tcb_status"),
        default_policy=_text(name, rest, "default_policy"),
        nonce_file=_text(name, rest, "nonce_file"),
        policy_flags=_flags(name, rest.pop("policy_flags", None)),
        fields=_fields(name, rest.pop("fields", None)),
        if_accepted=None if if_accepted is None else _expectation(name, {"verdict": "valid"} | if_accepted),
        facts=rest,
    )


def _text(name: str, expect: dict[str, object], key: str) -> str | None:
    value = expect.pop(key, None)
    if not isinstance(value, str | None):
        raise MalformedError("conformance.vector", f"{key} is no string", where=name)
    return value


def _flags(name: str, flags: object) -> frozenset[str] | None:
    if not isinstance(flags, list | None):
        raise MalformedError("conformance.vector", "policy_flags is no list", where=name)
    return None if flags is None else frozenset(str(flag) for flag in flags)


def _fields(name: str, fields: object) -> dict[str, object] | None:
    if not isinstance(fields, dict | None):
        raise MalformedError("conformance.vector", "fields is no object", where=name)
    return fields
