"""``sealroom gym``: real evidence, thousands of forgeries of it, and what verifiers make of them."""

import json
from pathlib import Path
from typing import Annotated

import typer

from sealroom.errors import UnavailableError
from sealroom.testing.gym import Finding, run_gym
from sealroom.testing.gym.judges import Judge, Ours
from sealroom.testing.gym.originals import originals
from sealroom.testing.gym.verifiers_service import installed_verifiers

__all__ = ["gym", "register"]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("gym")(gym)


def gym(  # noqa: PLR0913 - each is an option of the command
    directory: Annotated[
        Path, typer.Argument(metavar="DIRECTORY", help="A vector's folder, or a folder of such, however deep.")
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, the summary last.")] = False,
    seed: Annotated[int, typer.Option(help="Which bits are flipped.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many mutations of each sample.")] = None,
    only: Annotated[str | None, typer.Option(help="Only mutations whose name holds this.")] = None,
    others: Annotated[bool, typer.Option("--others", help="Ask the other verifiers that are installed too.")] = False,
    tdx_check: Annotated[Path | None, typer.Option(help="The check program of go-tdx-guest.")] = None,
    snp_check: Annotated[Path | None, typer.Option(help="The check program of go-sev-guest.")] = None,
    nvidia_verifier: Annotated[Path | None, typer.Option(help="The program that asks NVIDIA's verifier.")] = None,
) -> None:
    """Forge evidence in thousands of ways; none may pass.

    Every valid vector at or below DIRECTORY is mutated, and every wrong verdict reported.

    Exit status 0 only if our own verifier refused every forgery and accepted every original. What other verifiers
    say is reported, and changes no status.
    """
    samples = list(originals(directory))
    if not samples:
        raise UnavailableError("gym.no-originals", "there is no valid vector of a TEE that this release verifies",
                               where=str(directory))  # fmt: skip
    mine = Ours()
    judges: list[Judge] = [mine]
    if others or tdx_check or snp_check or nvidia_verifier:
        judges += installed_verifiers(tdx_check, snp_check, nvidia_verifier)

    def tell(finding: Finding) -> None:
        typer.echo(json.dumps(finding.as_dict()) if as_json else finding.as_line())

    report = run_gym(samples, judges, seed=seed, limit=limit, only=only, tell=tell)
    if as_json:
        typer.echo(json.dumps({"summary": report.as_dict()}))
    else:
        for line in report.as_lines():
            typer.echo(line)
    if report.of(mine.name):
        raise typer.Exit(1)
