"""``sealroom inspect``: whatever it is, as a readable tree. Trusts nothing, and says so."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from sealroom.cli.input_files import naming, read_input
from sealroom.cli.inspecting import Description, Tree, describe, describe_directory
from sealroom.cli.spoken import printable

__all__ = ["inspect", "register", "render"]

NOTE = "nothing here is verified"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("inspect")(inspect)


def inspect(
    target: Annotated[
        Path, typer.Argument(metavar="ANY", help="A file, the folder of a sealed model, or - for stdin.")
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what a file or folder holds, and trust nothing of it.

    Evidence, a bundle, a certificate, a policy, a statement, keys, a token or a sealed model.
    """
    with naming(target):
        found = describe_directory(target) if target.is_dir() else describe(read_input(target), source=str(target))
    if as_json:
        typer.echo(json.dumps({"kind": found.kind, "verified": False, "note": NOTE, "content": found.content}))
    else:
        typer.echo(render(found))


def render(found: Description) -> str:
    """The tree as text; what a stranger wrote can not reach the terminal as control characters."""
    return "\n".join([f"{found.kind} ({NOTE})", *_lines(found.content, "  ")])


def _lines(tree: Tree, indent: str) -> Iterator[str]:
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from _entry(f"{_safe(name)}:", value, indent)
    elif isinstance(tree, list):
        for value in tree:
            yield from _entry("-", value, indent)
    else:
        yield f"{indent}{_safe(tree)}"


def _entry(label: str, value: Tree, indent: str) -> Iterator[str]:
    if isinstance(value, dict | list) and value:
        yield f"{indent}{label}"
        yield from _lines(value, indent + "  ")
    else:
        yield f"{indent}{label} {_safe('none' if value in ({}, [], None) else value)}"


def _safe(value: object) -> str:
    return printable(str(value).lower() if isinstance(value, bool) else str(value))
