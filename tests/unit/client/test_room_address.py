"""A room is named by its origin, and by nothing that could mean another."""

import pytest

from sealroom.client.address import RoomAddress
from sealroom.errors import MisuseError


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://room.example", "https://room.example"),
        ("https://ROOM.example/", "https://room.example"),
        ("http://127.0.0.1:8643", "http://127.0.0.1:8643"),
        ("http://[::1]:8643", "http://[::1]:8643"),
    ],
)
def test_an_origin_is_read(url: str, origin: str) -> None:
    assert RoomAddress.parse(url).origin == origin


@pytest.mark.parametrize(
    "url",
    [
        "",
        "room.example",
        "ftp://room.example",
        "file:///etc/passwd",
        "https://",
        "https://room.example/v1",
        "https://room.example?x",
        "https://room.example#x",
        "https://user@room.example",
        "https://room.example:notaport",
        "https://room.example:99999",
        "https://[::1",
    ],
)
def test_anything_else_is_refused(url: str) -> None:
    with pytest.raises(MisuseError) as caught:
        RoomAddress.parse(url)
    assert caught.value.code == "client.bad-room-address"


def test_a_password_in_an_address_is_not_shown() -> None:
    with pytest.raises(MisuseError) as caught:
        RoomAddress.parse("https://user:hunter2@room.example")
    assert "hunter2" not in caught.value.diagnostics()


def test_the_nonce_is_asked_for_in_hex() -> None:
    url = RoomAddress.parse("https://room.example").evidence_url(b"\xab" * 32)
    assert url == "https://room.example/.well-known/sealroom/evidence?nonce=" + "ab" * 32
