"""How a measurement is told: values, where they come from, what they do not cover, what changes them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import typer

__all__ = ["Measured", "digest_of_file", "tell"]


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


def digest_of_file(path: Path) -> str:
    """The SHA-256 of a file, as it is shown beside its name."""
    running = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            running.update(part)
    return f"{path} sha256:{running.hexdigest()}"


def _section(title: str, lines: Sequence[str]) -> None:
    if lines:
        typer.echo("\n".join(("", f"{title}:", *(f"  {line}" for line in lines))))
