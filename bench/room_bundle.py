"""A room's bundle of a TD, eight GPUs and four switches, with everything stapled: time to verify, and its size.

Cold forgets everything before each verification. Remembered is a new bundle of the same machine for a new nonce: its
certificates, reference values and revocation answers were met before, every report and quote is another, and every
signature over them is checked. Again is the identical bundle. Verified is all that `sealroom.verifier` does, policy
included, and that the devices are one machine by their own words.

All arms in one run, interleaved in an order that is shuffled each round; the ratio is remembered over cold, round by
round. The last line is one JSON object.
"""

import gzip
import json
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from sealroom import x509_chain
from sealroom.binding import Label, report_data
from sealroom.collateral import EvidenceBundle
from sealroom.device_statement import device_nonce
from sealroom.evidence import Appraisal, Tee
from sealroom.policy import Policy, load_policy
from sealroom.statement import RoomStatement
from sealroom.tees import nvidia
from sealroom.tees._dcap import verify as dcap
from sealroom.tees.nvidia.topology import problems
from sealroom.testing.dcap import SimulatedTdx
from sealroom.testing.nvidia import GpuMachine
from sealroom.verifier import appraise_room

ROUNDS, REPEATS = 21, 3
AT = datetime(2026, 6, 1, tzinfo=UTC)
DEVICES = 12
POLICY = """\
policy = 1
name = "bench"
[trust]
tees = ["tdx"]
insecure_simulated = [{roots}]
[tdx]
mr_td = ["{mr_td}"]
[model]
name = "m"
digest = ["sha256:{digest}"]
[engine]
config_digest = ["sha256:{digest}"]
[unchecked]
init_data = "not asked about here"
rtmr = "not asked about here"
"""


class Machine:
    """Makes bundles of one machine, and verifies them."""

    def __init__(self) -> None:
        self.td = SimulatedTdx(version=5, mr_td=b"\x4d" * 48)
        # a room fetches it once a day or so, and not for every caller
        self.collateral = self.td.collect(bytes(64)).collateral
        self.gpus = GpuMachine.preset("h100x8")
        roots = [self.td.root_fingerprint, *self.gpus.root_fingerprints]
        document = POLICY.format(roots=", ".join(f'"sha256:{root.hex()}"' for root in roots), mr_td="4d" * 48,
                                 digest="0d" * 32)  # fmt: skip
        self.policy: Policy = load_policy(document, source="bench")

    def bundle(self, nonce: bytes) -> bytes:
        """As a room makes it: devices for the statement without them, the CPU over the whole."""
        statement = RoomStatement(
            nonce=nonce, key_configs=b"\0" * 41, model_name="m", model_version=1, model_digest=b"\x0d" * 32,
            package_digest=bytes(32), engine_name="none", engine_version="1", engine_config_digest=b"\x0d" * 32,
            sandbox_layers=(), software_version="0.1.0", created_at=AT, not_after=AT + timedelta(minutes=30),
        )  # fmt: skip
        devices = self.gpus.collect(device_nonce(statement.without_devices(), Tee.NVIDIA))
        raw = statement.with_devices(devices).encode()
        cpu = replace(self.td.collect(report_data(Label.ROOM_STATEMENT, raw)), collateral=self.collateral)
        return EvidenceBundle.of(raw, cpu, devices).encode()

    def verify(self, bundle: bytes, nonce: bytes) -> Appraisal:
        """Everything that a caller checks."""
        appraisal = appraise_room(bundle, self.policy, nonce=nonce, at=AT)
        found = problems(appraisal.devices)
        if found or len(appraisal.devices) != DEVICES:
            raise AssertionError(found)
        return appraisal


def main() -> None:
    """Measure and print."""
    machine, numbers = Machine(), count(1)
    nonces = [next(numbers).to_bytes(32, "big") for _ in range((ROUNDS + 1) * REPEATS)]
    bundles = [machine.bundle(nonce) for nonce in nonces]
    others = iter(zip(bundles[1:], nonces[1:], strict=True))
    first, nonce = bundles[0], nonces[0]

    arms: dict[str, Callable[[], object]] = {
        "cold": lambda: machine.verify(first, nonce),
        "remembered": lambda: machine.verify(*next(others)),
        "again": lambda: machine.verify(first, nonce),
        "thirteen signatures": signatures(),
    }
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(ROUNDS):
        for name in random.sample(list(arms), len(arms)):
            machine.verify(first, nonce)  # a cold arm before this one has forgotten everything
            spent = [timed(arms[name], cold=name == "cold") for _ in range(REPEATS)]
            seconds[name].append(sum(spent) / REPEATS)
    report(seconds, first)


def timed(arm: Callable[[], object], *, cold: bool) -> float:
    """Seconds of CPU; what is forgotten before a cold arm is nobody's verdict."""
    if cold:
        forget()
    began = time.process_time()
    arm()
    return time.process_time() - began


def forget() -> None:
    """Everything that this process remembers of evidence."""
    dcap.forget()
    x509_chain.forget()
    nvidia.forget()


def signatures() -> Callable[[], None]:
    """What a bundle of a known machine can not do without: twelve reports on P-384, and a quote on P-256."""
    key, other = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP256R1())
    big, small = ec.ECDSA(hashes.SHA384()), ec.ECDSA(hashes.SHA256())
    signed, quoted = key.sign(bytes(4000), big), other.sign(bytes(600), small)

    def run() -> None:
        for _ in range(DEVICES):
            key.public_key().verify(signed, bytes(4000), big)
        other.public_key().verify(quoted, bytes(600), small)

    return run


def report(seconds: dict[str, list[float]], bundle: bytes) -> None:
    """A table for people, and the last line for programs."""
    milliseconds = {name: round(1e3 * statistics.median(times), 2) for name, times in seconds.items()}
    for name, value in milliseconds.items():
        print(f"{name:<24}{value:>8.2f} ms")
    size, packed = len(bundle), len(gzip.compress(bundle, 9))
    print(f"bundle: {size / 1024:.0f} KiB, {packed / 1024:.0f} KiB compressed")
    ratios = [one / other for one, other in zip(seconds["remembered"], seconds["cold"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    result = {
        "name": "room_bundle",
        "ratio": round(middle, 2),
        "spread": [round(low, 2), round(high, 2)],
        "runs": ROUNDS,
        "compared": "bundle of a TD, 8 GPUs, 4 switches, everything stapled: a machine that was met before over one "
        f"that was not, CPU, one thread (cold {milliseconds['cold']} ms, remembered {milliseconds['remembered']} ms, "
        f"identical {milliseconds['again']} ms; {size // 1024} KiB, {packed // 1024} KiB compressed)",
        "milliseconds": milliseconds,
        "kib": round(size / 1024),
        "kib_compressed": round(packed / 1024),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
