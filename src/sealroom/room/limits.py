"""How much and how long: every bound that a room puts on its callers, in one place."""

from dataclasses import dataclass

from sealroom.errors import MisuseError

__all__ = ["GatewayLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLimits:
    """Bounds on one caller and on all of them together. Sizes in bytes, times in seconds."""

    concurrency: int = 4
    """Requests that the engine works on at the same time: its slots."""
    queue: int = 32
    """Requests that may wait for a slot; one more is answered 429."""
    queue_seconds: float = 30.0
    """Longest wait for a slot before 429."""
    outer_header_bytes: int = 16 * 1024
    """Request line and headers outside the encryption, together."""
    header_seconds: float = 10.0
    """From the connection's opening, or the last answer's end, to the end of the headers."""
    request_bytes: int = 4 * 1024 * 1024
    """The encapsulated request, sealed."""
    request_seconds: float = 30.0
    """From the headers to the request's authenticated end."""
    inner_headers: int = 64
    """Header fields inside the encryption."""
    inner_header_bytes: int = 16 * 1024
    """Names and values of those fields, together."""
    inner_body_bytes: int = 4 * 1024 * 1024
    """The OpenAI request body, opened."""
    idle_seconds: float = 300.0
    """Longest time without progress of one answer: the engine silent, or the caller not reading."""
    total_seconds: float = 1800.0
    """From the first byte of a request to the last of its answer."""
    connections: int = 512
    """Open connections; one more is answered 503."""
    evidence_waiting: int = 16
    """Callers that may wait for fresh evidence; one more is answered 503."""

    device_seconds: float = 60.0
    """Longest wait for the evidence of all devices together; then the caller is answered 503."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value < 0 or (value == 0 and name != "queue"):
                raise MisuseError("room.limit", "a limit must be positive", where=name, got=value, expected="> 0")
