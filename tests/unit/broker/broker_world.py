"""A broker in memory, real simulated hardware in front of it, and a client that can lie at every step."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.broker.admin_service import BrokerAdmin
from sealroom.broker.app import build_app
from sealroom.broker.registration import Registration
from sealroom.broker.service import Broker
from sealroom.broker.stores.state_dir import State
from sealroom.kbs.binding import fit, primary_digest
from sealroom.kbs.errors_json import ErrorReply, parse_error
from sealroom.kbs.init_data import write_init_data
from sealroom.kbs.json_text import JsonObject
from sealroom.kbs.messages import Attestation, ResourceId
from sealroom.kbs.snp_json import write_snp_json
from sealroom.kbs.tee_key import ec_jwk
from sealroom.testing.snp import SimulatedSnp, SnpPlatform

KEY = bytes(range(32))
RESOURCE = "models/smollm2/v2"
MEASUREMENT = bytes.fromhex("ab" * 48)
INIT_DATA = write_init_data({"sealroom.model": "smollm2"})


class Clock:
    """A clock that stands until it is moved. Simulated certificates begin in the past, so it starts now."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def policy_for(platform: SnpPlatform, *, model: str = "smollm2", measurement: bytes = MEASUREMENT) -> str:
    tcb = "\n".join(f"{part} = {level}" for part, level in platform.tcb.items())
    return f"""
policy = 1
name = "release of {model}"

[trust]
tees = ["snp"]
insecure_simulated = ["sha256:{platform.root_fingerprint.hex()}"]

[snp]
measurement = ["{measurement.hex()}"]
allow = ["smt"]

[snp.minimum_tcb.{platform.product}]
{tcb}

[init_data]
"sealroom.model" = "{model}"
"""


@dataclass
class World:
    """One broker and what a test needs to know of it."""

    folder: Path
    platform: SnpPlatform
    state: State
    clock: Clock
    broker: Broker
    admin: BrokerAdmin
    http: httpx.AsyncClient

    def registration(self, **changes: object) -> Registration:
        fields: dict[str, object] = {
            "resource": ResourceId.parse(RESOURCE), "key": KEY, "policy": policy_for(self.platform),
            "model_name": "smollm2", "model_version": 2,
        }  # fmt: skip
        return Registration(**(fields | changes))  # type: ignore[arg-type]

    def guest(self, **changes: object) -> "GuestUnderTest":
        fields: dict[str, object] = {
            "measurement": MEASUREMENT, "host_data": hashlib.sha256(INIT_DATA).digest(), "platform": self.platform,
        }  # fmt: skip
        return GuestUnderTest(self.http, SimulatedSnp(**(fields | changes)))  # type: ignore[arg-type]

    def events(self) -> list[JsonObject]:
        return [entry.body for entry in self.state.audit.read()]

    @property
    def admin_headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.state.admin_token}"}

    def transport(self) -> httpx.ASGITransport:
        return transport_of(self.broker, self.admin)


@dataclass
class GuestUnderTest:
    """A guest whose every message can be changed before it is sent."""

    http: httpx.AsyncClient
    attester: SimulatedSnp
    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    async def auth(self, tee: str = "snp") -> str:
        answer = await self.http.post("/kbs/v0/auth", json={"version": "0.4.0", "tee": tee, "extra-params": ""})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["nonce"])

    def message(self, nonce: str, *, init_data: bytes | None = INIT_DATA, **changes: object) -> Attestation:
        jwk = changes.pop("jwk", None) or ec_jwk(self.private.public_key(), alg="ECDH-ES+A256KW")
        runtime: JsonObject = {"nonce": nonce, "tee-pubkey": jwk}  # type: ignore[dict-item]
        collected = self.attester.collect(fit(primary_digest(runtime, ""), 64))
        fields: dict[str, object] = {
            "runtime_data": runtime, "init_data": init_data,
            "primary_evidence": write_snp_json(collected.raw, collected.collateral),
        }  # fmt: skip
        return Attestation(**(fields | changes))  # type: ignore[arg-type]

    async def attest(self, message: Attestation | bytes) -> httpx.Response:
        body = message if isinstance(message, bytes) else message.encode()
        return await self.http.post("/kbs/v0/attest", content=body)

    async def attested(self, **changes: object) -> str:
        """Auth and attest; the token."""
        answer = await self.attest(self.message(await self.auth(), **changes))  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text
        return str(answer.json()["token"])

    async def get(self, resource: str = RESOURCE, **headers: str) -> httpx.Response:
        return await self.http.get(f"/kbs/v0/resource/{resource}", headers=headers)


def refusal(answer: httpx.Response) -> ErrorReply:
    """The body of an answer that has to be one of the protocol's errors: exactly type and detail."""
    assert answer.status_code >= 400, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"type", "detail"}
    return parse_error(answer.content)


def transport_of(broker: Broker, admin: BrokerAdmin, **options: int) -> httpx.ASGITransport:
    return httpx.ASGITransport(build_app(broker, admin, **options), raise_app_exceptions=False)  # type: ignore[arg-type]
