"""The two doors for programs: an `httpx.Client` and its async twin, sealed to one room."""

from pathlib import Path
from typing import Any

import httpx

from sealroom.client.address import RoomAddress
from sealroom.client.async_transport import AsyncSealedClient, AsyncSealedTransport
from sealroom.client.httpx_words import DEFAULT_TIMEOUT, check_options
from sealroom.client.policy_store import read_policy
from sealroom.client.session import Session
from sealroom.client.transport import SealedClient, SealedTransport
from sealroom.errors import SealroomError
from sealroom.policy import Policy

__all__ = ["async_httpx_client", "httpx_client", "reason"]


def httpx_client(*, room: str, policy: Policy | Path | str, **options: Any) -> SealedClient:
    """An `httpx.Client` that talks to one verified room and to nothing else.

    Nothing is sent before the first request; then evidence is fetched and verified, and again before the verified key
    ends. Plug it into ``openai.OpenAI(http_client=…, base_url=f"{room}/v1")``.

    Args:
        room: the origin of the room, ``https://host[:port]``.
        policy: a policy, or the path of its file.
        options: of `httpx.Client`. ``verify``, ``cert`` and ``limits`` are for the connection to the room, which uses
            no proxy and no other setting of the environment and follows no redirect.

    Raises:
        SealroomError: the policy can not be read, or an option would lead past the channel.
    """
    outer = httpx.HTTPTransport(**_for_the_connection(options))
    transport = SealedTransport(RoomAddress.parse(room), Session(read_policy(policy)), outer)
    return SealedClient(transport, **_for_the_client(room, options))


def async_httpx_client(*, room: str, policy: Policy | Path | str, **options: Any) -> AsyncSealedClient:
    """The async twin of `httpx_client`: an `httpx.AsyncClient` for ``openai.AsyncOpenAI``."""
    outer = httpx.AsyncHTTPTransport(**_for_the_connection(options))
    transport = AsyncSealedTransport(RoomAddress.parse(room), Session(read_policy(policy)), outer)
    return AsyncSealedClient(transport, **_for_the_client(room, options))


def reason(error: BaseException | None) -> SealroomError | None:
    """Why it failed, in Sealroom's words: the `SealroomError` among ``error`` and its causes, if there is one.

    For errors of other libraries: ``sealroom.reason(openai_error)``.
    """
    while error is not None and not isinstance(error, SealroomError):
        error = error.__cause__
    return error


def _for_the_connection(options: dict[str, Any]) -> dict[str, Any]:
    check_options(options)
    return {"trust_env": False, **{name: options[name] for name in _OUTER & options.keys()}}


def _for_the_client(room: str, options: dict[str, Any]) -> dict[str, Any]:
    inner = {name: value for name, value in options.items() if name not in _OUTER}
    return {"base_url": room, "timeout": DEFAULT_TIMEOUT, **inner}


_OUTER = frozenset({"verify", "cert", "limits"})
