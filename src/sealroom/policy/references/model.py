"""A reference file as it is once read, and what a policy says of one (``spec/reference-values.md``)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sealroom.jose import JwkKey, Jwt

__all__ = ["ReferenceFile", "ReferenceRules", "SignatureEntry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureEntry:
    """One signature of a file; says nothing until it is verified."""

    token: Jwt = field(repr=False)
    key: JwkKey
    """That the entry brings; counts only if a policy names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceFile:
    """A file as it is once read; untrusted until enough of its signatures are verified."""

    name: str
    publisher: str
    table: str
    """The table of a policy that its values are for: ``snp``."""
    serial: int
    values: Mapping[str, tuple[bytes | str, ...]]
    """By key of that table."""
    reason: str
    """What the publisher says that is new; empty if nothing."""
    digest: bytes
    """SHA-256 of the whole file."""
    signatures: tuple[SignatureEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceRules:
    """One ``[[reference_files]]``: whose file counts, and for which keys."""

    name: str
    table: str
    keys: tuple[str, ...]
    signers: tuple[bytes, ...]
    threshold: int
    minimum_serial: int
