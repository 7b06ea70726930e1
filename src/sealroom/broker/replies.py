"""Which status and which of the protocol's error names a refusal gets. ``spec/key-release.md`` section 10."""

from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

from sealroom.errors import MalformedError, MisuseError, RefusedError, SealroomError, UnavailableError
from sealroom.kbs.errors_json import ErrorName, detail_of, write_error

__all__ = ["Reply", "Step", "reply_for"]


class Step(Enum):
    """At which step of the protocol something was refused: the same error has another name at each."""

    HANDSHAKE = ErrorName.ATTESTATION
    RESOURCE = ErrorName.POLICY_DENY
    ADMIN = ErrorName.PLUGIN_INTERNAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An error on its way out."""

    status: int
    body: bytes
    retry_after: int | None = None


_WHO_ASKS = {
    "broker.no-session": ErrorName.TOKEN_NOT_FOUND,
    "broker.session-expired": ErrorName.TOKEN_VERIFIER,
    "broker.token": ErrorName.TOKEN_VERIFIER,
}
_BY_CODE = {
    "broker.admin-token": (HTTPStatus.UNAUTHORIZED, ErrorName.ADMIN_AUTH),
    "broker.resource-missing": (HTTPStatus.NOT_FOUND, ErrorName.PLUGIN_INTERNAL),
    "broker.key-differs": (HTTPStatus.CONFLICT, ErrorName.PLUGIN_INTERNAL),
    "broker.body-size": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, ErrorName.PLUGIN_INTERNAL),
    "kbs.resource-id": (HTTPStatus.NOT_FOUND, ErrorName.INVALID_PATH),
}
# Our own store was changed behind our back: the asker can not mend it, and nothing leaves until it is mended.
_INTERNAL = frozenset({"broker.store-tampered", "broker.record-tampered", "broker.wrapped-key"})


def reply_for(error: SealroomError, step: Step, *, policy_status: int = HTTPStatus.UNAUTHORIZED) -> Reply:
    """The answer for ``error``; ``policy_status`` is 401, or 403 for those who asked for it."""
    if isinstance(error, UnavailableError) or error.code in _INTERNAL:
        body = write_error(ErrorName.PLUGIN_INTERNAL, detail_of(error))
        return Reply(status=HTTPStatus.SERVICE_UNAVAILABLE, body=body, retry_after=5)
    status, name = _BY_CODE.get(error.code) or _by_step(error, step, policy_status)
    return Reply(status=status, body=write_error(name, detail_of(error)))


def _by_step(error: SealroomError, step: Step, policy_status: int) -> tuple[int, ErrorName]:
    if step is Step.RESOURCE:
        if error.code in _WHO_ASKS:
            return HTTPStatus.UNAUTHORIZED, _WHO_ASKS[error.code]
        return policy_status, step.value
    if isinstance(error, MalformedError | MisuseError):
        return HTTPStatus.BAD_REQUEST, ErrorName.SERDE
    if step is Step.ADMIN and isinstance(error, RefusedError):
        return HTTPStatus.CONFLICT, step.value
    return HTTPStatus.UNAUTHORIZED, step.value
