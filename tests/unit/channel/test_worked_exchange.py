"""The exchange that the specification spells out, opened by the code and held against the specification's text."""

import hashlib
import json
from datetime import datetime
from pathlib import Path

import pytest

from sealroom.channel import ChannelKeys, Data, End, Form, ReplayWindow, RequestHead, ResponseHead, ServerExchange
from sealroom.channel.client_exchange import ResponseOpener
from sealroom.channel.encapsulation import RequestHeaderReader, ResponseSecret
from sealroom.channel.kem import load_private_key
from sealroom.channel.messages import Limits
from sealroom.channel.suites import KemId

WORKED: dict[str, str] = json.loads((Path(__file__).parent / "worked_exchange.json").read_text())
RAW = {name: bytes.fromhex(value) for name, value in WORKED.items() if name != "at"}


@pytest.fixture
def keys() -> ChannelKeys:
    return ChannelKeys(
        classical=(1, load_private_key(KemId.X25519_HKDF_SHA256, RAW["classical_private_key"])),
        post_quantum=(2, load_private_key(KemId.MLKEM768_X25519, RAW["post_quantum_private_key"])),
    )


@pytest.fixture
def secret(keys: ChannelKeys) -> ResponseSecret:
    reader = RequestHeaderReader(keys, Form.CHUNKED)
    sealed = reader.receive(RAW["request"])
    assert sealed is not None
    context, secret = reader.open()
    assert context.open(sealed[1:], b"final") == RAW["request_plaintext"]
    return secret


def test_the_room_s_key_list_is_the_one_printed(keys: ChannelKeys) -> None:
    assert keys.key_configs == RAW["key_configs"]


def test_the_room_opens_the_request(keys: ChannelKeys) -> None:
    server = ServerExchange(keys, ReplayWindow(), at=datetime.fromisoformat(WORKED["at"]))
    events = server.receive(RAW["request"]) + server.end_of_input()
    head = events[0]
    assert isinstance(head, RequestHead)
    assert (head.method, head.path, head.authority) == ("POST", "/v1/chat/completions", "room.example")
    assert events[1:] == [Data(b'{"messages":[]}'), End()]


def test_the_caller_opens_the_response(secret: ResponseSecret) -> None:
    opener = ResponseOpener(secret, Limits())
    events = opener.receive(RAW["response"]) + opener.end_of_input()
    head = ResponseHead(status=200, headers=((b"content-type", b"text/event-stream"),))
    assert events == [head, Data(b"data: hi\n\n"), End()]


def test_the_specification_prints_these_bytes(secret: ResponseSecret, specification: str) -> None:
    section = specification.split("## 10.")[1].split("## 11.", maxsplit=1)[0]
    squeezed = section.replace("\n", "")
    request, response = RAW["request"], RAW["response"]
    printed = [
        WORKED["classical_private_key"],
        WORKED["post_quantum_private_key"],
        hashlib.sha256(RAW["key_configs"]).hexdigest(),
        RAW["key_configs"][-51:].hex(),
        RAW["request_plaintext"].rstrip(b"\0").hex(),
        hashlib.sha256(request).hexdigest(),
        request[:7].hex(),
        hashlib.sha256(request[7:1127]).hexdigest(),
        secret._secret.hex(),
        response[:32].hex(),
        WORKED["response_key"],
        f"{secret.derive(response[:32])[1]:024x}",
        response[-17:].hex(),
    ]
    for text in printed:
        assert text in squeezed
    assert WORKED["response_base_nonce"] in squeezed
