"""Which names, values and request targets are allowed (RFC 9292 section 3, narrowed by spec/channel.md section 6)."""

import re

from sealroom.channel.messages import Fields, RequestHead
from sealroom.errors import MalformedError

__all__ = ["check_field", "check_request_head", "without_connection_fields"]

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+\-.]*", re.ASCII)
_AUTHORITY = re.compile(r"[\x21-\x7e]*")
_PATH = re.compile(r"/[\x21-\x7e]*|\*")
_VALUE = re.compile(rb"(?:[^\x00\r\n\t ](?:[^\x00\r\n]*[^\x00\r\n\t ])?)?")
_CONNECTION_FIELDS = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade"}
)


def check_field(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """The field line with its name in lower case; `MalformedError` ``channel.bad-message`` if it is none.

    Pseudo-fields fail as names: a colon is in no token.
    """
    if _TOKEN.fullmatch(name) is None:
        raise _bad("a field name has a byte that no field name has", "field name")
    if _VALUE.fullmatch(value) is None:
        raise _bad("a field value has a control character, or a blank at an end", "field value")
    return name.lower(), value


def check_request_head(head: RequestHead) -> None:
    """Refuse a method, scheme, authority or path that HTTP does not allow."""
    for what, pattern, value in (
        ("method", _METHOD, head.method),
        ("scheme", _SCHEME, head.scheme),
        ("authority", _AUTHORITY, head.authority),
        ("path", _PATH, head.path),
    ):
        if pattern.fullmatch(value) is None:
            raise _bad(f"the {what} is none", what)


def without_connection_fields(fields: Fields) -> Fields:
    """``fields`` without those that speak of a connection, which an encapsulated message has not."""
    return tuple((name, value) for name, value in fields if name.lower() not in _CONNECTION_FIELDS)


def _bad(message: str, where: str) -> MalformedError:
    # The value itself is plaintext and stays out of the error.
    return MalformedError("channel.bad-message", message, where=where)
