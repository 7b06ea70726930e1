"""Who asks, as far as anybody here may know: an opaque id per client, which dies with the room."""

import hmac
import re
import secrets

from sealroom.channel import Fields, find_field
from sealroom.gateway.errors import InvalidRequestError

__all__ = ["CallerIds", "check_content_type"]

_SESSION = re.compile(rb"[0-9a-f]{64}")


class CallerIds:
    """Turns the inner ``sealroom-session`` field into the id under which an engine may keep a caller's own state.

    The field is a secret of the client; under the room's own secret it can not be guessed, nor told to be the same as
    in another room or after a restart.
    """

    __slots__ = ("_secret",)

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def of(self, headers: Fields) -> bytes | None:
        """The id, or None for a caller who names no session: nothing is kept for that one.

        Raises:
            InvalidRequestError: the field is there twice, or is not 64 hexadecimal digits.
        """
        sessions = find_field(headers, b"sealroom-session")
        if not sessions:
            return None
        if len(sessions) > 1 or not _SESSION.fullmatch(sessions[0]):
            raise InvalidRequestError("invalid_session", "Sealroom-Session must be 64 lower-case hexadecimal digits.")
        return hmac.digest(self._secret, sessions[0], "sha256")

    def __repr__(self) -> str:
        return "CallerIds(<redacted>)"


def check_content_type(headers: Fields) -> None:
    """Raise unless the body is declared as JSON, or not declared at all."""
    for value in find_field(headers, b"content-type"):
        if value.partition(b";")[0].strip().lower() != b"application/json":
            raise InvalidRequestError("unsupported_media_type", "The body must be application/json.", status=415)
