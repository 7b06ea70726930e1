"""Steps that take time, shown on stderr: a live line each on a terminal, a plain line when done elsewhere."""

import sys
import time
from types import TracebackType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.padding import Padding
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

__all__ = ["Steps"]

_WIDEST = 100
_ROOM_FOR_CTRL_C = 7
"""Columns left free at the right: the terminal echoes ^C there , which must not break the line and the picture."""


class _Bar(BarColumn):
    """A bar for steps of known length; what has no length shows its spinner alone."""

    def render(self, task: Task) -> Any:
        return super().render(task) if task.total is not None and not task.finished else Text("")


class _Seconds(ProgressColumn):
    """Seconds since the step began."""

    def render(self, task: Task) -> Text:
        elapsed = task.finished_time if task.finished else task.elapsed
        return Text(f"{elapsed or 0:.1f} s", justify="right")


class _Live(Progress):
    """`rich`'s own, but for a margin, and so that words are cut before anything else is."""

    def get_renderable(self) -> RenderableType:
        picture = Padding(Group(*self.get_renderables()), (0, _ROOM_FOR_CTRL_C, 0, 0))
        return Constrain(picture, _WIDEST)


class Steps:
    """A list of named steps. Satisfies `sealroom.embedded.system.Tell`."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, float] = {}
        self._progress = _Live(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
            _Bar(bar_width=12, table_column=Column(no_wrap=True)),
            _Seconds(table_column=Column(no_wrap=True, min_width=6)),
            expand=True,
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
