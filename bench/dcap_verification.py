"""One TDX quote with its full collateral: ours beside `dcap-qvl`, a verifier in Rust (through its Python package).

Cold forgets everything before each verification. Cached is a new quote of a platform whose certificates and
collateral were verified before: signature of the quote, levels, claims. Again is the identical quote once more.
Refused arms are cold and each has one fault, so that the price of saying no can be seen. Nine P-256 verifications are
the floor of a cold verdict with this library.

All arms in one run, interleaved in an order that is shuffled each round; ratios are taken round by round against
`dcap-qvl` of that round. Evidence is minted, so that anybody can run it; the recorded quote beside it where
../shared has it. The last line is one JSON object.
"""

import json
import random
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import dcap_qvl
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from sealroom import x509_chain
from sealroom.errors import SealroomError
from sealroom.evidence import Claims, Collateral, Tee, TrustRoots
from sealroom.tees import tdx
from sealroom.tees._dcap import verify as dcap
from sealroom.tees.tdx import claims as tdx_claims
from sealroom.tees.tdx import layout
from sealroom.testing.dcap import SimulatedTdx
from sealroom.testing.intel import Level, TcbInfoForm

ROUNDS, REPEATS = 31, 20
AT = datetime(2026, 6, 1, tzinfo=UTC)
RECORDED = Path(__file__).resolve().parents[2] / "shared" / "vectors" / "tdx" / "v5-90c06f-uptodate"
RECORDED_AT = datetime(2026, 2, 4, 12, tzinfo=UTC)

_CLAIMS = "sealroom.tees.tdx.claims"


def main() -> None:
    """Measure and print."""
    guest = SimulatedTdx(version=5, td_15=True)
    roots = TrustRoots(insecure_simulated=frozenset({guest.root_fingerprint}))
    collected = guest.collect(bytes(64))
    items = dict(collected.collateral.items)
    numbers = count(1)
    others = iter([guest.quote(next(numbers).to_bytes(64, "big")) for _ in range((ROUNDS + 1) * REPEATS)])
    theirs = for_dcap_qvl(items)
    root = guest.platform.vendor.root.certificate

    def ours(raw: bytes, collateral: Collateral = collected.collateral) -> Claims:
        return tdx_claims(tdx.verify(tdx.parse(raw), roots=roots, collateral=collateral, at=AT))

    def cold(raw: bytes = collected.raw, collateral: Collateral = collected.collateral) -> None:
        forget()
        try:
            ours(raw, collateral)
        except SealroomError:
            return

    arms: dict[str, Callable[[], object]] = {
        "dcap-qvl": lambda: dcap_qvl.verify_with_root_ca(collected.raw, theirs, root, int(AT.timestamp())),
        "cold": cold,
        "cached": lambda: ours(next(others)),
        "again": lambda: ours(collected.raw),
        "nine P-256 signatures": nine_signatures(),
        **{f"refused: {name}": (lambda raw=raw, bad=bad: cold(raw, bad)) for name, raw, bad in faults(guest)},
        **recorded_arms(),
    }
    seconds = measure(arms, lambda: ours(collected.raw))
    report(seconds, memory(cold), import_time())


def forget() -> None:
    """Everything that this process remembers of evidence."""
    layout.parse.cache_clear()
    sys.modules[_CLAIMS].forget()
    dcap.forget()
    x509_chain.forget()


def faults(guest: SimulatedTdx) -> list[tuple[str, bytes, Collateral]]:
    """A refusal at each depth: form, signature of the quote, of the TCB info, level, module."""
    raw, platform = guest.quote(bytes(64)), guest.platform
    items = platform.collateral(Tee.TDX)
    flipped = bytearray(raw)
    flipped[200] ^= 1
    edited = items | {"tcb_info_response": items["tcb_info_response"].replace(b"UpToDate", b"UpToDatf", 1)}
    high = replace(Level(), components=(255,) * 16)
    old = platform.collateral(Tee.TDX, tcb_info=TcbInfoForm(levels=(high,)))
    return [
        ("truncated", raw[:900], Collateral(items=items)),
        ("changed body", bytes(flipped), Collateral(items=items)),
        ("edited TCB info", raw, Collateral(items=edited)),
        ("no level", raw, Collateral(items=old)),
    ]


def nine_signatures() -> Callable[[], None]:
    """Leaf, CA, signer, two lists, two documents, QE report, quote."""
    key, scheme = ec.generate_private_key(ec.SECP256R1()), ec.ECDSA(hashes.SHA256())
    signature, public = key.sign(bytes(600), scheme), key.public_key()

    def run() -> None:
        for _ in range(9):
            public.verify(signature, bytes(600), scheme)

    return run


