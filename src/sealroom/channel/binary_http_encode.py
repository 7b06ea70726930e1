"""Binary HTTP, writing (RFC 9292): whole messages of known length, and the pieces of indeterminate-length ones.

What our own caller hands in is checked like what arrives, and is a `MisuseError` if it can not be sent.
"""

from sealroom.channel.fields import check_field, check_request_head, without_connection_fields
from sealroom.channel.messages import Fields, Informational, RequestHead, ResponseHead
from sealroom.channel.varint import encode_varint
from sealroom.errors import MalformedError, MisuseError

__all__ = [
    "encode_content_chunk",
    "encode_end",
    "encode_head",
    "encode_informational",
    "encode_known_request",
    "encode_known_response",
]

_KNOWN_REQUEST, _KNOWN_RESPONSE, _REQUEST, _RESPONSE = (encode_varint(framing) for framing in range(4))


def encode_known_request(head: RequestHead, content: bytes, trailers: Fields = ()) -> bytes:
    """A whole request, framing 0."""
    return b"".join((_KNOWN_REQUEST, _request_control(head), *_known_rest(head.headers, content, trailers)))


def encode_known_response(
    head: ResponseHead, content: bytes, trailers: Fields = (), informational: tuple[Informational, ...] = ()
) -> bytes:
    """A whole response, framing 1."""
    early = (_status(part) + _prefixed(_field_lines(part.headers)) for part in informational)
    return b"".join((_KNOWN_RESPONSE, *early, _status(head), *_known_rest(head.headers, content, trailers)))


def encode_head(head: RequestHead | ResponseHead, informational: tuple[Informational, ...] = ()) -> bytes:
    """The beginning of an indeterminate-length message: framing, control data, header section.

    ``informational`` holds the responses that come before; a caller that sent them already with
    `encode_informational` leaves them out and drops the framing byte with ``[1:]``.
    """
    if isinstance(head, RequestHead):
        return _REQUEST + _request_control(head) + _section(head.headers)
    return _RESPONSE + b"".join(map(encode_informational, informational)) + _status(head) + _section(head.headers)


def encode_informational(part: Informational) -> bytes:
    """One informational response of an indeterminate-length message, without framing."""
    return _status(part) + _section(part.headers)


def encode_content_chunk(data: bytes) -> bytes:
    """One chunk of indeterminate-length content; nothing for no data, since a zero length would end the content."""
    return encode_varint(len(data)) + data if data else b""


def encode_end(trailers: Fields = ()) -> bytes:
    """The end of an indeterminate-length message: content terminator and trailer section."""
    return b"\x00" + _section(trailers)


def _known_rest(headers: Fields, content: bytes, trailers: Fields) -> tuple[bytes, ...]:
    return (
        _prefixed(_field_lines(headers)),
        encode_varint(len(content)),
        content,
        _prefixed(_field_lines(trailers)),
    )


def _request_control(head: RequestHead) -> bytes:
    try:
        check_request_head(head)
    except MalformedError as error:
        raise _misuse(error) from error
    return b"".join(_prefixed(part.encode("ascii")) for part in (head.method, head.scheme, head.authority, head.path))


def _status(head: ResponseHead | Informational) -> bytes:
    lowest, highest = (100, 199) if isinstance(head, Informational) else (200, 599)
    if not lowest <= head.status <= highest:
        raise MisuseError("channel.can-not-encode", "this status has no place here", got=head.status,
                          expected=f"{lowest} to {highest}")  # fmt: skip
    return encode_varint(head.status)


def _section(fields: Fields) -> bytes:
    return _field_lines(fields) + b"\x00"


def _field_lines(fields: Fields) -> bytes:
    lines: list[bytes] = []
    for name, value in without_connection_fields(fields):
        try:
            lines.extend(map(_prefixed, check_field(name, value)))
        except MalformedError as error:
            raise _misuse(error) from error
    return b"".join(lines)


def _prefixed(data: bytes) -> bytes:
    return encode_varint(len(data)) + data


def _misuse(error: MalformedError) -> MisuseError:
    return MisuseError("channel.can-not-encode", error.message, where=error.where)
