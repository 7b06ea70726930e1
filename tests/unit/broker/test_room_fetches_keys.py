"""The room's side against a broker that refuses, is not there, or is something else."""

import asyncio
import json
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from broker_world import INIT_DATA, RESOURCE, World, policy_for
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from on_loopback import listening, served

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
from sealroom.room import broker_transport
from sealroom.room.broker_transport import BrokerAddress, BrokerConnection
from sealroom.room.key_client import fetch_key
from sealroom.testing.snp import SimulatedSnp, SnpPlatform


async def test_a_refusal_carries_the_brokers_own_reason(world: World) -> None:
    world.admin.register(world.registration(policy=policy_for(world.platform, measurement=bytes(48))))
    attester = world.guest().attester
    async with served(world.transport()) as url:
        with pytest.raises(RefusedError) as caught:
            await fetch_key(url, RESOURCE, attester, init_data=INIT_DATA)
    assert caught.value.code == world.events()[-1]["codes"][0]  # type: ignore[index]
    assert "PolicyDeny" in str(caught.value.got)


async def test_a_broker_that_is_not_there_is_unavailable(snp_platform: SnpPlatform) -> None:
    with pytest.raises(UnavailableError, match=r"room\.broker-unreachable") as caught:
        await fetch_key("http://127.0.0.1:1", RESOURCE, SimulatedSnp(platform=snp_platform))
    assert caught.value.hint


@pytest.mark.parametrize(
    "url",
    ["", "not a url", "ftp://x", "http://x:port", "unix:/x", "http://[::1", "http://", "http://a b/", "http://x..y/"],
)
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
    async with served(httpx.MockTransport(answer)) as url:
        return await fetch_key(url, RESOURCE, attester)


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


async def test_the_session_cookie_comes_back_and_a_token_goes_before_a_password(snp_platform: SnpPlatform) -> None:
    seen: list[httpx.Headers] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        if request.url.path == "/base/kbs/v0/auth":
            cookie = {"set-cookie": "kbs-session-id=s1; Path=/kbs/v0; HttpOnly"}
            return httpx.Response(200, headers=cookie, json={"nonce": _NONCE, "extra-params": ""})
        return httpx.Response(200, json={"token": "t"})

    async with served(httpx.MockTransport(answer)) as url:
        address = url.replace("//", "//operator:a%40b@") + "/base/"
        with pytest.raises(MalformedError):
            await fetch_key(address, RESOURCE, SimulatedSnp(platform=snp_platform))
    asked, attested, got = seen
    assert "cookie" not in asked
    assert asked["authorization"] == "Basic b3BlcmF0b3I6YUBi"
    assert asked["host"] == url.removeprefix("http://")
    assert attested["cookie"] == got["cookie"] == "kbs-session-id=s1"
    assert got["authorization"] == "Bearer t"


async def _ask(said: bytes, *, hang: bool = False) -> broker_transport.BrokerAnswer:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        if hang:
            await reader.read()
        writer.close()

    async with listening(serve) as url, BrokerConnection(BrokerAddress.parse(url)) as broker:
        return await broker.ask("GET", "/x", headers={})


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nshor",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000,
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
async def test_what_is_no_http_counts_as_a_broker_that_is_not_there(said: bytes) -> None:
    with pytest.raises(UnavailableError, match=r"room\.broker-unreachable"):
        await _ask(said)


async def test_a_chunked_answer_after_a_word_in_between_is_read_whole() -> None:
    between = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    said = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    assert (await _ask(between + said)).body == b"abc"


async def test_an_answer_without_an_end_is_cut_at_four_mebibytes() -> None:
    endless = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5_000_000
    with pytest.raises(MalformedError, match=r"room\.broker-answer"):
        await _ask(endless, hang=True)


async def test_a_broker_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_transport, "_ANSWERED_WITHIN", 0.05)
    with pytest.raises(UnavailableError, match=r"room\.broker-unreachable") as caught:
        await _ask(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nslow", hang=True)
    assert caught.value.got == "TimeoutError"


async def test_a_broker_that_closes_after_every_answer_is_connected_to_again(snp_platform: SnpPlatform) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/auth"):
            return httpx.Response(200, headers={"connection": "close"}, json={"nonce": _NONCE, "extra-params": ""})
        return httpx.Response(401, json={"type": _TRUSTEE + "PolicyDeny", "detail": "Policy denied"})

    with pytest.raises(RefusedError):
        await _against(answer, SimulatedSnp(platform=snp_platform))


async def test_a_certificate_that_nobody_vouches_for_ends_it_before_a_byte_is_sent(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read())
        writer.close()

    async with (
        listening(serve, tls=_self_signed(tmp_path)) as url,
        BrokerConnection(BrokerAddress.parse(url)) as broker,
    ):
        with pytest.raises(UnavailableError, match="SSLCertVerificationError"):
            await broker.ask("GET", "/x", headers={})
    assert b"".join(heard) == b""


def _self_signed(folder: Path) -> ssl.SSLContext:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now, a_day = datetime.now(UTC), timedelta(days=1)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now - a_day, now + a_day)
    made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=True)
    (folder / "pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pem")
    return context
