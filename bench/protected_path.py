"""The protected path (client → gateway → engine) against the same engine called directly.

Two engines, each measured with its arms taking turns within one run, at concurrency 1, 4 and 8:

- ``llama``: llama.cpp with the demonstration model, one process for both arms. Direct is plain HTTP to the Unix
  socket that the gateway itself uses.
- ``stub``: an engine without a model, 250 tokens a second to each caller. Direct is the stub behind a bare uvicorn:
  here nothing hides what the gateway costs.

Every request has a prompt of its own of the same length, so that no cache of the engine serves either arm. A verified
key is in hand before the clock starts. CPU is that of whole processes from /proc (schedstat, summed over threads),
per streamed event:

- ``gateway_us``: the gateway process in the protected arm.
- ``engine_server_us`` (llama): the engine process in the direct arm without its computing threads, which are the
  busiest; what its main thread spends on serving is not in it, for it can not be told from computing.
- ``plain_server_us`` (stub): the bare uvicorn process. The stub itself runs in both, so the ratio flatters neither.
- ``client_us``: this process, either arm: what a caller pays for opening.

The last line is a JSON object; its ``ratio`` is tokens per second with llama.cpp, protected over direct, the median
of all pairs of rounds.
"""

import asyncio
import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from sealroom.client.address import RoomAddress
from sealroom.client.service import RoomService, UserRequest
from sealroom.client.session import Session
from sealroom.policy import load_policy

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / ".venv" / "share" / "sealroom" / "models"
CONCURRENCY = (1, 4, 8)
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
TOKENS = 48
NO_END = {"0": -100, "2": -100}  # SmolLM2's two end tokens: every answer has the same length
PATH = "/v1/chat/completions"

POLICY = """
policy = 1
name = "measured"
[trust]
tees = ["snp"]
insecure_simulated = ["sha256:{root}"]
max_age_seconds = 7200
[snp]
measurement = ["{zeros}"]
allow = ["smt"]
[snp.minimum_tcb.Genoa]
bootloader = 10
tee = 0
snp = 23
microcode = 84
[engine]
config_digest = ["sha256:{engine}"]
insecure_layers = ["insecure-stub"]
[unchecked]
model = "a measurement of time"
"""

Pieces = AsyncIterator[bytes]
Ask = Callable[[bytes], Any]
numbers = itertools.count(10_000)


@dataclass
class Round:
    """What one round of one arm showed; times in seconds, CPU in seconds by process."""

    first: list[float] = field(default_factory=list)
    between: list[float] = field(default_factory=list)
    events: int = 0
    wall: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Streamed events a second, all callers together."""
        return self.events / self.wall


@dataclass
class Arm:
    """One way to ask, and the processes whose time counts: a name, and a reading of its CPU seconds."""

    ask: Ask
    spent: dict[str, Callable[[], float]]


def body() -> bytes:
    """A prompt that no other request has, of the same length as every other."""
    words = f"{next(numbers)} is a number. Tell a long story about it, and do not stop before it is told."
    question = {"model": "measured", "messages": [{"role": "user", "content": words}], "stream": True,
                "max_tokens": TOKENS, "temperature": 0.0, "seed": 7, "logit_bias": NO_END}  # fmt: skip
    return json.dumps(question).encode()


async def measure(arm: Arm, callers: int) -> Round:
    """One round: ``callers`` requests at once."""
    found = Round()
    before = {name: read() for name, read in arm.spent.items()}
    began = time.perf_counter()
    await asyncio.gather(*(one_request(arm, found) for _ in range(callers)))
    found.wall = time.perf_counter() - began
    found.cpu = {name: read() - before[name] for name, read in arm.spent.items()}
    return found


async def one_request(arm: Arm, found: Round) -> None:
    """Ask once and note when the events came."""
    began = time.perf_counter()
    times: list[float] = []
    async with arm.ask(body()) as pieces:
        async for piece in pieces:
            now = time.perf_counter()
            times.extend([now] * piece.count(b"data: {"))
    if len(times) < TOKENS:
        raise SystemExit(f"error: an answer of {len(times)} events is none to measure")
    found.first.append(times[0] - began)
    found.between.append((times[-1] - times[0]) / (len(times) - 1))
    found.events += len(times)


def direct_ask(session: aiohttp.ClientSession, url: str) -> Ask:
    """Plain HTTP."""

    @asynccontextmanager
    async def ask(content: bytes) -> AsyncIterator[Pieces]:
        headers = {"content-type": "application/json"}
        async with session.post(url + PATH, data=content, headers=headers) as response:
            yield response.content.iter_any()

    return ask


def protected_ask(service: RoomService) -> Ask:
    """Through the sealed channel."""

    @asynccontextmanager
    async def ask(content: bytes) -> AsyncIterator[Pieces]:
        headers = ((b"content-type", b"application/json"),)
        request = UserRequest(method="POST", target=PATH, headers=headers, body=content)
        async with service.open(request) as answer:
            if answer.head.status != 200:
                raise SystemExit(f"error: the gateway answered {answer.head.status}")
            yield answer.pieces()

    return ask


def thread_seconds(pid: int) -> dict[int, float]:
    """CPU seconds of each thread."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found[int(task.name)] = int((task / "schedstat").read_text().split()[0]) / 1e9
        except FileNotFoundError:
            continue
    return found


