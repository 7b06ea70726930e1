"""``sealroom attack``: the running system against its enemies."""

import asyncio
import json
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from sealroom.attacks.attack import Outcome
from sealroom.attacks.battlefield import prepare
from sealroom.attacks.catalogue import ATTACKS, run_all
from sealroom.cli.progress import Steps
from sealroom.embedded.launch import find_model
from sealroom.embedded.state import State
from sealroom.embedded.system import embedded_system, shipped_models
from sealroom.embedded.timeline import Timeline

__all__ = ["attack", "register", "table_lines"]

_NARROWEST = 24


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("attack")(attack)


def attack(
    *,
    model: Annotated[Path | None, typer.Option(help="A GGUF file; the demonstration model if not given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Start the whole system and attack it.

    Every attack is made for real: on the wire, on disk, at the broker. Exit 0 only if each was refused for its own
    reason.
    """
    with tempfile.TemporaryDirectory(prefix="sealroom-attack-") as folder:
        state = State(Path(folder))
        with state.locked(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            outcomes = runner.run(_fight(state, model))
    _tell(outcomes, as_json=as_json)
    if not all(outcome.passed for outcome in outcomes):
        raise typer.Exit(1)


async def _fight(state: State, model: Path | None) -> list[Outcome]:
    with Steps() as steps:
        async with embedded_system(state, model=model, tell=steps, timeline=Timeline()) as system:
            steps.begin("prepare", "publishing a newer version of the model")
            battlefield = await asyncio.to_thread(prepare, system, find_model(model, shipped_models()))
            steps.done("prepare", "a newer version of the model is published")
            steps.begin("attack", "attacking")
            outcomes: list[Outcome] = []
            async for outcome in run_all(battlefield):
                outcomes.append(outcome)
                steps.begin("attack", f"attacking: {outcome.attack.name}")
                steps.progress("attack", len(outcomes), len(ATTACKS))
            steps.done("attack", f"{len(outcomes)} attacks made")
            return outcomes


def _tell(outcomes: list[Outcome], *, as_json: bool) -> None:
    failed = sum(not outcome.passed for outcome in outcomes)
    if as_json:
        rows = [_row(outcome) for outcome in outcomes]
        print(json.dumps({"attacks": rows, "summary": {"passed": len(rows) - failed, "failed": failed}}))  # noqa: T201
        return
    table = [(o.attack.tried, o.attack.noticed_by, _code(o), _result(o)) for o in outcomes]
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in table_lines(("tried", "who noticed", "error code", "result"), table, columns=columns):
        print(line)  # noqa: T201 - data
    print(f"\n{len(outcomes) - failed} of {len(outcomes)} attacks refused for their own reason", file=sys.stderr)  # noqa: T201


def table_lines(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, columns: int | None) -> Iterator[str]:
    """A table whose first column folds where the lines would be longer than ``columns``; None for no limit."""
    table = [head, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    if columns is not None:
        widths[0] = max(_NARROWEST, min(widths[0], columns - sum(widths[1:]) - 2 * len(widths)))
    for first, *others in table:
        folded = textwrap.wrap(first, widths[0]) or [""]
        cells = zip((folded[0], *others), widths, strict=True)
        yield "  ".join(cell.ljust(width) for cell, width in cells).rstrip()
        yield from (f"  {more}" for more in folded[1:])


def _row(outcome: Outcome) -> dict[str, object]:
    return {
        "attack": outcome.attack.name,
        "tried": outcome.attack.tried,
        "noticed_by": outcome.attack.noticed_by,
        "code": outcome.refusal.code if outcome.refusal else None,
        "expected": sorted(outcome.attack.codes),
        "pass": outcome.passed,
    }


def _code(outcome: Outcome) -> str:
    return outcome.refusal.code if outcome.refusal else "nobody noticed"


def _result(outcome: Outcome) -> str:
    return "pass" if outcome.passed else "FAIL"
