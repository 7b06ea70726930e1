"""Outside the encryption there are four addresses, and nothing that tells what runs inside."""

import pytest
from gateway_harness import Gateway, make_gateway

from sealroom.collateral.compression import unpack
from sealroom.errors import UnavailableError

EVIDENCE = "/.well-known/sealroom/evidence"


async def fetch(
    gateway: Gateway, method: str, path: str, query: bytes = b""
) -> tuple[int, dict[bytes, bytes], bytes]:
    connection = await gateway.post(b"", method=method, path=path, query=query)
    assert connection.complete
    return connection.status, connection.headers, connection.body


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/v1/models"), ("POST", "/v1/chat/completions"), ("GET", "/metrics"), ("GET", "/docs"),
     ("GET", "/openapi.json"), ("OPTIONS", "/v1/chat/completions"), ("OPTIONS", "/.well-known/ohttp-gateway"),
     ("HEAD", "/healthz"), ("POST", "/healthz"), ("PUT", "/.well-known/ohttp-gateway"), ("POST", EVIDENCE),
     ("GET", EVIDENCE + "/"), ("GET", "/.well-known/ohttp-gateway/x"), ("GET", "/slots"), ("TRACE", "/")],
)  # fmt: skip
async def test_any_other_address_or_method_is_one_constant_404(gateway: Gateway, method: str, path: str) -> None:
    assert await fetch(gateway, method, path) == (404, {b"content-length": b"0"}, b"")


async def test_evidence_is_made_for_the_nonce_that_was_asked(gateway: Gateway) -> None:
    status, headers, body = await fetch(gateway, "GET", EVIDENCE, b"nonce=" + b"ab" * 32)
    assert (status, headers[b"content-type"], headers[b"cache-control"]) == (
        200,
        b"application/cmw+cbor",
        b"no-store",
    )
    assert body == b"evidence for " + b"\xab" * 32


@pytest.mark.parametrize(
    "named",
    [(b"gzip",), (b"GZIP",), (b"gzip, deflate, br",), (b"br", b"deflate ,gzip;q=0.5"), (b"gzip; q=1.0",)],
)
async def test_evidence_is_compressed_for_whoever_takes_it(gateway: Gateway, named: tuple[bytes, ...]) -> None:
    answer = await gateway.post(b"", method="GET", path=EVIDENCE, query=b"nonce=" + b"ab" * 32, encodings=named)
    assert (answer.headers[b"content-encoding"], answer.headers[b"vary"]) == (b"gzip", b"accept-encoding")
    assert unpack(answer.body) == b"evidence for " + b"\xab" * 32


@pytest.mark.parametrize(
    "named",
    [(), (b"",), (b"identity",), (b"br, deflate",), (b"gzip;q=0",), (b"gzip; q=0.000, br",), (b"x-gzip",), (b"*",),
     (b"agzip",)],
)  # fmt: skip
async def test_evidence_is_plain_for_whoever_does_not(gateway: Gateway, named: tuple[bytes, ...]) -> None:
    answer = await gateway.post(b"", method="GET", path=EVIDENCE, query=b"nonce=" + b"ab" * 32, encodings=named)
    assert b"content-encoding" not in answer.headers
    assert answer.headers[b"vary"] == b"accept-encoding"
    assert answer.body == b"evidence for " + b"\xab" * 32


@pytest.mark.parametrize(
    "query",
    [b"", b"nonce=", b"nonce=ab", b"nonce=" + b"ab" * 33, b"nonce=" + b"zz" * 32, b"nonce=" + b"ab" * 32 + b"&x=1",
     b"x=1&nonce=" + b"ab" * 32, b"NONCE=" + b"ab" * 32, b"nonce=" + b"ab" * 32 + b"\n", b"nonce=" + b"%61b" * 32],
)  # fmt: skip
async def test_a_nonce_that_is_not_32_bytes_gets_no_evidence_at_all(gateway: Gateway, query: bytes) -> None:
    status, _, body = await fetch(gateway, "GET", EVIDENCE, query)
    assert status == 400
    assert b"room.bad-nonce" in body
    assert gateway.room.asked == []


async def test_a_room_that_can_not_prove_itself_now_says_so_and_nothing_else() -> None:
    gateway = await make_gateway()

    async def none(nonce: bytes) -> bytes:
        raise UnavailableError("room.evidence-busy", "SECRET-REASON", got="SECRET-NUMBER")

    gateway.room.evidence = none  # type: ignore[method-assign]
    status, headers, body = await fetch(gateway, "GET", EVIDENCE, b"nonce=" + b"ab" * 32)
    assert status == 503
    assert headers[b"retry-after"].isdigit()
    assert b"SECRET" not in body


async def test_a_fault_of_ours_tells_nobody_what_it_was(caplog: pytest.LogCaptureFixture) -> None:
    gateway = await make_gateway()

    async def broken(nonce: bytes) -> bytes:
        raise RuntimeError("SECRET-CONTENT")

    gateway.room.evidence = broken  # type: ignore[method-assign]
    with caplog.at_level(0):
        status, _, body = await fetch(gateway, "GET", EVIDENCE, b"nonce=" + b"ab" * 32)
    assert status == 500
    assert b"SECRET" not in body
    assert "SECRET" not in caplog.text
    assert "RuntimeError" in caplog.text


async def test_the_key_list_is_served_for_those_who_discover(gateway: Gateway) -> None:
    status, headers, body = await fetch(gateway, "GET", "/.well-known/ohttp-gateway")
    assert (status, headers[b"content-type"]) == (200, b"application/ohttp-keys")
    assert body == gateway.room.keys.key_configs


async def test_health_says_whether_it_serves_and_no_more(gateway: Gateway) -> None:
    assert (await fetch(gateway, "GET", "/healthz"))[::2] == (200, b"ok\n")
    gateway.engine.fail()
    status, headers, body = await fetch(gateway, "GET", "/healthz")
    assert status == 503
    assert b"retry-after" in headers
    assert b"engine" not in body


@pytest.mark.parametrize("content_type", [b"", b"application/json", b"message/bhttp", b"message/ohttp-chunked-res"])
async def test_only_sealed_requests_are_taken(gateway: Gateway, content_type: bytes) -> None:
    connection = await gateway.post(b'{"model":"small"}', content_type=content_type)
    assert connection.status == 415
    assert gateway.engine.requests == []