def process_seconds(pid: int) -> Callable[[], float]:
    """A reading of a process's CPU seconds."""
    return lambda: sum(thread_seconds(pid).values())


def serving_seconds(pid: int, computing: int) -> Callable[[], float]:
    """A reading of an engine's CPU seconds without its ``computing`` busiest threads."""
    return lambda: sum(sorted(thread_seconds(pid).values())[: -computing or None])


@asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[dict[str, Any]]:
    """A server process and what it announced."""
    command = [sys.executable, str(HERE / "_room_process.py"), *arguments]
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert child.stdout is not None
        line = await child.stdout.readline()
        if not line:
            raise SystemExit(f"error: {' '.join(arguments)} did not start")
        yield json.loads(line)
    finally:
        child.terminate()
        await child.wait()


async def room_service(stack: AsyncExitStack, facts: dict[str, Any]) -> RoomService:
    """A client that has verified the room."""
    document = POLICY.format(root=facts["root"], zeros=bytes(48).hex(), engine=facts["engine_config"])
    policy = load_policy(document, source="bench")
    address = RoomAddress.parse(f"http://127.0.0.1:{facts['port']}")
    service = await stack.enter_async_context(RoomService(address, Session(policy)))
    await service.verify()
    return service


async def compare(direct: Arm, protected: Arm) -> dict[int, list[tuple[Round, Round]]]:
    """All rounds: the arms take turns, and so does who begins."""
    found: dict[int, list[tuple[Round, Round]]] = {callers: [] for callers in CONCURRENCY}
    for arm in (direct, protected):
        await measure(arm, CONCURRENCY[-1])  # warm: connections, pages, code
    for number, callers in itertools.product(range(ROUNDS), CONCURRENCY):
        if number % 2:
            second = await measure(protected, callers)
            first = await measure(direct, callers)
        else:
            first = await measure(direct, callers)
            second = await measure(protected, callers)
        found[callers].append((first, second))
    return found


async def measure_llama(model: Path) -> dict[int, list[tuple[Round, Round]]]:
    """Both arms on one llama.cpp."""
    async with AsyncExitStack() as stack:
        facts = await stack.enter_async_context(process("llama", str(model)))
        connector = aiohttp.UnixConnector(facts["engine_socket"], force_close=True)  # it does not keep them anyway
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        service = await room_service(stack, facts)
        serving = serving_seconds(facts["engine_pid"], facts["engine_threads"])
        direct = Arm(direct_ask(session, "http://engine"), {"engine_server": serving, "client": time.process_time})
        gateway = process_seconds(facts["pid"])
        protected = Arm(protected_ask(service), {"gateway": gateway, "client": time.process_time})
        return await compare(direct, protected)


