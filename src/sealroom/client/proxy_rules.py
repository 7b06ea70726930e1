"""What the local endpoint lets in, and how it says no: pure, so that each rule is a table and a test.

**Who may ask.** The endpoint has no password, so it must not be reachable by what the user did not start:

- It listens on loopback only (`cli/proxy.py`).
- The ``Host`` must be a loopback name. A web page whose own name was re-pointed at 127.0.0.1 (DNS rebinding) still
  sends its own name.
- An ``Origin`` must be one of loopback, and ``Sec-Fetch-Site`` must not say ``cross-site``: a web page may send a
  "simple" cross-origin POST without asking first. No CORS header is ever answered, so no page reads an answer.

**How it says no.** OpenAI's error shape, ``code`` is Sealroom's:

==================  ======  ===================================================================================
family              status  why
==================  ======  ===================================================================================
unverified          502     the room upstream did not prove itself; ``x-should-retry: false`` keeps the OpenAI
refused             502     client from trying again by itself: the same evidence gets the same verdict
malformed           502
unavailable         503     with ``Retry-After`` where the room named a time
misuse              400     the program that asks has to change (403, 404 and 413 where they say it better)
==================  ======  ===================================================================================
"""

import json
from collections.abc import Iterable
from urllib.parse import urlsplit

from sealroom.client.exchange import RoomUnavailableError
from sealroom.errors import MisuseError, SealroomError, UnavailableError

__all__ = [
    "error_body",
    "error_event",
    "error_headers",
    "error_status",
    "forbidden_caller",
    "is_loopback_host",
    "names_loopback",
]

Headers = Iterable[tuple[bytes, bytes]]

_MISUSE_STATUS = {
    "proxy.foreign-host": 403,
    "proxy.foreign-origin": 403,
    "proxy.not-found": 404,
    "proxy.too-large": 413,
}
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback_host(host: str) -> bool:
    """Whether ``host`` (a name or address, without a port) is this machine and nothing else."""
    return host.strip("[]").lower().rstrip(".") in _LOOPBACK_NAMES


def forbidden_caller(headers: Headers) -> MisuseError | None:
    """The reason why a request with these headers is turned away, or None. Exactly one ``Host`` is wanted."""
    hosts = _values(headers, b"host")
    if len(hosts) != 1 or not names_loopback(f"//{hosts[0]}"):
        return _forbidden("proxy.foreign-host", "the Host header does not name this machine", ", ".join(hosts))
    origins = _values(headers, b"origin")
    if any(not names_loopback(origin) for origin in origins):
        return _forbidden("proxy.foreign-origin", "a page of another origin asks", ", ".join(origins))
    if "cross-site" in _values(headers, b"sec-fetch-site"):
        return _forbidden("proxy.foreign-origin", "a page of another site asks", "Sec-Fetch-Site: cross-site")
    return None


def error_status(error: SealroomError) -> int:
    """The HTTP status under which the endpoint reports ``error``; see the table above."""
    if isinstance(error, MisuseError):
        return _MISUSE_STATUS.get(error.code, 400)
    return 503 if isinstance(error, UnavailableError) else 502


def error_headers(error: SealroomError) -> list[tuple[bytes, bytes]]:
    """What a client needs to know before it tries again."""
    if not isinstance(error, UnavailableError):
        return [(b"x-should-retry", b"false")]
    if isinstance(error, RoomUnavailableError) and error.retry_after is not None:
        return [(b"retry-after", b"%d" % max(1, round(error.retry_after)))]
    return []


def error_body(error: SealroomError) -> bytes:
    """``error`` in OpenAI's shape, every fact of ours beside it under ``sealroom``."""
    message = str(error) + (f"; {error.hint}" if error.hint else "")
    fields = {"message": message, "type": f"sealroom_{error.family}", "param": None, "code": error.code,
              "sealroom": error.as_dict()}  # fmt: skip
    return json.dumps({"error": fields}, ensure_ascii=False).encode()


def error_event(error: SealroomError) -> bytes:
    """``error`` as the last server-sent event of a stream that broke; the OpenAI client raises it."""
    return b"data: " + error_body(error) + b"\n\n"


def _values(headers: Headers, name: bytes) -> list[str]:
    return [value.decode("latin-1").strip() for found, value in headers if found.lower() == name]


def names_loopback(url: str) -> bool:
    """Whether the host of ``url`` is this machine."""
    try:
        return is_loopback_host(urlsplit(url).hostname or "")
    except ValueError:
        return False


def _forbidden(code: str, message: str, got: str) -> MisuseError:
    return MisuseError(
        code, message, got=got or "nothing", expected=" or ".join(sorted(_LOOPBACK_NAMES)),
        hint="use http://127.0.0.1:PORT/v1 from a program on this machine",
    )  # fmt: skip
