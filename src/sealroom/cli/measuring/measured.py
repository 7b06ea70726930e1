"""How a measurement is told: values, where they come from, what they do not cover, what changes them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import typer

from sealroom.cli.input_files import read_input

__all__ = [
    "MAX_INITRD",
    "MAX_KERNEL",
    "Measured",
    "Source",
    "content_of",
    "optional_source",
    "read_source",
    "sources",
    "tell",
]

MAX_KERNEL = 512 * 1024 * 1024
MAX_INITRD = 2 * 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was read, once: what is measured is what is told."""

    path: Path
    content: bytes = field(repr=False)

    def __str__(self) -> str:
        return f"{self.path} sha256:{hashlib.sha256(self.content).hexdigest()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a person must be told of a measurement (measurement.md section 15)."""

    values: Mapping[str, str]
    """By name, in the order to print; hexadecimal."""
    inputs: Mapping[str, str]
    """What went in: name, and value or digest."""
    not_covered: Sequence[str]
    changes_with: Sequence[str]
    policy: str
    """Lines to paste into a policy."""
    warnings: Sequence[str] = field(default=())


def tell(measured: Measured, *, as_json: bool) -> None:
    """Print it."""
    if as_json:
        typer.echo(json.dumps({
            "values": dict(measured.values), "inputs": dict(measured.inputs),
            "not_covered": list(measured.not_covered), "changes_with": list(measured.changes_with),
            "policy": measured.policy, "warnings": list(measured.warnings),
        }))  # fmt: skip
        return
    for name, value in measured.values.items():
        typer.echo(f"{name}: {value}")
    _section("made from", [f"{name}: {value}" for name, value in measured.inputs.items()])
    _section("does not cover", measured.not_covered)
    _section("changes with", measured.changes_with)
    _section("for a policy", measured.policy.splitlines())
    _section("WARNING", measured.warnings)


def read_source(path: Path, *, limit: int) -> Source:
    """The bytes of ``path``, or of stdin for ``-``, and whose they are."""
    return Source(path, read_input(path, limit=limit))


def optional_source(path: Path | None, *, limit: int) -> Source | None:
    """As `read_source`, of a file that need not be named."""
    return None if path is None else read_source(path, limit=limit)


def content_of(source: Source | None) -> bytes | None:
    """Its bytes, if there is one."""
    return None if source is None else source.content


def sources(**named: Source | None) -> dict[str, str]:
    """As `Measured.inputs`: those that there are."""
    return {name: str(source) for name, source in named.items() if source is not None}


def _section(title: str, lines: Sequence[str]) -> None:
    if lines:
        typer.echo("\n".join(("", f"{title}:", *(f"  {line}" for line in lines))))
