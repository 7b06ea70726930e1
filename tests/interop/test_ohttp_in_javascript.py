"""Our two ends against Oblivious HTTP over other people's HPKE and Binary HTTP (npm: @hpke, bhttp-js), both ways."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sealroom.channel import (
    ChannelKeys,
    ClientExchange,
    Data,
    End,
    Event,
    Form,
    ReplayWindow,
    RequestHead,
    ResponseHead,
    ServerExchange,
)
from sealroom.channel.binary_http_decode import BinaryHttpDecoder, Kind
from sealroom.channel.binary_http_encode import encode_known_request
from sealroom.channel.key_config import KeyConfig, parse_key_configs
from sealroom.channel.messages import Limits
from sealroom.channel.ohttp import open_response, seal_request
from sealroom.channel.replay import format_date
from sealroom.channel.suites import AeadId, KdfId, KemId, Suite
from sealroom.testing.attested import SimulatedRoom

FOLDER = Path(__file__).parent / "node"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BODY = b'{"messages": []}' * 200
EVENTS = [b"data: %d\n\n" % number for number in range(20)]

Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Send one command to the JavaScript peer; a fresh process for the module."""
    if shutil.which("node") is None:
        pytest.skip("node is not on this machine")
    if not (FOLDER / "node_modules" / "bhttp-js").is_dir():
        pytest.skip("the peer's packages are not installed: cd tests/interop/node && npm install --no-package-lock")
    command = ["node", str(FOLDER / "ohttp_peer.mjs")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as peer:
        assert peer.stdin is not None
        assert peer.stdout is not None
        stdin, stdout = peer.stdin, peer.stdout

        def send(do: str, **members: object) -> dict[str, Any]:
            stdin.write(json.dumps({"do": do, **members}) + "\n")
            stdin.flush()
            answer: dict[str, Any] = json.loads(stdout.readline())
            assert "error" not in answer, answer
            return answer

        yield send
        stdin.close()


def content(events: list[Event]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, Data))


@pytest.fixture(scope="module")
def room() -> SimulatedRoom:
    return SimulatedRoom()


def offered(kem: KemId, aead: AeadId) -> bool:
    return not (kem is KemId.MLKEM768_X25519 and aead is AeadId.AES_128_GCM)


PAIRS = [(kem, aead) for kem in KemId for aead in AeadId if offered(kem, aead)]
every_suite = pytest.mark.parametrize(("kem", "aead"), PAIRS, ids=[f"{k.name}-{a.name}" for k, a in PAIRS])


@every_suite
@pytest.mark.parametrize("form", Form, ids=lambda form: form.name.lower())
def test_their_client_talks_to_our_server(ask: Ask, kem: KemId, aead: AeadId, form: Form) -> None:
    keys = ChannelKeys.generate()
    config = next(config for config in parse_key_configs(keys.key_configs) if config.kem is kem)
    chunked = form is Form.CHUNKED
    date = format_date(NOW).decode()
    sealed = ask("seal", config=config.encode().hex(), aead=aead, chunked=chunked, body=BODY.hex(), date=date)
    server = ServerExchange(keys, ReplayWindow(), at=NOW, form=form)
    events = server.receive(bytes.fromhex(sealed["request"])) + server.end_of_input()
    head = events[0]
    assert isinstance(head, RequestHead)
    assert (head.method, head.path, head.authority) == ("POST", "/v1/chat/completions", "room.example")
    assert (content(events), events[-1]) == (BODY, End())

    sealer = server.response()
    stream = sealer.start(ResponseHead(status=201, headers=((b"content-type", b"text/event-stream"),)))
    stream += b"".join(map(sealer.data, EVENTS)) + sealer.finish()
    answer = ask("read", response=stream.hex())
    assert answer == {"status": 201, "type": "text/event-stream", "body": b"".join(EVENTS).hex()}


@every_suite
def test_our_client_talks_to_their_server(ask: Ask, room: SimulatedRoom, kem: KemId, aead: AeadId) -> None:
    raw = bytes.fromhex(ask("keys", kem=kem, aead=aead)["config"])
    key_list = len(raw).to_bytes(2, "big") + raw
    classical = kem is not KemId.MLKEM768_X25519
    client = ClientExchange(room.channel_key(key_list, at=NOW), at=NOW, insecure_without_post_quantum=classical)
    head = RequestHead(method="POST", path="/v1/models", authority="room.example")
    sealed = b"".join(client.request(head, [BODY[:1000], BODY[1000:]]))
    opened = ask("open", request=sealed.hex(), chunked=True)
    assert opened == {
        "method": "POST",
        "url": "https://room.example/v1/models",
        "body": BODY.hex(),
        "date": format_date(NOW).decode(),
    }
    stream = bytes.fromhex(ask("answer", body=b"".join(EVENTS).hex(), pieces=7)["response"])
    opener = client.response()
    events = [event for i in range(0, len(stream), 11) for event in opener.receive(stream[i : i + 11])]
    events += opener.end_of_input()
    assert isinstance(events[0], ResponseHead)
    assert (events[0].status, content(events), events[-1]) == (200, b"".join(EVENTS), End())


@every_suite
def test_our_whole_form_talks_to_their_server(ask: Ask, kem: KemId, aead: AeadId) -> None:
    raw = bytes.fromhex(ask("keys", kem=kem, aead=aead)["config"])
    config: KeyConfig = parse_key_configs(len(raw).to_bytes(2, "big") + raw)[0]
    head = RequestHead(method="POST", path="/", authority="room.example")
    suite = Suite(kem=kem, kdf=KdfId.HKDF_SHA256, aead=aead)
    sealed, secret = seal_request(config, suite, encode_known_request(head, BODY))
    assert ask("open", request=sealed.hex(), chunked=False)["body"] == BODY.hex()
    response = bytes.fromhex(ask("answer", body=EVENTS[0].hex(), pieces=1)["response"])
    decoder = BinaryHttpDecoder(Kind.RESPONSE, Limits())
    assert content(decoder.receive(open_response(secret, response))) == EVENTS[0]
