"""What an appraisal is about beyond the silicon: a room, a guest that asks for a key, or evidence alone."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sealroom.binding import INIT_DATA_FIELD, carried_init_data
from sealroom.evidence import Claims, Validity
from sealroom.statement import RoomStatement

__all__ = ["CLOCK_SKEW", "InitData", "Subject", "SubjectKind", "statement_window"]

CLOCK_SKEW = timedelta(seconds=60)
"""How far the room's clock and ours may differ before a statement counts as one from the future."""


class SubjectKind(StrEnum):
    """Which of the three."""

    ROOM = "room"
    GUEST = "guest"
    EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class InitData:
    """A guest's init-data document: what it says, and its digest."""

    facts: Mapping[str, str]
    digest: bytes
    """By the algorithm that the document names; evidence vouches for it as `binding.carried_init_data` has it."""

    def bound_by(self, claims: Claims) -> bool:
        """Whether ``claims`` vouch for this document."""
        bound = claims.measurements.get(INIT_DATA_FIELD.get(claims.tee, ""))
        if bound is None:
            return False
        return hmac.compare_digest(bound, carried_init_data(claims.tee, self.digest, size=len(bound)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Made by one of the three constructors."""

    kind: SubjectKind
    expected_report_data: bytes | None
    nonce_answered: bool
    """Whether the evidence answers a nonce that the verifier itself drew."""
    statement: RoomStatement | None = None
    init_data: InitData | None = None

    @classmethod
    def room(cls, statement: RoomStatement, *, expected_report_data: bytes, nonce_answered: bool) -> "Subject":
        """A room that shows a statement."""
        return cls(kind=SubjectKind.ROOM, expected_report_data=expected_report_data, nonce_answered=nonce_answered,
                   statement=statement)  # fmt: skip

    @classmethod
    def guest(cls, *, expected_report_data: bytes, init_data: InitData | None) -> "Subject":
        """A guest that asks a broker for a key; the report data covers the broker's own nonce."""
        return cls(kind=SubjectKind.GUEST, expected_report_data=expected_report_data, nonce_answered=True,
                   init_data=init_data)  # fmt: skip

    @classmethod
    def evidence_alone(cls, *, expected_report_data: bytes | None) -> "Subject":
        """Evidence without a protocol around it, as `sealroom verify` sees a bare report."""
        return cls(kind=SubjectKind.EVIDENCE, expected_report_data=expected_report_data, nonce_answered=False)


def statement_window(statement: RoomStatement, max_age: timedelta) -> Validity:
    """From when and until when a verdict on ``statement`` may be used."""
    return Validity(
        not_before=statement.created_at - CLOCK_SKEW,
        not_after=min(statement.not_after, statement.created_at + max_age),
    )
