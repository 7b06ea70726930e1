"""What stands outside the encryption is anybody's word: it can make a request fail, and nothing else."""

import json

import pytest

from sealroom.client.exchange import (
    RoomUnavailableError,
    RotatedKeyError,
    inner_request,
    is_sealed_answer,
    outer_refusal,
)
from sealroom.errors import UnverifiedError

PROBLEM = {"content-type": "application/problem+json"}
UNKNOWN_KEY = json.dumps({"type": "https://iana.org/assignments/http-problem-types#ohttp-key"}).encode()


@pytest.mark.parametrize(
    ("status", "media_type"),
    [
        (200, None),
        (200, "application/json"),
        (200, "message/ohttp-res"),
        (201, "message/ohttp-chunked-res"),
        (302, "message/ohttp-chunked-res"),
        (500, "message/ohttp-chunked-res"),
    ],
)
def test_only_one_status_and_media_type_is_a_sealed_answer(status: int, media_type: str | None) -> None:
    assert not is_sealed_answer(status, media_type)
    assert is_sealed_answer(200, "message/ohttp-chunked-res")


def test_an_unknown_key_is_told_from_everything_else() -> None:
    assert isinstance(outer_refusal(400, PROBLEM, UNKNOWN_KEY), RotatedKeyError)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"content-type": "text/html"}, UNKNOWN_KEY),
        ({}, UNKNOWN_KEY),
        (PROBLEM, b'{"type": "about:blank"}'),
        (PROBLEM, b'["#ohttp-key"]'),
        (PROBLEM, b'{"type": 7}'),
        (PROBLEM, b"not json"),
        (PROBLEM, b"\xff\xfe"),
        (PROBLEM, b"[" * 16_000),
        (PROBLEM, b""),
    ],
)
def test_whatever_else_a_400_carries_is_no_answer(headers: dict[str, str], body: bytes) -> None:
    error = outer_refusal(400, headers, body)
    assert type(error) is UnverifiedError
    assert error.code == "client.unsealed-answer"


@pytest.mark.parametrize(("said", "seconds"), [("7", 7.0), (None, None), ("-1", None), ("soon", None), ("٣", None)])
def test_a_busy_room_is_unavailable_for_the_time_it_names(said: str | None, seconds: float | None) -> None:
    error = outer_refusal(503, {"retry-after": said} if said is not None else {}, b"")
    assert isinstance(error, RoomUnavailableError)
    assert error.retry_after == seconds


def test_what_belongs_to_one_hop_does_not_travel_inside() -> None:
    headers = [
        (b"Host", b"127.0.0.1:8642"),
        (b"Connection", b"keep-alive, X-Hop"),
        (b"X-Hop", b"1"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Content-Length", b"5"),
        (b"Accept-Encoding", b"gzip"),
        (b"Proxy-Authorization", b"secret"),
        (b"Sealroom-Session", b"forged"),
        (b"Authorization", b"Bearer key"),
        (b"Content-Type", b"application/json"),
    ]
    head = inner_request("POST", "/v1/x?y", headers, authority="room.example", session_id=bytes(32))
    assert head.headers == (
        (b"authorization", b"Bearer key"),
        (b"content-type", b"application/json"),
        (b"sealroom-session", b"00" * 32),
    )
    assert (head.path, head.authority, head.scheme) == ("/v1/x?y", "room.example", "https")
