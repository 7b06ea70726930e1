"""A room's start against the bare engine's: fresh processes, interleaved, from the start of the process to "ready".

Bare is ``xllamacpp`` on the plain file, without sandbox. The room does all that `sealroom serve` does: its keys, the
evidence, key release by a broker in another process, unsealing, sandboxed engine, listening. Both read files that are
in the page cache already; the model is the demonstration model, so small that the fixed costs decide.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "flows"))

ROUNDS = 9
BARE = """
import os, sys, tempfile, xllamacpp
parameters = xllamacpp.CommonParams()
parameters.model.path = sys.argv[1]
parameters.n_parallel, parameters.n_ctx, parameters.n_gpu_layers, parameters.verbosity = 2, 1024, 0, 1
parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 2
parameters.fit_params, parameters.offline, parameters.ui, parameters.port = False, True, False, 0
parameters.hostnames = [os.path.join(tempfile.mkdtemp(), "socket.sock")]
server = xllamacpp.Server(parameters)
print("ready", flush=True)
os._exit(0)
"""


def bare_start(model: Path) -> float:
    """Seconds from nothing to a bare engine that serves."""
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", BARE, str(model)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return time.perf_counter() - began


async def measure() -> tuple[list[tuple[float, float]], dict[str, float]]:
    """Rounds of (room, bare) in seconds, and the median time at which the room reached each state."""
    from room_world import MODEL_FILE, room_world

    rounds: list[tuple[float, float]] = []
    reached: dict[str, list[float]] = {}

    def note(event: dict[str, object]) -> None:
        if event["event"] == "state":
            reached.setdefault(str(event["state"]), []).append(float(str(event["ms"])))

    with tempfile.TemporaryDirectory() as folder:
        async with room_world(Path(folder), engine={"slots": 2, "context_tokens": 512, "threads": 2}) as world:
            for number in range(ROUNDS + 1):
                began = time.perf_counter()
                room, _ = await world.room(name=f"room-{number}", on_event=note if number else None)
                ours = time.perf_counter() - began
                await room.stop()
                bare = await asyncio.to_thread(bare_start, MODEL_FILE)
                if number:  # the first fills the page cache
                    rounds.append((ours, bare))
    return rounds, {state: round(statistics.median(times)) for state, times in reached.items()}


def main() -> None:
    """Measure and print."""
    rounds, reached = asyncio.run(measure())
    ratios = sorted(ours / bare for ours, bare in rounds)
    ours, bare = (1000 * statistics.median(times) for times in zip(*rounds, strict=True))
    print("the room reached, in ms:", json.dumps(reached))
    print(json.dumps({
        "name": "room start",
        "ratio": round(statistics.median(ratios), 2),
        "spread": [round(ratios[0], 2), round(ratios[-1], 2)],
        "runs": ROUNDS,
        "compared": f"sealroom serve to ready {ours:.0f} ms, bare engine {bare:.0f} ms; 98 MB model, page cache warm",
    }))  # fmt: skip


if __name__ == "__main__":
    main()
