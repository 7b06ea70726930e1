"""Steps that take time, shown on stderr: a live line each on a terminal, a plain line when done elsewhere."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

__all__ = ["Steps"]


class Steps:
    """A list of named steps. Satisfies `sealroom.embedded.system.Tell`."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, float] = {}
        self._progress = Progress(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            disable=not self._live,
        )

    def __enter__(self) -> "Steps":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def begin(self, step: str, words: str) -> None:
        """``step`` began, or is now at ``words``."""
        self._began.setdefault(step, time.monotonic())
        if step in self._tasks:
            self._progress.update(self._tasks[step], description=words)
        else:
            self._tasks[step] = self._progress.add_task(words, total=None)

    def progress(self, step: str, done: int, total: int) -> None:
        """``done`` of ``total`` units of ``step``."""
        if step in self._tasks:
            self._progress.update(self._tasks[step], completed=done, total=total)

    def done(self, step: str, words: str) -> None:
        """``step`` is done."""
        if step in self._tasks:
            self._progress.update(self._tasks[step], description=words, completed=1, total=1)
        if not self._live:
            seconds = time.monotonic() - self._began.get(step, time.monotonic())
            print(f"✓ {words}  ({seconds:.1f} s)", file=sys.stderr, flush=True)  # noqa: T201

    def close(self) -> None:
        """Leave what is shown as it is, and show no more."""
        self._progress.stop()
