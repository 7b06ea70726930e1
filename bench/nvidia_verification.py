"""One GPU's report with both reference values: ours beside NVIDIA's own verifier, nv-local-gpu-verifier.

Theirs runs in an environment of its own (`scripts/setup-beside`), as a process that is asked over a pipe and tells
the CPU time of its verdict alone: no start, no import, no OCSP, no driver asked. "theirs" writes the log file that it
has no option to leave out; "theirs, without its log" does not. Ours is given no OCSP answers either, so that both do
the same: chain, signature, firmware digest, two RIMs (form, digest, signature, chain), every measurement compared.

Cold forgets everything before each verification. Remembered is a new report of the same device, whose certificates
and reference values were verified before. Again is the identical evidence. Refused arms are cold and have one fault
each. Ten P-384 signatures are what a cold verdict needs: four of the device's chain, its report, two RIMs, and the
three of the chain that both RIMs share.

All arms in one run, interleaved in an order that is shuffled each round; ratios are taken round by round against
theirs of that round. Evidence is minted, so that anybody can run it; the recorded appraisal beside it where ../shared
has it. The last line is one JSON object.
"""

import base64
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from sealroom import x509_chain
from sealroom.errors import SealroomError
from sealroom.evidence import Collateral, TrustRoots
from sealroom.pem import as_pem
from sealroom.tees import nvidia
from sealroom.testing.nvidia import SimulatedGpu
from sealroom.testing.nvidia_cases import AT, NONCE, Bench
from sealroom.testing.nvidia_faults import faults

ROUNDS, REPEATS = 31, 5
ROOT = Path(__file__).resolve().parents[1]
PEER = ROOT / "tests" / "interop" / "nvidia"
RECORDED = ROOT.parent / "shared" / "vectors" / "nvidia" / "h100-550-full"
RECORDED_AT = datetime(2026, 3, 1, tzinfo=UTC)
REFUSED = ("report without its last byte", "signature by another key", "chain of another device",
           "vbios RIM with a value changed after signing", "vbios RIM that differs at index 9")  # fmt: skip