async def measure_stub() -> dict[int, list[tuple[Round, Round]]]:
    """The stub engine behind a bare uvicorn, and behind the gateway."""
    async with AsyncExitStack() as stack:
        plain = await stack.enter_async_context(process("plain"))
        facts = await stack.enter_async_context(process("stub"))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        service = await room_service(stack, facts)
        url = f"http://127.0.0.1:{plain['port']}"
        direct = Arm(
            direct_ask(session, url), {"plain_server": process_seconds(plain["pid"]), "client": time.process_time}
        )
        gateway = process_seconds(facts["pid"])
        protected = Arm(protected_ask(service), {"gateway": gateway, "client": time.process_time})
        return await compare(direct, protected)


def summary(pairs: list[tuple[Round, Round]], server: str) -> dict[str, object]:
    """The figures of one concurrency."""
    direct, protected = [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    def per_event(rounds: list[Round], name: str) -> float:
        return 1e6 * statistics.median(round_.cpu[name] / round_.events for round_ in rounds)

    def typical(rounds: list[Round], name: str) -> float:
        return 1e3 * statistics.median(value for round_ in rounds for value in getattr(round_, name))

    gateway, serving = per_event(protected, "gateway"), per_event(direct, server)
    return {
        "rate_ratio": rounded(statistics.median(ratios(pairs))),
        "rate_spread": spread(ratios(pairs)),
        "events_per_second": [rounded(statistics.median(r.rate for r in arm)) for arm in (direct, protected)],
        "ttft_ms": [rounded(typical(arm, "first")) for arm in (direct, protected)],
        "added_ttft_ms": rounded(typical(protected, "first") - typical(direct, "first")),
        "inter_token_ms": [rounded(typical(arm, "between")) for arm in (direct, protected)],
        "gateway_us": rounded(gateway),
        f"{server}_us": rounded(serving),
        "gateway_cpu_ratio": rounded(gateway / serving),
        "client_us": [rounded(per_event(arm, "client")) for arm in (direct, protected)],
    }


def ratios(pairs: list[tuple[Round, Round]]) -> list[float]:
    """Tokens a second, protected over direct, pair by pair."""
    return [protected.rate / direct.rate for direct, protected in pairs]


def spread(values: list[float]) -> list[float]:
    """The middle half."""
    if len(values) < 2:
        return [rounded(values[0])] * 2
    low, _, high = statistics.quantiles(values, n=4)
    return [rounded(low), rounded(high)]


def rounded(value: float) -> float:
    """Three digits that count."""
    return float(f"{value:.3g}")


async def main() -> None:
    """Measure both engines and print the result."""
    models = sorted(MODELS.glob("*.gguf"))
    if not models:
        raise SystemExit("error: no model; run `make install` first")
    stub = await measure_stub()
    llama = await measure_llama(models[0])
    every = [ratio for pairs in llama.values() for ratio in ratios(pairs)]
    details = {
        "llama": {str(callers): summary(pairs, "engine_server") for callers, pairs in llama.items()},
        "stub": {str(callers): summary(pairs, "plain_server") for callers, pairs in stub.items()},
    }
    for engine, rows in details.items():
        for callers, row in rows.items():
            print(engine, callers, json.dumps(row))
    result = {
        "name": "protected path, tokens per second",
        "ratio": rounded(statistics.median(every)),
        "spread": spread(every),
        "runs": ROUNDS,
        "compared": f"client → gateway → llama.cpp over the same called directly; {TOKENS} tokens; 1, 4, 8 at once",
        "details": details,
    }
    print(json.dumps(result, ensure_ascii=False))


if __name__ == "__main__":
    uvloop.run(main())
