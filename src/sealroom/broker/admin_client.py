"""Registering a model's key with a broker from elsewhere: the operator's side of section 11 of the specification."""

import ipaddress
import stat
from http import HTTPStatus
from pathlib import Path

import httpx

from sealroom.broker.registration import Registration
from sealroom.errors import MalformedError, MisuseError, RefusedError, SealroomError, UnavailableError
from sealroom.kbs.errors_json import parse_error
from sealroom.kbs.messages import PREFIX, ResourceId

__all__ = ["delete_key", "read_admin_token", "register_key", "require_private_way"]

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


def require_private_way(broker_url: str) -> None:
    """Refuse an address to which the model's key and the admin token would cross a network readable.

    Raises:
        MisuseError: ``broker.address``, ``broker.not-encrypted``.
    """
    try:
        url = httpx.URL(broker_url)
    except httpx.InvalidURL as error:
        raise _no_address(broker_url) from error
    if url.scheme == "http" and not _is_loopback(url.host):
        raise MisuseError("broker.not-encrypted", "the model's key would cross the network readable", got=url.host,
                          expected="https, or a broker on this machine",
                          hint="put a TLS proxy in front of the broker, or an SSH tunnel")  # fmt: skip


def register_key(
    broker_url: str, token: str, registration: Registration, *, transport: httpx.BaseTransport | None = None
) -> None:
    """Register a key; the same registration again changes nothing.

    Raises:
        MisuseError: what `require_private_way` raises; nothing has been sent then.
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
    require_private_way(url)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    try:
        with httpx.Client(base_url=url, timeout=_TIMEOUT, transport=transport, trust_env=False) as http:
            response = http.request(method, f"{PREFIX}/resource/{resource}", content=body, headers=headers)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise _no_address(url) from error
    except httpx.HTTPError as error:
        raise UnavailableError("broker.unreachable", "the broker does not answer", where=url,
                               got=type(error).__name__, hint="start it: sealroom broker run") from error  # fmt: skip
    if response.status_code != HTTPStatus.OK:
        raise _refusal(response, url)


def _no_address(url: str) -> MisuseError:
    return MisuseError("broker.address", "the broker's address is not an http or https URL", got=url)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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
