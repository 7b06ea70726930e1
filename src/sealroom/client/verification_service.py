"""One verification of the room at a time, for all tasks that share a session: what both async drivers share."""

import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import anyio

from sealroom.client.session import Session
from sealroom.errors import UnavailableError
from sealroom.statement import NONCE_SIZE
from sealroom.verifier import AttestedRoom

__all__ = ["SharedVerification"]


class SharedVerification:
    """Hands out the verified room, and verifies it where that is due.

    Args:
        session: the policy, and what was proved under it.
        fetch_evidence: asks the room for a bundle that answers a nonce; raises `UnavailableError` if it can not.
    """

    def __init__(self, session: Session, fetch_evidence: Callable[[bytes], Awaitable[bytes]]) -> None:
        self._session = session
        self._fetch_evidence = fetch_evidence
        self._one_at_a_time = anyio.Lock()

    async def room(self) -> AttestedRoom:
        """The room as proved, verified now unless the key in hand is fresh.

        Raises:
            SealroomError: why there is no key; nothing but evidence has been asked for.
        """
        if (room := self._session.fresh(_now())) is not None:
            return room
        async with self._one_at_a_time:
            if (room := self._session.fresh(_now())) is not None:
                return room  # another task has just done it
            return await self._verify_now()

    async def _verify_now(self) -> AttestedRoom:
        nonce = secrets.token_bytes(NONCE_SIZE)
        try:
            bundle = await self._fetch_evidence(nonce)
        except UnavailableError:
            if (room := self._session.put_off(_now())) is not None:
                return room  # only the renewal failed: what was proved still holds
            raise
        return self._session.admit(bundle, nonce=nonce, at=_now())


def _now() -> datetime:
    return datetime.now(UTC)
