"""The room's side against a broker that refuses, is not there, or is something else."""

import json
from collections.abc import Callable

import httpx
import pytest
from broker_world import INIT_DATA, RESOURCE, World, policy_for

from sealroom.errors import (
    MalformedError,
    MisuseError,
    RefusedError,
    SealroomError,
    UnavailableError,
    UnverifiedError,
)
from sealroom.evidence import CollectedEvidence, Tee
from sealroom.kbs.json_text import b64_encode
from sealroom.room.key_client import fetch_key
from sealroom.testing.snp import SimulatedSnp, SnpPlatform


async def test_a_refusal_carries_the_brokers_own_reason(world: World) -> None:
    world.admin.register(world.registration(policy=policy_for(world.platform, measurement=bytes(48))))
    attester = world.guest().attester
    with pytest.raises(RefusedError) as caught:
        await fetch_key("http://b.test", RESOURCE, attester, init_data=INIT_DATA, transport=world.transport())
    assert caught.value.code == world.events()[-1]["codes"][0]  # type: ignore[index]
    assert "PolicyDeny" in str(caught.value.got)


async def test_a_broker_that_is_not_there_is_unavailable(snp_platform: SnpPlatform) -> None:
    with pytest.raises(UnavailableError, match=r"room\.broker-unreachable") as caught:
        await fetch_key("http://127.0.0.1:1", RESOURCE, SimulatedSnp(platform=snp_platform))
    assert caught.value.hint


@pytest.mark.parametrize("url", ["", "not a url", "ftp://x", "http://x:port", "unix:/x"])
async def test_an_address_that_is_none_is_a_mistake_of_ours(snp_platform: SnpPlatform, url: str) -> None:
    with pytest.raises(MisuseError, match=r"room\.broker-address"):
        await fetch_key(url, RESOURCE, SimulatedSnp(platform=snp_platform))


async def test_evidence_of_another_tee_than_announced_is_not_sent(snp_platform: SnpPlatform) -> None:
    class Wrong(SimulatedSnp):
        def collect(self, report_data: bytes) -> CollectedEvidence:
            collected = super().collect(report_data)
            return CollectedEvidence(tee=Tee.TDX, raw=collected.raw, collateral=collected.collateral)

    with pytest.raises(MisuseError, match=r"room\.wrong-tee"):
        await _against(lambda _: httpx.Response(200, json={"nonce": _NONCE, "extra-params": ""}),
                       Wrong(platform=snp_platform))  # fmt: skip


_NONCE = b64_encode(bytes(32))
_TRUSTEE = "https://github.com/confidential-containers/kbs/errors/"


async def _against(answer: Callable[[httpx.Request], httpx.Response], attester: SimulatedSnp) -> bytes:
    return await fetch_key("http://b.test", RESOURCE, attester, transport=httpx.MockTransport(answer))


@pytest.mark.parametrize(
    ("status", "body", "family", "code"),
    [
        (401, {"type": _TRUSTEE + "PolicyDeny", "detail": "Policy denied"}, RefusedError, "broker.policy-deny"),
        (401, {"type": _TRUSTEE + "AttestationError", "detail": "x"}, RefusedError, "broker.attestation-refused"),
        (401, {"type": _TRUSTEE + "TokenNotFound", "detail": "x"}, UnverifiedError, "broker.refused"),
        (401, {"type": "elsewhere", "detail": "x"}, MalformedError, "room.broker-answer"),
        (404, "<html>", MalformedError, "room.broker-answer"),
        (302, "", MalformedError, "room.broker-answer"),
        (500, {"type": _TRUSTEE + "PluginInternalError", "detail": "x"}, UnavailableError, "room.broker-unavailable"),
        (503, "", UnavailableError, "room.broker-unavailable"),
        (200, "{}", MalformedError, "kbs.member-type"),
        (200, "x" * 5_000_000, MalformedError, "room.broker-answer"),
    ],
)
async def test_what_a_broker_says_ends_in_one_of_our_errors(
    snp_platform: SnpPlatform, status: int, body: object, family: type[SealroomError], code: str
) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    with pytest.raises(family) as caught:
        await _against(lambda _: httpx.Response(status, text=text), SimulatedSnp(platform=snp_platform))
    assert caught.value.code == code


async def test_a_key_made_for_somebody_else_is_not_taken(world: World) -> None:
    world.admin.register(world.registration())
    other = world.guest()
    await other.attested()
    stolen = (await other.get()).content

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/auth"):
            return httpx.Response(200, json={"nonce": _NONCE, "extra-params": ""})
        if request.url.path.endswith("/attest"):
            return httpx.Response(200, json={"token": "t"})
        return httpx.Response(200, content=stolen)

    with pytest.raises(UnverifiedError, match=r"kbs\.jwe"):
        await _against(answer, other.attester)