def recorded_arms() -> dict[str, Callable[[], object]]:
    """The same on a quote of real hardware, where the recorded vectors are."""
    if not RECORDED.is_dir():
        return {}
    items = {path.name.partition(".")[0]: path.read_bytes() for path in RECORDED.iterdir()
             if path.name not in {"quote.bin", "vector.json"}}  # fmt: skip
    raw, theirs, collateral = (RECORDED / "quote.bin").read_bytes(), for_dcap_qvl(items), Collateral(items=items)

    def cold() -> None:
        forget()
        tdx_claims(tdx.verify(tdx.parse(raw), roots=TrustRoots(), collateral=collateral, at=RECORDED_AT))

    return {
        "dcap-qvl, recorded": lambda: dcap_qvl.verify(raw, theirs, int(RECORDED_AT.timestamp())),
        "cold, recorded": cold,
    }


def for_dcap_qvl(items: dict[str, bytes]) -> "dcap_qvl.QuoteCollateralV3":
    """The same collateral in the form that dcap-qvl takes; made outside of what is timed."""

    def signed(name: str) -> tuple[str, bytes]:
        raw = items[name]
        body = raw[raw.index(b"{", 1) : raw.rindex(b',"signature"')].decode()
        return body, bytes.fromhex(json.loads(raw)["signature"])

    return dcap_qvl.QuoteCollateralV3(
        items["pck_crl_issuer_chain"].decode(), items["root_ca_crl"], items["pck_crl"],
        items["tcb_info_issuer_chain"].decode(), *signed("tcb_info_response"),
        items["qe_identity_issuer_chain"].decode(), *signed("qe_identity_response"),
    )  # fmt: skip


def measure(arms: dict[str, Callable[[], object]], warm: Callable[[], object]) -> dict[str, list[float]]:
    """Seconds of CPU for one call of each arm, round by round."""
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(ROUNDS):
        order = list(arms)
        random.shuffle(order)
        for name in order:
            if name in {"cached", "again"}:
                warm()  # a cold arm before this one has forgotten everything
            began = time.process_time()
            for _ in range(REPEATS):
                arms[name]()
            seconds[name].append((time.process_time() - began) / REPEATS)
    return seconds


def memory(cold: Callable[[], None]) -> int:
    """The most bytes that one cold verification holds at a time."""
    cold()
    tracemalloc.start()
    cold()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def import_time() -> float:
    """Milliseconds to import `sealroom.verifier` in a new process, above an empty one; median of nine."""

    def run(code: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - began

    return 1e3 * statistics.median(run("import sealroom.verifier") - run("pass") for _ in range(9))


def report(seconds: dict[str, list[float]], peak: int, imported: float) -> None:
    """A table for people, and the last line for programs."""
    for name, times in seconds.items():
        print(f"{name:<28}{1e6 * statistics.median(times):>9.1f} us")
    print(f"memory of a cold verification: {peak / 1024:.0f} KiB; import of sealroom.verifier: {imported:.0f} ms")
    over = {name: ratio(times, seconds["dcap-qvl"]) for name, times in seconds.items()}
    refused = max(ratio(times, seconds["cold"])[1] for name, times in seconds.items() if name.startswith("refused"))
    low, middle, high = over["cold"]
    result = {
        "name": "dcap_verification",
        "ratio": round(middle, 2),
        "spread": [round(low, 2), round(high, 2)],
        "runs": ROUNDS,
        "compared": "TDX quote with collateral, cold: our time over dcap-qvl's, CPU, one thread "
        f"(collateral cached {over['cached'][1]:.2f}, identical quote {over['again'][1]:.4f}, "
        f"nine signatures alone {over['nine P-256 signatures'][1]:.2f})",
        "microseconds": {name: round(1e6 * statistics.median(times), 1) for name, times in seconds.items()},
        "slowest_refusal_over_cold": round(refused, 2),
        "peak_kib": round(peak / 1024),
        "import_ms": round(imported),
    }
    print(json.dumps(result))


def ratio(times: list[float], base: list[float]) -> tuple[float, float, float]:
    """Quartiles of the ratio, round by round."""
    low, middle, high = statistics.quantiles([one / other for one, other in zip(times, base, strict=True)], n=4)
    return low, middle, high


if __name__ == "__main__":
    main()
