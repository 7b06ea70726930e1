"""What a client knows about its room: which key it verified, how long that holds, when to ask again.

Pure: time and nonces are handed in, bytes are handed over. The rules:

1. No key before a whole verification, and never one that a policy refused.
2. A verified key is renewed `RENEWAL_MARGIN` (or a tenth of its life, if that is shorter) before it ends.
3. If the room can not be reached for a renewal, a key that still holds is used on and the renewal tried again after
   `RENEWAL_PAUSE`; if the room's evidence is refused, the key is dropped at once.
4. A refusal is not remembered: the next request verifies anew. Nothing but evidence is asked for until it passes.
"""

from datetime import datetime, timedelta

from sealroom.collateral.bundle import MAX_BUNDLE_SIZE, MEDIA_TYPE
from sealroom.collateral.compression import CODING, unpack
from sealroom.errors import MalformedError, UnavailableError
from sealroom.policy import Policy
from sealroom.verifier import AttestedRoom, attest_room

__all__ = [
    "EVIDENCE_HEADERS",
    "RENEWAL_MARGIN",
    "RENEWAL_PAUSE",
    "Session",
    "check_evidence_answer",
    "evidence_body",
]

RENEWAL_MARGIN = timedelta(seconds=60)
RENEWAL_PAUSE = timedelta(seconds=5)


class Session:
    """The key in hand, if any. Knows no thread: whoever shares one sees to it that `admit` runs once at a time."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.room: AttestedRoom | None = None
        """What was proved last and still counts."""
        self._renew_at: datetime | None = None

    def fresh(self, at: datetime) -> AttestedRoom | None:
        """The verified room, unless there is none or its renewal is due."""
        room, renew_at = self.room, self._renew_at  # once: another thread may be verifying, and drop them meanwhile
        if room is None or renew_at is None or at >= renew_at:
            return None
        return room if room.key.validity.holds_at(at) else None

    def put_off(self, at: datetime) -> AttestedRoom | None:
        """The room could not be asked: the verified one if its key holds, its renewal put off by `RENEWAL_PAUSE`."""
        room = self.room
        if room is None or not room.key.validity.holds_at(at):
            return None
        self._renew_at = at + RENEWAL_PAUSE
        return room

    def admit(self, bundle: bytes, *, nonce: bytes, at: datetime) -> AttestedRoom:
        """Verify ``bundle``; from now on its key is the one to seal to.

        Raises:
            MalformedError, UnverifiedError, RefusedError: and the old key is dropped with it.
        """
        self.drop()
        room = attest_room(bundle, self.policy, nonce=nonce, at=at)
        life = room.key.validity.not_after - at
        self._renew_at = room.key.validity.not_after - min(RENEWAL_MARGIN, life / 10)
        self.room = room
        return room

    def drop(self, room: AttestedRoom | None = None) -> None:
        """Forget the key in hand; with ``room``, only if it is that one (another may have been verified since)."""
        if room is None or room is self.room:
            self.room = None
            self._renew_at = None


EVIDENCE_HEADERS = {"accept": MEDIA_TYPE, "accept-encoding": CODING}
"""Of the question for evidence."""


def check_evidence_answer(status: int, media_type: str | None) -> None:
    """Raise `UnavailableError` unless a room's answer to the question for evidence carries evidence."""
    plain_type = (media_type or "").partition(";")[0].strip().lower()
    if status != 200 or plain_type != MEDIA_TYPE:
        raise UnavailableError(
            "client.no-evidence",
            "the room did not hand out evidence",
            got=f"status {status}, {plain_type or 'no media type'}",
            expected=f"status 200, {MEDIA_TYPE}",
            hint="is this the address of a room, and is it serving?",
        )


def evidence_body(body: bytes, content_coding: str | None) -> bytes:
    """The bundle in the body of an answer, unpacked if the room compressed it.

    Raises:
        MalformedError: ``client.evidence-too-large``: more than any room's evidence can be;
            ``client.evidence-coding``: in a coding that was not asked for; ``bundle.*``: as `unpack`.
    """
    if len(body) > MAX_BUNDLE_SIZE:
        raise MalformedError("client.evidence-too-large", "what the room calls evidence is too large to be that",
                             expected=f"at most {MAX_BUNDLE_SIZE} bytes")  # fmt: skip
    coding = (content_coding or "identity").strip().lower()
    if coding not in {"identity", CODING}:
        raise MalformedError("client.evidence-coding", "the room's evidence came in a coding that nobody asked for",
                             got=ascii(coding)[:40], expected=CODING)  # fmt: skip
    return unpack(body) if coding == CODING else body
