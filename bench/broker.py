"""Key releases per second, against requests that do nothing on the same stack.

A release is the whole handshake of a fresh session: ``/auth``, ``/attest`` (evidence verified), the resource
(verified again, appraised, recorded durably, encrypted). The other side are as many requests, three, to ``/healthz``
of the same process over the same kind of connection. The guest's own work (its key, the simulated report, opening
the answer) is not counted: its messages are measured from sending to answer.

``ratio`` is the time of a release over that of three requests that do nothing: what evidence, policy, cryptography
and two durable writes cost together. The last line is one JSON object.
"""

import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.broker.admin_client import read_admin_token, register_key
from sealroom.broker.registration import Registration
from sealroom.kbs.binding import fit, primary_digest
from sealroom.kbs.init_data import MODEL_KEY, write_init_data
from sealroom.kbs.json_text import JsonObject
from sealroom.kbs.jwe import open_jwe
from sealroom.kbs.messages import Attestation, ResourceId
from sealroom.kbs.snp_json import write_snp_json
from sealroom.kbs.tee_key import ec_jwk
from sealroom.testing.snp import SimulatedSnp

ROUNDS = 41
RELEASES_A_ROUND = 5
KEY = bytes(range(32))
RESOURCE = ResourceId("models", "bench", "v1")
INIT_DATA = write_init_data({MODEL_KEY: "bench"})


def policy_for(guest: SimulatedSnp) -> str:
    """A policy as an owner would write it."""
    tcb = "\n".join(f"{part} = {level}" for part, level in guest.platform.tcb.items())
    return f"""
policy = 1
name = "bench"
[trust]
tees = ["snp"]
insecure_simulated = ["sha256:{guest.root_fingerprint.hex()}"]
[snp]
measurement = ["{bytes(48).hex()}"]
allow = ["smt"]
[snp.minimum_tcb.{guest.platform.product}]
{tcb}
[init_data]
"{MODEL_KEY}" = "bench"
"""


def release(http: httpx.Client, guest: SimulatedSnp) -> float:
    """Seconds that the broker took for one release."""
    private = ec.generate_private_key(ec.SECP256R1())
    begin = time.perf_counter()
    challenge = http.post("/kbs/v0/auth", json={"version": "0.4.0", "tee": "snp", "extra-params": ""})
    seconds = time.perf_counter() - begin
    jwk = ec_jwk(private.public_key(), alg="ECDH-ES+A256KW")
    runtime: JsonObject = {"nonce": challenge.json()["nonce"], "tee-pubkey": jwk}
    collected = guest.collect(fit(primary_digest(runtime, ""), 64))
    evidence = write_snp_json(collected.raw, collected.collateral)
    body = Attestation(runtime_data=runtime, primary_evidence=evidence, init_data=INIT_DATA).encode()
    begin = time.perf_counter()
    http.post("/kbs/v0/attest", content=body).raise_for_status()
    answer = http.get(f"/kbs/v0/resource/{RESOURCE}")
    seconds += time.perf_counter() - begin
    if open_jwe(private, answer.content) != KEY:
        raise SystemExit("another key came")
    return seconds


def nothing(http: httpx.Client) -> float:
    """Seconds for three requests that do nothing."""
    begin = time.perf_counter()
    for _ in range(3):
        http.get("/healthz")
    return time.perf_counter() - begin


def measure(url: str, guest: SimulatedSnp) -> dict[str, object]:
    """Both sides in turns."""
    releases, idles = [], []
    with httpx.Client(base_url=url) as http:
        release(http, guest)
        for _ in range(ROUNDS):
            releases.append(statistics.mean(release(http, guest) for _ in range(RELEASES_A_ROUND)))
            idles.append(statistics.mean(nothing(http) for _ in range(RELEASES_A_ROUND)))
    ratios = sorted(one / other for one, other in zip(releases, idles, strict=True))
    quarter = len(ratios) // 4
    return {
        "name": "broker",
        "ratio": round(statistics.median(ratios), 2),
        "spread": [round(ratios[quarter], 2), round(ratios[-quarter - 1], 2)],
        "runs": ROUNDS * RELEASES_A_ROUND,
        "compared": "a whole key release against three requests that do nothing: time, one client, same process",
        "releases_per_second": round(1 / statistics.median(releases), 1),
        "idle_rounds_per_second": round(1 / statistics.median(idles), 1),
    }


def main() -> None:
    """Start a broker, register a key, measure."""
    guest = SimulatedSnp(host_data=hashlib.sha256(INIT_DATA).digest())
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "broker"
        command = [sys.executable, "-m", "sealroom", "broker", "--state", str(state), "--port", "0", "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            try:
                assert process.stdout is not None
                url = json.loads(process.stdout.readline())["url"]
                registration = Registration(resource=RESOURCE, key=KEY, policy=policy_for(guest), model_name="bench",
                                            model_version=1)  # fmt: skip
                register_key(url, read_admin_token(state / "admin-token"), registration)
                result = measure(url, guest)
            finally:
                process.terminate()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
