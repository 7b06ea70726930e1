"""The four addresses outside the encryption. Anything else is one constant 404: nothing here tells what runs inside.

GET  /.well-known/sealroom/evidence?nonce=<64 hex digits>   fresh evidence             application/cmw+cbor (gzip)
GET  /.well-known/ohttp-gateway                             the key list (RFC 9540)    application/ohttp-keys
POST /.well-known/ohttp-gateway                             one sealed exchange        message/ohttp-[chunked-]req
GET  /healthz                                               whether it serves
"""

import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime
from typing import Any, Protocol

from sealroom.channel import KEYS_MEDIA_TYPE, Form
from sealroom.collateral.bundle import MEDIA_TYPE as EVIDENCE_MEDIA_TYPE
from sealroom.collateral.compression import CODING, pack
from sealroom.engines.base import Engine, EnginePhase
from sealroom.errors import SealroomError
from sealroom.gateway.exchange_service import ExchangeService
from sealroom.gateway.intake_service import Receive
from sealroom.gateway.models import ServedModel
from sealroom.gateway.problems import BAD_MEDIA_TYPE, BAD_NONCE, BROKEN, UNAVAILABLE
from sealroom.gateway.reply_service import Send, send_clear, send_problem
from sealroom.room.key_generations import KeyGenerations
from sealroom.room.limits import GatewayLimits
from sealroom.room.service import utc_now

__all__ = ["EVIDENCE_PATH", "GATEWAY_PATH", "HEALTH_PATH", "App", "RoomView", "build_app"]

EVIDENCE_PATH = "/.well-known/sealroom/evidence"
GATEWAY_PATH = "/.well-known/ohttp-gateway"
HEALTH_PATH = "/healthz"

App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_log = logging.getLogger("sealroom.gateway")
_NONCE = re.compile(rb"nonce=([0-9a-fA-F]{64})")
_WEIGHT_ZERO = re.compile(rb"q=0(\.0*)?")
_FORMS = {form.request_media_type.encode(): form for form in Form}


class RoomView(Protocol):
    """What the gateway needs of a room; `sealroom.room.service.Room` is one."""

    @property
    def model_name(self) -> str:
        """The name under which callers ask for the model."""
        ...

    @property
    def keys(self) -> KeyGenerations:
        """The channel's keys."""
        ...

    @property
    def limits(self) -> GatewayLimits:
        """The bounds on callers."""
        ...

    @property
    def serving_since(self) -> datetime:
        """When the boot ended."""
        ...

    async def evidence(self, nonce: bytes) -> bytes:
        """An encoded evidence bundle for these 32 bytes; raises `SealroomError` if there is none now."""
        ...


def build_app(room: RoomView, engine: Engine) -> App:
    """The ASGI application of a room that has booted."""
    model = ServedModel(name=room.model_name, created=int(room.serving_since.timestamp()))
    exchanges = ExchangeService(keys=room.keys, engine=engine, model=model, limits=room.limits, clock=utc_now)
    return _Outside(room, engine, exchanges)


class _Outside:
    def __init__(self, room: RoomView, engine: Engine, exchanges: ExchangeService) -> None:
        self._room = room
        self._engine = engine
        self._exchanges = exchanges

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """The outermost fence: no exception, and so no content in one, gets out of here."""
        if scope["type"] != "http":
            return
        try:
            await self._route(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - see above
            code = error.code if isinstance(error, SealroomError) else "-"
            _log.error("failed with %s (%s)", type(error).__name__, code)
            await _tell_broken(send)

    async def _route(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        match scope["method"], scope["path"]:
            case "POST", path if path == GATEWAY_PATH:
                await self._exchange(scope, receive, send)
            case "GET", path if path == GATEWAY_PATH:
                await send_clear(send, 200, _type(KEYS_MEDIA_TYPE), self._room.keys.key_configs)
            case "GET", path if path == EVIDENCE_PATH:
                await self._evidence(scope, send)
            case "GET", path if path == HEALTH_PATH:
                await self._health(send)
            case _:
                await send_clear(send, 404, [], b"")

    async def _exchange(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        form = _FORMS.get(_header(scope, b"content-type"))
        if form is None:
            await send_problem(send, BAD_MEDIA_TYPE)
            return
        await self._exchanges.serve(form, receive, send)

    async def _evidence(self, scope: MutableMapping[str, Any], send: Send) -> None:
        nonce = _NONCE.fullmatch(scope["query_string"])
        if nonce is None:
            await send_problem(send, BAD_NONCE)
            return
        try:
            bundle = await self._room.evidence(bytes.fromhex(nonce[1].decode()))
        except SealroomError as error:
            _log.warning("no evidence: %s", error.code)
            await send_problem(send, UNAVAILABLE)
            return
        fields = [*_type(EVIDENCE_MEDIA_TYPE), (b"vary", b"accept-encoding")]
        if _takes_gzip(scope):
            fields, bundle = [*fields, (b"content-encoding", CODING.encode())], pack(bundle)
        await send_clear(send, 200, fields, bundle)

    async def _health(self, send: Send) -> None:
        if self._engine.state.phase is EnginePhase.READY:
            await send_clear(send, 200, _type("text/plain"), b"ok\n")
        else:
            await send_problem(send, UNAVAILABLE)


def _type(media_type: str) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", media_type.encode()), (b"cache-control", b"no-store")]


def _header(scope: MutableMapping[str, Any], wanted: bytes) -> bytes:
    values = [value for name, value in scope["headers"] if name == wanted]
    return values[0].strip().lower() if len(values) == 1 else b""


def _takes_gzip(scope: MutableMapping[str, Any]) -> bool:
    """Whether the caller names gzip, and not with weight zero (RFC 9110 section 12.5.3)."""
    listed = b",".join(value for name, value in scope["headers"] if name == b"accept-encoding").lower()
    weights = dict(item.replace(b" ", b"").partition(b";")[::2] for item in listed.split(b","))
    return CODING.encode() in weights and not _WEIGHT_ZERO.fullmatch(weights[CODING.encode()])


async def _tell_broken(send: Send) -> None:
    """Best effort: if the answer had begun, the server refuses a second head, and the connection ends short."""
    try:
        await send_problem(send, BROKEN)
    except Exception as error:  # noqa: BLE001
        _log.debug("could not say so: %s", type(error).__name__)
