"""Keys and exchanges for the channel's tests.

`attested` takes a short cut that nothing outside tests may take: it holds the warrants and so vouches for any key.
The whole way, from evidence to `AttestedKey`, is tested in ``tests/unit/test_verifier.py`` and in the flows.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sealroom.channel import ChannelKeys, ClientExchange, Event, ReplayWindow, RequestHead, ServerExchange
from sealroom.evidence import (
    APPRAISED,
    BOUND,
    CLAIMED,
    Appraisal,
    AttestedKey,
    Check,
    Claims,
    KeyPurpose,
    Tee,
    Validity,
)

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
def attested() -> Callable[..., AttestedKey]:
    def vouch(key: bytes, purpose: KeyPurpose = KeyPurpose.CHANNEL) -> AttestedKey:
        validity = Validity(not_before=NOW - timedelta(hours=1), not_after=NOW + timedelta(hours=1))
        claims = Claims(
            tee=Tee.SNP,
            hardware_model="none: made for a test",
            measurements={},
            report_data=bytes(64),
            tcb={},
            flags=frozenset(),
            signer="none",
            device_id=None,
            details={},
            root=bytes(32),
            simulated=True,
            validity=validity,
            warrant=CLAIMED,
        )
        check = Check(name="test", got="-", wanted="-", passed=True, source="test", code="test.test", fix="-")
        appraisal = Appraisal(
            checks=(check,),
            simulated=True,
            policy_name="test",
            policy_digest=bytes(32),
            claims=claims,
            warrant=APPRAISED,
        )
        return AttestedKey(purpose=purpose, key=key, appraisal=appraisal, validity=validity, warrant=BOUND)

    return vouch


@pytest.fixture(scope="session")
def room_key(keys: ChannelKeys, attested: Callable[..., AttestedKey]) -> AttestedKey:
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
