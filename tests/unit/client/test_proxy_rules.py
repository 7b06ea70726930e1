"""Who may ask the local endpoint, and how it says no."""

import json

import pytest

from sealroom.client.exchange import RoomUnavailableError
from sealroom.client.proxy_rules import (
    error_body,
    error_headers,
    error_status,
    forbidden_caller,
    is_loopback_host,
)
from sealroom.errors import (
    MalformedError,
    MisuseError,
    RefusedError,
    SealroomError,
    UnavailableError,
    UnverifiedError,
)


@pytest.mark.parametrize("host", ["127.0.0.1:8642", "localhost", "LOCALHOST:1", "[::1]:8642", "localhost.:80"])
def test_a_loopback_name_may_ask(host: str) -> None:
    assert forbidden_caller([(b"host", host.encode())]) is None


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"host", b"")],
        [(b"host", b"attacker.example:8642")],
        [(b"host", b"localhost.attacker.example")],
        [(b"host", b"127.0.0.1@attacker.example")],
        [(b"host", b"127.0.0.1"), (b"host", b"attacker.example")],
        [(b"host", b"127.0.0.1"), (b"host", b"127.0.0.1")],
        [(b"host", b"[::1")],
        [(b"host", b"0.0.0.0:8642")],
        [(b"Host", b"127.0.0.2")],
    ],
)
def test_any_other_host_may_not(headers: list[tuple[bytes, bytes]]) -> None:
    refusal = forbidden_caller(headers)
    assert refusal is not None
    assert refusal.code == "proxy.foreign-host"


@pytest.mark.parametrize("origin", [b"https://attacker.example", b"null", b"", b"http://localhost.attacker.example"])
def test_a_page_of_another_origin_may_not(origin: bytes) -> None:
    refusal = forbidden_caller([(b"host", b"localhost"), (b"origin", origin)])
    assert refusal is not None
    assert refusal.code == "proxy.foreign-origin"


def test_a_page_that_this_machine_serves_may() -> None:
    assert forbidden_caller([(b"host", b"localhost:8642"), (b"origin", b"http://localhost:3000")]) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", "127.1", ""])
def test_only_loopback_is_loopback(host: str) -> None:
    assert not is_loopback_host(host)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MalformedError("a.b", "c"), 502),
        (UnverifiedError("a.b", "c"), 502),
        (RefusedError("a.b", "c"), 502),
        (UnavailableError("a.b", "c"), 503),
        (MisuseError("a.b", "c"), 400),
        (MisuseError("proxy.foreign-host", "c"), 403),
    ],
)
def test_each_family_has_its_status_and_openais_shape(error: SealroomError, status: int) -> None:
    shape = json.loads(error_body(error))["error"]
    assert error_status(error) == status
    assert shape["code"] == error.code
    assert shape["message"]
    assert shape["type"] == f"sealroom_{error.family}"


def test_a_refusal_tells_the_openai_client_not_to_try_again() -> None:
    assert error_headers(UnverifiedError("a.b", "c")) == [(b"x-should-retry", b"false")]


def test_an_absence_tells_when_to_try_again() -> None:
    error = RoomUnavailableError("a.b", "c", got="status 503", retry_after=7.0)
    assert error_headers(error) == [(b"retry-after", b"7")]
