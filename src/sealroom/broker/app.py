"""HTTP in and out. Every answer that is not a success has the protocol's error body (specification, section 10)."""

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import TypeVar

from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sealroom.broker.admin_service import BrokerAdmin
from sealroom.broker.rate import AuthRate
from sealroom.broker.registration import Registration
from sealroom.broker.replies import Step, reply_for
from sealroom.broker.service import Answer, Broker
from sealroom.errors import MalformedError, SealroomError, UnavailableError
from sealroom.kbs.errors_json import ErrorName, write_error
from sealroom.kbs.messages import COOKIE, PREFIX, ResourceId

__all__ = ["MAX_BODY", "build_app"]

MAX_BODY = 2 * 1024 * 1024
_BODY_SECONDS = 30.0
_JSON = "application/json"

_T = TypeVar("_T")
_Endpoint = Callable[[Request], Awaitable[Response]]


def build_app(
    broker: Broker,
    admin: BrokerAdmin,
    *,
    policy_status: int = HTTPStatus.UNAUTHORIZED,
    on_ready: Callable[[], None] | None = None,
    rate: AuthRate | None = None,
) -> Starlette:
    """The broker as an ASGI application.

    A refusal by policy has the status ``policy_status``: 401 as Trustee does, or 403, on which stock clients give up.
    """
    endpoints = _Endpoints(broker, admin, policy_status, rate or AuthRate())

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        if on_ready is not None:
            on_ready()
        yield

    routes = [
        Route(f"{PREFIX}/auth", endpoints.auth, methods=["POST"]),
        Route(f"{PREFIX}/attest", endpoints.attest, methods=["POST"]),
        Route(f"{PREFIX}/resource/{{path:path}}", endpoints.resource, methods=["GET", "POST", "PUT", "DELETE"]),
        Route("/healthz", endpoints.health, methods=["GET"]),
    ]
    handlers = {HTTPException: _not_found, Exception: _our_bug}
    return Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)


class _Endpoints:
    def __init__(self, broker: Broker, admin: BrokerAdmin, policy_status: int, rate: AuthRate) -> None:
        self._broker = broker
        self._admin = admin
        self._policy_status = policy_status
        self._rate = rate

    async def auth(self, request: Request) -> Response:
        async def answer() -> Response:
            self._require_share(request)
            return _with_cookie(await _in_thread(self._broker.begin, await _body(request)))

        return await self._guarded(answer, Step.HANDSHAKE)

    def _require_share(self, request: Request) -> None:
        # Of a proxy on loopback, uvicorn puts the client that the proxy names here.
        address = request.client.host if request.client is not None else ""
        if not self._rate.admit(address, now=time.monotonic()):
            raise UnavailableError("broker.too-many-requests", "too many handshakes were begun from this address",
                                   hint="try again in some seconds")  # fmt: skip

    async def attest(self, request: Request) -> Response:
        async def answer() -> Response:
            body = await _body(request)
            return _with_cookie(await _in_thread(self._broker.attest, request.cookies.get(COOKIE), body))

        return await self._guarded(answer, Step.HANDSHAKE)

    async def resource(self, request: Request) -> Response:
        match request.method:
            case "GET":
                return await self._guarded(functools.partial(self._release, request), Step.RESOURCE)
            case "POST" | "PUT" | "DELETE":
                return await self._guarded(functools.partial(self._change, request), Step.ADMIN)
            case _:  # HEAD comes along with GET, and would record a grant that nobody received
                return _error(HTTPStatus.METHOD_NOT_ALLOWED, ErrorName.INVALID_PATH, "this method is not served here")

    async def _release(self, request: Request) -> Response:
        release = functools.partial(
            self._broker.release, request.path_params["path"], bearer=_bearer(request),
            session_id=request.cookies.get(COOKIE),
        )  # fmt: skip
        return Response(await _in_thread(release), media_type=_JSON)

    async def _change(self, request: Request) -> Response:
        self._admin.authorise(_bearer(request))
        resource = ResourceId.parse(request.path_params["path"])
        body = await _body(request)
        match request.method:
            case "PUT":
                await _in_thread(self._admin.register, Registration.parse(resource, body))
            case "POST":
                await _in_thread(self._admin.store, resource, _raw_key(body))
            case _:
                await _in_thread(self._admin.delete, resource)
        return JSONResponse({})

    async def health(self, request: Request) -> Response:  # noqa: ARG002 - starlette's signature
        return JSONResponse({"status": "ok"})

    async def _guarded(self, answer: Callable[[], Awaitable[Response]], step: Step) -> Response:
        try:
            return await answer()
        except SealroomError as error:
            reply = reply_for(error, step, policy_status=self._policy_status)
            headers = {} if reply.retry_after is None else {"retry-after": str(reply.retry_after)}
            return Response(reply.body, status_code=reply.status, headers=headers, media_type=_JSON)
        except ClientDisconnect:
            return _error(HTTPStatus.BAD_REQUEST, ErrorName.SERDE, "the body did not arrive whole")


async def _in_thread(work: Callable[..., _T], *arguments: object) -> _T:
    """Off the event loop: signatures take milliseconds, and a durable write waits for the disk."""
    return await to_thread.run_sync(functools.partial(work, *arguments))


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY:
                    raise MalformedError("broker.body-size", f"the body is longer than {MAX_BODY} bytes")
    except TimeoutError as error:
        raise UnavailableError("broker.body-slow", "the body did not arrive in time") from error
    return bytes(body)


def _raw_key(body: bytes) -> bytes:
    if not body:
        raise MalformedError("broker.registration", "the key is empty")
    return body


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _with_cookie(answer: Answer) -> Response:
    expires = format_datetime(datetime.fromtimestamp(answer.expires_at, UTC), usegmt=True)
    cookie = f"{COOKIE}={answer.session_id}; Path={PREFIX}; Expires={expires}; HttpOnly; SameSite=Strict"
    return Response(answer.body, media_type=_JSON, headers={"set-cookie": cookie})


def _error(status: int, name: ErrorName, detail: str) -> Response:
    return Response(write_error(name, detail), status_code=status, media_type=_JSON)


async def _not_found(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.NOT_FOUND
    plugin = status == HTTPStatus.NOT_FOUND and request.url.path.startswith(f"{PREFIX}/")
    return _error(status, ErrorName.PLUGIN_NOT_FOUND if plugin else ErrorName.INVALID_PATH, "not served here")


async def _our_bug(request: Request, error: Exception) -> Response:  # noqa: ARG001 - starlette's signature
    return _error(HTTPStatus.INTERNAL_SERVER_ERROR, ErrorName.PLUGIN_INTERNAL, "internal error [broker.bug]")
