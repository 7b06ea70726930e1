"""Registering a model's key with a broker from elsewhere: the operator's side of section 11 of the specification."""

import stat
from http import HTTPStatus
from pathlib import Path

import httpx

from sealroom.broker.registration import Registration
from sealroom.errors import MalformedError, MisuseError, RefusedError, SealroomError, UnavailableError
from sealroom.kbs.errors_json import parse_error
from sealroom.kbs.messages import PREFIX, ResourceId

__all__ = ["delete_key", "read_admin_token", "register_key"]

_TIMEOUT = httpx.Timeout(30.0, connect=10.0)


def read_admin_token(path: Path) -> str:
    """The token in the file ``path``, which only its owner may read.

    Raises:
        MisuseError: no such file, or others may read it.
    """
    try:
        mode, token = path.stat().st_mode, path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise MisuseError("broker.admin-token-file", "the admin token can not be read", where=str(path),
                          hint="`sealroom broker run` writes it into its state directory") from error  # fmt: skip
    if stat.S_IMODE(mode) & 0o077:
        raise MisuseError("broker.admin-token-file", "others may read the admin token", where=str(path),
                          got=oct(stat.S_IMODE(mode)), expected="0o600", hint=f"chmod 600 {path}")  # fmt: skip
    return token


def register_key(
    broker_url: str, token: str, registration: Registration, *, transport: httpx.BaseTransport | None = None
) -> None:
    """Register a key; the same registration again changes nothing.

    Raises:
        UnavailableError: the broker does not answer.
        RefusedError: it does not want to: the token, another key for this version, a version below the floor.
        MalformedError: it can not read the registration or the policy.
    """
    _call(broker_url, "PUT", registration.resource, token, registration.encode(), transport)


def delete_key(
    broker_url: str, token: str, resource: ResourceId, *, transport: httpx.BaseTransport | None = None
) -> None:
    """Delete a key; it is released no more, from the moment that this returns."""
    _call(broker_url, "DELETE", resource, token, None, transport)


def _call(
    url: str, method: str, resource: ResourceId, token: str, body: bytes | None, transport: httpx.BaseTransport | None
) -> None:
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    try:
        with httpx.Client(base_url=url, timeout=_TIMEOUT, transport=transport, trust_env=False) as http:
            response = http.request(method, f"{PREFIX}/resource/{resource}", content=body, headers=headers)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise MisuseError("broker.address", "the broker's address is not an http or https URL", got=url) from error
    except httpx.HTTPError as error:
        raise UnavailableError("broker.unreachable", "the broker does not answer", where=url,
                               got=type(error).__name__, hint="start it: sealroom broker run") from error  # fmt: skip
    if response.status_code != HTTPStatus.OK:
        raise _refusal(response, url)


def _refusal(response: httpx.Response, url: str) -> SealroomError:
    try:
        reply = parse_error(response.content)
    except MalformedError:
        return UnavailableError("broker.unreachable", "what answers there is no broker", where=url,
                                got=f"status {response.status_code}")  # fmt: skip
    family: type[SealroomError] = RefusedError
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        family = UnavailableError
    elif response.status_code in {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}:
        family = MalformedError
    code = reply.codes[0] if reply.codes else "broker.refused"
    return family(code, "the broker does not take the registration", where=url, got=reply.detail)
