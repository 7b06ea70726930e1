"""A gateway with real channel keys over the public stub engine, and a caller who speaks the channel for real.

The short cut: the caller's key is vouched for here, with the warrants that only tests may take. From evidence to key
is the matter of ``tests/unit/test_verifier.py`` and of the flows.
"""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sealroom.channel import ClientExchange, Data, End, RequestHead, ResponseHead
from sealroom.errors import SealroomError
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
from sealroom.gateway.app import App, build_app
from sealroom.room.key_generations import KeyGenerations
from sealroom.room.limits import GatewayLimits
from sealroom.testing.stub_engine import StubEngine

MODEL = "small"


def vouch(key: bytes) -> AttestedKey:
    now = datetime.now(UTC)
    validity = Validity(not_before=now - timedelta(hours=1), not_after=now + timedelta(hours=1))
    claims = Claims(
        tee=Tee.SNP, hardware_model="none: made for a test", measurements={}, report_data=bytes(64), tcb={},
        debug=False,
        migratable=False, tcb_status=None, tcb_date=None, advisories=(),
        flags=frozenset(), signer="none", device_id=None, details={}, root=bytes(32), simulated=True,
        validity=validity, warrant=CLAIMED,
    )  # fmt: skip
    check = Check(name="test", got="-", wanted="-", passed=True, source="test", code="test.test", fix="-")
    appraisal = Appraisal(checks=(check,), simulated=True, policy_name="test", policy_digest=bytes(32), claims=claims,
                          warrant=APPRAISED)  # fmt: skip
    return AttestedKey(purpose=KeyPurpose.CHANNEL, key=key, appraisal=appraisal, validity=validity, warrant=BOUND)


class GatewaysRoom:
    """What a gateway sees of a room, without the boot."""

    def __init__(self, limits: GatewayLimits) -> None:
        self.limits = limits
        self.model_name = MODEL
        self.serving_since = datetime.now(UTC)
        self.keys = KeyGenerations(at=self.serving_since, lifetime=timedelta(hours=2), overlap=timedelta(hours=1))
        self.asked: list[bytes] = []

    async def evidence(self, nonce: bytes) -> bytes:
        self.asked.append(nonce)
        return b"evidence for " + nonce


@dataclass
class Connection:
    """One HTTP request as ASGI shows it: what comes in, what went out, and who is still there."""

    incoming: "asyncio.Queue[dict[str, Any]]" = field(default_factory=asyncio.Queue)
    sent: list[dict[str, Any]] = field(default_factory=list)
    something_sent: asyncio.Event = field(default_factory=asyncio.Event)
    reading: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.reading.set()

    async def receive(self) -> dict[str, Any]:
        return await self.incoming.get()

    async def send(self, message: dict[str, Any]) -> None:
        await self.reading.wait()
        self.sent.append(message)
        self.something_sent.set()

    def arrive(self, body: bytes, *, more: bool = False) -> None:
        self.incoming.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def leave(self) -> None:
        self.incoming.put_nowait({"type": "http.disconnect"})

    @property
    def status(self) -> int:
        return self.sent[0]["status"]

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def complete(self) -> bool:
        return bool(self.sent) and len(self.sent) > 1 and not self.sent[-1].get("more_body", False)


@dataclass
class Answer:
    """What a caller found inside."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes
    authentic_end: bool

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        return self.json["error"]


class Caller:
    """Seals one request and opens its answer."""

    def __init__(self, key_configs: bytes, *, at: datetime | None = None) -> None:
        self.exchange = ClientExchange(vouch(key_configs), at=at or datetime.now(UTC))

    def seal(
        self, body: object, *, path: str = "/v1/chat/completions", method: str = "POST",
        headers: tuple[tuple[bytes, bytes], ...] = ((b"content-type", b"application/json"),),
    ) -> bytes:  # fmt: skip
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = RequestHead(method=method, path=path, authority="room", headers=headers)
        return b"".join(self.exchange.request(head, raw))

    def open(self, sealed: bytes) -> Answer:
        opener = self.exchange.response()
        events = opener.receive(sealed)
        ended = False
        try:
            last = opener.end_of_input()
            ended = any(isinstance(event, End) for event in last)
            events += last
        except SealroomError:
            ended = False
        head = next(event for event in events if isinstance(event, ResponseHead))
        body = b"".join(event.data for event in events if isinstance(event, Data))
        return Answer(head.status, dict(head.headers), body, ended)


@dataclass
class Gateway:
    """The application under test and what surrounds it."""

    app: App
    room: GatewaysRoom
    engine: StubEngine

    def caller(self, *, at: datetime | None = None) -> Caller:
        return Caller(self.room.keys.key_configs, at=at)

    def connect(
        self, method: str = "POST", path: str = "/.well-known/ohttp-gateway", query: bytes = b"",
        content_type: bytes = b"message/ohttp-chunked-req", encodings: tuple[bytes, ...] = (),
    ) -> "tuple[Connection, asyncio.Task[None]]":  # fmt: skip
        connection = Connection()
        scope = {"type": "http", "method": method, "path": path, "query_string": query,
                 "headers": [(b"content-type", content_type),
                             *((b"accept-encoding", value) for value in encodings)]}  # fmt: skip
        return connection, asyncio.create_task(self.app(scope, connection.receive, connection.send))

    async def post(self, sealed: bytes, **how: Any) -> Connection:
        connection, task = self.connect(**how)
        connection.arrive(sealed)
        await asyncio.wait_for(task, 20)
        return connection

    async def ask(self, body: object, **how: Any) -> Answer:
        caller = self.caller()
        connection = await self.post(caller.seal(body, **how))
        assert connection.status == 200, connection.body
        assert connection.headers[b"content-type"] == b"message/ohttp-chunked-res"
        return caller.open(connection.body)


def chat(text: str = "hello", **fields: object) -> dict[str, object]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **fields}


async def make_gateway(engine: StubEngine | None = None, **limits: Any) -> Gateway:
    engine = engine or StubEngine(["The ", "quiet ", "room ", "answers."])
    await engine.start({})
    room = GatewaysRoom(GatewayLimits(**limits))
    return Gateway(build_app(room, engine), room, engine)


async def until(condition: Any) -> None:
    """Let the loop run until something is so; the test's timeout is the bound."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the condition is the engine's or the queue's, not ours to signal
            await asyncio.sleep(0)
