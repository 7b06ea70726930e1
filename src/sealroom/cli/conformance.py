"""``sealroom conformance``: run a folder of test vectors and say of each how it came out."""

import json
from pathlib import Path
from typing import Annotated

import typer

from sealroom.testing.conformance import run_folder, summary

__all__ = ["conformance", "register"]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("conformance")(conformance)


def conformance(
    directory: Annotated[
        Path, typer.Argument(metavar="DIRECTORY", help="A vector's folder, or a folder of such, however deep.")
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, the summary last.")] = False,
) -> None:
    """Run every vector at or below DIRECTORY. Exit status 0 only if all passed and none was left out."""
    results = []
    for result in run_folder(directory):
        results.append(result)
        typer.echo(json.dumps(result.as_dict()) if as_json else result.as_line())
    counts = summary(results)
    if as_json:
        typer.echo(json.dumps({"summary": counts}))
    else:
        typer.echo(f"{counts['passed']} passed, {counts['failed']} failed, {counts['unsupported']} not supported")
    if counts["failed"] or counts["unsupported"]:
        raise typer.Exit(1)
