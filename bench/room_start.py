"""A room's start against the bare engine's: fresh processes, interleaved, from the start of the process to "ready".

Bare is ``xllamacpp`` on the plain file, without sandbox. The room does all that `sealroom serve` does: its keys, the
evidence, key release by a broker in another process, unsealing, sandboxed engine, listening. Both read files that are
in the page cache already; the model is the demonstration model, so small that the fixed costs decide. Both compute on
one thread of two processors, and run from compiled bytecode as an installed system does, whatever the environment
says about writing it (without, the room pays 150 ms more for compiling itself).

What helped, and what it saved on two processors: the engine's child loading its code from the beginning (60 ms); no
general HTTP client for three questions to the broker (110 ms, half of it for a TLS context that was not needed);
memory for the weights taken before the key is here (25 ms); huge pages and a large step for the engine's heap
(25 ms); reading the gateway's code beside the engine, but only after the weights are hashed, because the check of the
model's header needs the interpreter (40 ms); no garbage collection while code is read (12 ms).

What did not: reading the engine adapter's code in a thread while the broker is asked (the handshake became slower by
as much, for the interpreter runs one thread); locking the weights before they are filled (it clears the pages that
filling clears again, 50 ms instead of 10); larger heap steps without huge pages.

What remains is one thread that reads Python: 170 to 240 ms until "born", a tenth of it for the command line.
"""

import asyncio
import json
import os
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
parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
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
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = f"{folder}/bytecode"  # filled by the first round, which is not counted
        async with room_world(Path(folder), engine={"slots": 2, "context_tokens": 512, "threads": 1}) as world:
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
