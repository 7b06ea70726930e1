"""Keys and exchanges for the channel's tests; every key is attested the whole way, on simulated hardware."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sealroom.channel import ChannelKeys, ClientExchange, Event, ReplayWindow, RequestHead, ServerExchange
from sealroom.evidence import AttestedKey
from sealroom.testing.attested import SimulatedRoom

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def specification() -> str:
    return (Path(__file__).resolve().parents[3] / "spec" / "channel.md").read_text()


@pytest.fixture(scope="session")
def keys() -> ChannelKeys:
    return ChannelKeys.generate()


@pytest.fixture(scope="session")
def room() -> SimulatedRoom:
    return SimulatedRoom()


@pytest.fixture(scope="session")
def attested(room: SimulatedRoom) -> Callable[[bytes], AttestedKey]:
    return lambda key_configs: room.channel_key(key_configs, at=NOW)


@pytest.fixture(scope="session")
def room_key(keys: ChannelKeys, attested: Callable[[bytes], AttestedKey]) -> AttestedKey:
    return attested(keys.key_configs)


HEAD = RequestHead(
    method="POST",
    path="/v1/chat/completions",
    authority="room.example",
    headers=((b"content-type", b"application/json"),),
)


class Pair:
    """A client exchange whose request was sealed, and the means to receive it."""

    def __init__(self, keys: ChannelKeys, key: AttestedKey, body: bytes = b"a prompt") -> None:
        self.keys = keys
        self.client = ClientExchange(key, at=NOW)
        self.sealed = b"".join(self.client.request(HEAD, body))

    def server(self, replay: ReplayWindow | None = None, *, at: datetime = NOW) -> ServerExchange:
        return ServerExchange(self.keys, replay or ReplayWindow(), at=at)

    def opened(self) -> tuple[ServerExchange, list[Event]]:
        server = self.server()
        return server, server.receive(self.sealed) + server.end_of_input()


@pytest.fixture
def pair(keys: ChannelKeys, room_key: AttestedKey) -> Pair:
    return Pair(keys, room_key)


@pytest.fixture(scope="session")
def make_pair(keys: ChannelKeys, room_key: AttestedKey) -> Callable[..., Pair]:
    return lambda body=b"a prompt": Pair(keys, room_key, body)
