"""What a message consists of, as events in the order in which they come, and how large it may be."""

from dataclasses import dataclass, field

from sealroom.channel.padding import CHUNK_SIZE
from sealroom.errors import MisuseError

__all__ = ["Data", "End", "Event", "Fields", "Informational", "Limits", "RequestHead", "ResponseHead", "find_field"]

Fields = tuple[tuple[bytes, bytes], ...]
"""Field lines in order, names in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHead:
    """Method, target and header section of a request. The fields stay out of the repr: they may carry secrets."""

    method: str
    path: str
    """Path and query, as in HTTP/2's ``:path``."""
    scheme: str = "https"
    authority: str = ""
    headers: Fields = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseHead:
    """Status (200 to 599) and header section of a response."""

    status: int
    headers: Fields = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Informational:
    """A response before the response: status 100 to 199 and its fields."""

    status: int
    headers: Fields = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Data:
    """Some of the content, never empty; where it is cut means nothing."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class End:
    """The message is complete and, in an exchange, its end authentic."""

    trailers: Fields = field(default=(), repr=False)


Event = RequestHead | ResponseHead | Informational | Data | End


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a receiver holds out against (spec/channel.md section 8). All sizes in bytes."""

    chunk: int = 1 << 20
    """Plaintext of one chunk; at least 16384."""
    head: int = 64 << 10
    """One field section, and the control data."""
    fields: int = 128
    """Field lines in one section."""
    body: int = 64 << 20
    """Content of the whole message."""
    padding: int = 16 << 20
    """Zeros behind the message."""
    informational: int = 16
    """Informational responses before the final one."""

    def __post_init__(self) -> None:
        if self.chunk < CHUNK_SIZE:
            raise MisuseError("channel.limit-too-small", "every receiver takes chunks of 16384 bytes", got=self.chunk)


def find_field(headers: Fields, name: bytes) -> tuple[bytes, ...]:
    """Every value of the field called ``name`` (lower case), in order."""
    return tuple(value for field_name, value in headers if field_name == name)