class Theirs:
    """NVIDIA's verifier, asked over a pipe."""

    def __init__(self) -> None:
        python = PEER / ".build" / "venv" / "bin" / "python"
        if not python.exists():
            sys.exit("NVIDIA's verifier is not here: scripts/setup-beside installs it")
        self._process = subprocess.Popen([python, PEER / "peer.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.DEVNULL, text=True)  # fmt: skip
        self.version = self._line()["version"]

    def seconds(self, question: Mapping[str, Any]) -> float:
        """CPU seconds of one verdict, which has to be an acceptance."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = self._line()
        assert answer["accepted"], answer
        return float(answer["seconds"])

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found


def main() -> None:
    """Measure and print."""
    theirs, gpu = Theirs(), SimulatedGpu.create("hopper")
    roots = TrustRoots(insecure_simulated=gpu.root_fingerprints)
    items = {name: value for name, value in gpu.items().items() if name != "ocsp"}
    raw, numbers = gpu.report(NONCE), count(1)
    others = iter([gpu.report(next(numbers).to_bytes(32, "big")) for _ in range((ROUNDS + 1) * REPEATS)])
    root, rim_root = (as_pem(one.certificate) for one in (gpu.vendor.root, gpu.vendor.rim_root))
    question = asked(raw, items, root, rim_root, NONCE, AT)

    def ours(report: bytes = raw, held: Mapping[str, bytes] = items) -> object:
        collateral = Collateral(items=held)  # anew, since one knows its digests once it was asked
        return nvidia.claims(nvidia.verify(nvidia.parse(report), roots=roots, collateral=collateral, at=AT))

    def cold(report: bytes = raw, held: Mapping[str, bytes] = items) -> None:
        try:
            ours(report, held)
        except SealroomError:
            return

    arms: dict[str, Callable[[], object]] = {
        "cold": cold,
        "remembered": lambda: ours(next(others)),
        "again": ours,
        "ten P-384 signatures": signatures(10),
        **{f"refused: {name}": (lambda raw=raw, bad=bad: cold(raw, bad)) for name, raw, bad in refusals(gpu)},
    }
    asks = {"theirs": question | {"logs": True}, "theirs, without its log": question}
    if RECORDED.is_dir():
        arms["cold, recorded"], found = recorded()
        asks["theirs, recorded"] = found | {"logs": True}
    report(measure(arms, theirs, asks, ours), theirs.version)


def forget() -> None:
    """Everything that this process remembers of evidence."""
    nvidia.forget()
    x509_chain.forget()


def asked(
    raw: bytes, items: Mapping[str, bytes], root: bytes, rim_root: bytes, nonce: bytes, at: datetime
) -> dict[str, Any]:
    """The question for their verifier."""
    return {
        "report": base64.b64encode(raw).decode(),
        **{name: base64.b64encode(items[name]).decode() for name in ("driver_rim", "vbios_rim")},
        "chain": items["cert_chain"].decode(), "device_root": root.decode(), "rim_root": rim_root.decode(),
        "nonce": nonce.hex(), "architecture": "hopper", "at": at.timestamp(), "repeat": REPEATS,
    }  # fmt: skip


def refusals(gpu: SimulatedGpu) -> list[tuple[str, bytes, Mapping[str, bytes]]]:
    """A refusal at each depth."""
    wanted = {case.name.partition(": ")[2]: case for case in faults(Bench(gpu=gpu).gpu)}
    found = []
    for name in REFUSED:
        items = {item: value for item, value in wanted[name].items.items() if item != "ocsp"}
        found.append((name, wanted[name].raw, items))
    return found


def signatures(number: int) -> Callable[[], None]:
    """What the library needs for the signatures alone."""
    key, scheme = ec.generate_private_key(ec.SECP384R1()), ec.ECDSA(hashes.SHA384())
    signature, public = key.sign(bytes(600), scheme), key.public_key()

    def run() -> None:
        for _ in range(number):
            public.verify(signature, bytes(600), scheme)

    return run


def recorded() -> tuple[Callable[[], object], dict[str, Any]]:
    """The same on a report of real hardware with NVIDIA's own reference values."""
    items = {"cert_chain": "cert_chain.pem", "driver_rim": "driver_rim.xml", "vbios_rim": "vbios_rim.xml"}
    held = {name: (RECORDED / path).read_bytes() for name, path in items.items()}
    raw, roots = (RECORDED / "report.bin").read_bytes(), TrustRoots()
    root, rim_root = ((RECORDED / name).read_bytes() for name in ("device_root.pem", "rim_root.pem"))

    def cold() -> None:
        verified = nvidia.verify(nvidia.parse(raw), roots=roots, collateral=Collateral(items=held), at=RECORDED_AT)
        nvidia.claims(verified)

    return cold, asked(raw, held, root, rim_root, raw[4:36], RECORDED_AT)


def measure(
    arms: Mapping[str, Callable[[], object]], theirs: Theirs, asks: Mapping[str, Mapping[str, Any]],
    warm: Callable[[], object],
) -> dict[str, list[float]]:  # fmt: skip
    """Seconds of CPU for one verdict of each arm, round by round."""
    seconds: dict[str, list[float]] = {name: [] for name in (*asks, *arms)}
    for _ in range(ROUNDS):
        order = [*asks, *arms]
        random.shuffle(order)
        for name in order:
            if name in asks:
                seconds[name].append(theirs.seconds(asks[name]))
                continue
            warm()  # a cold arm before this one has forgotten everything
            spent = [timed(arms[name], cold=name.startswith(("cold", "refused"))) for _ in range(REPEATS)]
            seconds[name].append(sum(spent) / REPEATS)
    return seconds


def timed(arm: Callable[[], object], *, cold: bool) -> float:
    """Seconds of CPU; what is forgotten before a cold arm is nobody's verdict."""
    if cold:
        forget()
    began = time.process_time()
    arm()
    return time.process_time() - began


def report(seconds: Mapping[str, list[float]], version: str) -> None:
    """A table for people, and the last line for programs."""
    for name, times in seconds.items():
        print(f"{name:<60}{1e3 * statistics.median(times):>9.2f} ms")
    over = {name: ratio(times, seconds["theirs"]) for name, times in seconds.items()}
    refused = max(ratio(times, seconds["cold"])[1] for name, times in seconds.items() if name.startswith("refused"))
    real = ratio(seconds["cold, recorded"], seconds["theirs, recorded"])[1] if "cold, recorded" in seconds else None
    low, middle, high = over["cold"]
    quiet = ratio(seconds["cold"], seconds["theirs, without its log"])[1]
    result = {
        "name": "nvidia_verification",
        "ratio": round(middle, 3),
        "spread": [round(low, 3), round(high, 3)],
        "runs": ROUNDS,
        "compared": f"GPU report with both RIMs, cold: our time over nv-local-gpu-verifier's ({version}), CPU, one "
        f"thread (over theirs without its log {quiet:.3f}; reference values remembered "
        f"{over['remembered'][1]:.3f}, identical evidence {over['again'][1]:.3f}, ten signatures alone "
        f"{over['ten P-384 signatures'][1]:.3f}" + (f"; recorded evidence {real:.3f})" if real else ")"),
        "milliseconds": {name: round(1e3 * statistics.median(times), 2) for name, times in seconds.items()},
        "slowest_refusal_over_cold": round(refused, 2),
    }
    print(json.dumps(result))


def ratio(times: list[float], base: list[float]) -> tuple[float, float, float]:
    """Quartiles of the ratio, round by round."""
    low, middle, high = statistics.quantiles([one / other for one, other in zip(times, base, strict=True)], n=4)
    return low, middle, high


if __name__ == "__main__":
    main()
