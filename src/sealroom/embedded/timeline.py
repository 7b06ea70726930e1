"""When things happened, in milliseconds since this process started (the interpreter's own start included)."""

import os
import time

__all__ = ["Timeline"]


class Timeline:
    """Marks by name, in the order in which they were made. The first mark of a name stands."""

    def __init__(self) -> None:
        self._born = _process_start()
        self._marks: dict[str, float] = {}

    def mark(self, name: str) -> None:
        """``name`` is done now."""
        self._marks.setdefault(name, (time.clock_gettime(time.CLOCK_BOOTTIME) - self._born) * 1000)

    def as_dict(self) -> dict[str, float]:
        """Milliseconds by name, rounded to a tenth."""
        return {name: round(value, 1) for name, value in self._marks.items()}


def _process_start() -> float:
    """Seconds of CLOCK_BOOTTIME at which this process began (proc(5), ``stat`` field 22, in ticks of 10 ms)."""
    with open("/proc/self/stat", encoding="ascii") as stat:  # noqa: PTH123 - proc files are not paths of ours
        fields = stat.read().rpartition(")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")
