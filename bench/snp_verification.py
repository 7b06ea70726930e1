"""Verifications of SNP evidence per second: cold, and with what the chain's arithmetic gave remembered.

Cold forgets every parsed certificate and every checked signature before each verification. Remembered is what a
verifier sees that meets the same chip again: anchors, names, windows and revocation are judged anew, the report's own
signature is checked, and three certificates are not parsed and verified again. The third arm is a new chip of a
product that was seen before: intermediate and root are remembered, the leaf is not. The fourth is the cold arm once
more, against which the machine's own noise can be read. The floor is one P-384 verification by itself.

All arms in one run, interleaved, in an order that is shuffled each round; ratios are taken round by round against the
cold arm of that round. The last line is one JSON object.
"""

import json
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from sealroom import x509_chain
from sealroom.evidence import Collateral, TrustRoots
from sealroom.tees import snp
from sealroom.testing.snp import SimulatedSnp, SnpPlatform

ROUNDS = 31
REPEATS = 20
AT = datetime(2026, 6, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Machine:
    """Evidence to verify, and what it takes."""

    raw: bytes
    collateral: Collateral
    roots: TrustRoots

    def verify(self) -> None:
        """Parse, verify, translate: what a relying party does before it asks its policy."""
        evidence = snp.parse(self.raw)
        snp.claims(snp.verify(evidence, roots=self.roots, collateral=self.collateral, at=AT))


def main() -> None:
    """Measure and print."""
    platform = SnpPlatform.create()
    machine = machine_on(platform)
    # as many chips of the product as there are new leaves to meet
    others = iter([machine_on(SnpPlatform.create(vendor=platform.vendor)) for _ in range(ROUNDS * REPEATS)])
    arms = {
        "cold": lambda: cold(machine),
        "remembered": machine.verify,
        "new chip": lambda: next(others).verify(),
        "cold again": lambda: cold(machine),
        "one P-384 verification": one_signature(platform),
    }
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    machine.verify()
    for _ in range(ROUNDS):
        order = list(arms)
        random.shuffle(order)
        for name in order:
            seconds[name].append(timed(name, arms[name], machine))
    report(seconds)


def machine_on(platform: SnpPlatform) -> Machine:
    """A guest of its own on ``platform``."""
    collected = SimulatedSnp(platform=platform).collect(bytes(64))
    roots = TrustRoots(insecure_simulated=frozenset({platform.root_fingerprint}))
    return Machine(collected.raw, collected.collateral, roots)


def cold(machine: Machine) -> None:
    """One verification that remembers nothing."""
    x509_chain.forget()
    machine.verify()


def one_signature(platform: SnpPlatform) -> Callable[[], None]:
    """The least that any verification of a report costs with this library."""
    key, message, scheme = platform.key, bytes(0x2A0), ec.ECDSA(hashes.SHA384())
    signature, public = key.sign(message, scheme), key.public_key()
    return lambda: public.verify(signature, message, scheme)


def timed(name: str, arm: Callable[[], None], machine: Machine) -> float:
    """Seconds of CPU for one call of ``arm``, over `REPEATS` calls."""
    if name in {"remembered", "new chip"}:
        machine.verify()  # a cold arm before this one has forgotten everything
    began = time.process_time()
    for _ in range(REPEATS):
        arm()
    return (time.process_time() - began) / REPEATS


def report(seconds: dict[str, list[float]]) -> None:
    """A table for people, and the last line for programs."""
    for name, times in seconds.items():
        print(f"{name:<24}{1e6 * statistics.median(times):>8.0f} us {1 / statistics.median(times):>8.0f} per second")
    ratios = {name: [cold_ / other for cold_, other in zip(seconds["cold"], times, strict=True)]
              for name, times in seconds.items()}  # fmt: skip
    same = statistics.median(ratios["cold again"])
    print(
        f"cold against cold: {same:.3f}"
        + ("" if abs(same - 1) <= 0.05 else " INCONCLUSIVE: the machine is too noisy")
    )
    result = {
        "name": "snp_verification",
        "ratio": round(statistics.median(ratios["remembered"]), 3),
        "spread": [round(quantile, 3) for quantile in quartiles(ratios["remembered"])],
        "runs": ROUNDS,
        "compared": "verifications per second: chain remembered over cold, in CPU time, one thread",
        "per_second": {name: round(1 / statistics.median(times)) for name, times in seconds.items()},
        "same_arm_ratio": round(same, 3),
        "conclusive": abs(same - 1) <= 0.05,
    }
    print(json.dumps(result))


def quartiles(values: list[float]) -> tuple[float, float]:
    """The middle half."""
    low, _, high = statistics.quantiles(values, n=4)
    return low, high


if __name__ == "__main__":
    main()
