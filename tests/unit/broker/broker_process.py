"""``sealroom broker`` as a process of its own, on a free port."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_VERB = (sys.executable, "-m", "sealroom", "broker")


class BrokerProcess:
    """A running broker; ready when made."""

    def __init__(self, state: Path, *options: str, **variables: str) -> None:
        self.process = subprocess.Popen(
            [*_VERB, "--state", str(state), "--port", "0", "--json", *options],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=_environment() | variables,
        )  # fmt: skip
        assert self.process.stdout is not None
        event = json.loads(self.process.stdout.readline())
        assert event["event"] == "ready"
        self.url = str(event["url"])

    def kill(self) -> None:
        """No time for a last word: SIGKILL."""
        self.process.kill()
        self.process.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(timeout=20)


@contextlib.contextmanager
def running(state: Path, *options: str, **variables: str) -> Iterator[BrokerProcess]:
    broker = BrokerProcess(state, *options, **variables)
    try:
        yield broker
    finally:
        broker.kill()
        assert broker.process.stdout is not None
        broker.process.stdout.close()


def verb(*words: str) -> subprocess.CompletedProcess[str]:
    """Run `sealroom broker` with ``words`` to its end."""
    return subprocess.run(
        [*_VERB, *words], capture_output=True, text=True, check=False, timeout=60, env=_environment()
    )


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("SEALROOM_")}
