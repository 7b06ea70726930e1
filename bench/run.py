"""Run every measurement in this folder, one after the other, and gather their last lines into one table.

    python bench/run.py [NAME …] [--write]

A measurement is a program whose last line of output is one JSON object with `name`, `ratio`, `spread`, `runs` and
`compared`. `--write` puts the table into docs/reference/performance.md between its markers; rows of programs that
were not run stay as they are, with their day.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "reference" / "performance.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def main() -> int:
    """Measure, print the table, and say with the exit status whether every program ran to its end."""
    parser = argparse.ArgumentParser(description="Run the measurements of bench/.")
    parser.add_argument("names", nargs="*", help="only these (file names without .py)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reference/performance.md")
    arguments = parser.parse_args()
    files = [path for path in sorted(HERE.glob("*.py")) if path.name != "run.py" and not path.name.startswith("_")]
    chosen = [path for path in files if not arguments.names or path.stem in arguments.names]
    results = [(path.stem, measure(path)) for path in chosen]
    taken = rows([result for _, result in results if result])
    print(render(taken))
    if arguments.write:
        write(render(held() | taken))
    missing = [name for name, result in results if result is None]
    if missing:
        print(f"error: no result from {', '.join(missing)}", file=sys.stderr)
    return 5 if missing else 0


def measure(path: Path) -> dict[str, Any] | None:
    """Run one program; its last line as an object, or None if it failed."""
    print(f"== {path.stem}", file=sys.stderr, flush=True)
    done = subprocess.run([sys.executable, str(path)], stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    for line in lines[:-1]:
        print(line, file=sys.stderr)
    try:
        result = json.loads(lines[-1]) if done.returncode == 0 and lines else None
    except json.JSONDecodeError:
        result = None
    return result if isinstance(result, dict) else None


def rows(results: list[dict[str, Any]]) -> dict[str, str]:
    """The table's rows by their names, each with its day."""
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    return {
        r["name"]: f"| {r['name']} | {r['ratio']} | {_flat(r['spread'])} | {r['runs']} | {day} | {r['compared']} |"
        for r in results
    }


def held() -> dict[str, str]:
    """The rows that the page has: those of programs that were not run stay."""
    text = PAGE.read_text()
    lines = text[text.index(BEGIN) : text.index(END)].splitlines()
    found = {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}
    return {name: line for name, line in found.items() if name not in {"measurement", "---"}}


def render(taken: dict[str, str]) -> str:
    """The table, with what it was taken on."""
    head = (
        f"Taken on {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}; no TEE, no GPU. "
        "Both sides in one run, interleaved, medians.\n\n"
        "| measurement | ratio | spread | runs | taken | compared |\n| --- | --- | --- | --- | --- | --- |"
    )
    return "\n".join([head, *(taken[name] for name in sorted(taken))])


def _flat(spread: object) -> str:
    if isinstance(spread, list | tuple):
        return " to ".join(str(value) for value in spread)
    if isinstance(spread, dict):
        return ", ".join(f"{name} {value}" for name, value in spread.items())
    return str(spread)


def write(table: str) -> None:
    """Replace what stands between the markers of the page."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


if __name__ == "__main__":
    sys.exit(main())
