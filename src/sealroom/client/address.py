"""Where a room lives: an origin, and the two well-known paths below it."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from sealroom.errors import MisuseError

__all__ = ["EVIDENCE_PATH", "GATEWAY_PATH", "RoomAddress"]

EVIDENCE_PATH = "/.well-known/sealroom/evidence"
GATEWAY_PATH = "/.well-known/ohttp-gateway"
"""RFC 9540 section 3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomAddress:
    """The origin of a room. ``http`` is allowed: what counts is sealed end to end; TLS would hide sizes and times."""

    origin: str
    """Scheme, host and port, without a trailing slash."""

    @classmethod
    def parse(cls, url: str) -> "RoomAddress":
        """Read ``url``.

        Raises:
            MisuseError: no http or https origin, or more than an origin.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise _not_an_origin(url) from None
        surplus = parts.path not in {"", "/"} or parts.query or parts.fragment or "@" in parts.netloc
        if parts.scheme not in {"http", "https"} or not parts.hostname or surplus:
            raise _not_an_origin(url)
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return cls(origin=f"{parts.scheme}://{host}" + (f":{port}" if port is not None else ""))

    @property
    def authority(self) -> str:
        """Host and port, as the inner request names them."""
        return self.origin.partition("://")[2]

    @property
    def gateway_url(self) -> str:
        """Where exchanges are posted."""
        return self.origin + GATEWAY_PATH

    def evidence_url(self, nonce: bytes) -> str:
        """Where evidence over ``nonce`` (32 bytes) is asked for."""
        return f"{self.origin}{EVIDENCE_PATH}?nonce={nonce.hex()}"


def _not_an_origin(url: str) -> MisuseError:
    return MisuseError(
        "client.bad-room-address",
        "a room is named by its origin alone",
        got=url.rpartition("@")[2],
        expected="https://host[:port]",
        hint="leave out the path: /v1 belongs to the base_url of the program that talks, not to the room",
    )
