"""How long a verified key is used, and what makes it go: the clock is in the test's hand."""

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from loopback_room import LoopbackRoom

from sealroom.client.policy_store import read_policy
from sealroom.client.session import RENEWAL_MARGIN, RENEWAL_PAUSE, Session
from sealroom.errors import UnverifiedError
from sealroom.verifier import AttestedRoom


@pytest.fixture
def session(policy: Path) -> Session:
    return Session(read_policy(policy))


def admit(session: Session, room: LoopbackRoom) -> AttestedRoom:
    nonce = secrets.token_bytes(32)
    return session.admit(bytes(room._evidence(nonce).body), nonce=nonce, at=datetime.now(UTC))


def test_there_is_no_key_before_a_verification(session: Session) -> None:
    now = datetime.now(UTC)
    assert session.fresh(now) is None
    assert session.put_off(now) is None


def test_a_key_that_another_thread_drops_meanwhile_breaks_nothing(session: Session, room: LoopbackRoom) -> None:
    proved = admit(session, room)

    class AtTheWorstMoment(datetime):
        def __ge__(self, other: datetime) -> bool:
            session.drop()
            return super().__ge__(other)

    at = AtTheWorstMoment.now(UTC)
    assert session.fresh(at) is proved, "it was verified, and holds"
    assert session.fresh(at) is None


def test_a_key_is_fresh_until_a_margin_before_its_end(session: Session, room: LoopbackRoom) -> None:
    room.script.statement_life = timedelta(minutes=30)
    proved = admit(session, room)
    end = proved.key.validity.not_after
    assert session.fresh(end - RENEWAL_MARGIN - timedelta(seconds=1)) is proved
    assert session.fresh(end - RENEWAL_MARGIN) is None


def test_a_short_lived_key_is_fresh_for_nine_tenths_of_its_life(session: Session, room: LoopbackRoom) -> None:
    room.script.statement_life = timedelta(seconds=100)
    proved = admit(session, room)
    end = proved.key.validity.not_after
    assert session.fresh(end - timedelta(seconds=15)) is proved
    assert session.fresh(end - timedelta(seconds=9)) is None


def test_a_renewal_that_fails_is_put_off_but_never_beyond_the_keys_end(session: Session, room: LoopbackRoom) -> None:
    room.script.statement_life = timedelta(minutes=30)
    proved = admit(session, room)
    end = proved.key.validity.not_after
    due = end - RENEWAL_MARGIN
    assert session.put_off(due) is proved
    assert session.fresh(due + RENEWAL_PAUSE / 2) is proved
    assert session.fresh(due + RENEWAL_PAUSE) is None
    assert session.put_off(end) is proved
    assert session.fresh(end + timedelta(seconds=1)) is None
    assert session.put_off(end + timedelta(seconds=1)) is None


def test_a_clock_before_the_keys_beginning_finds_no_key(session: Session, room: LoopbackRoom) -> None:
    admit(session, room)
    assert session.fresh(datetime.now(UTC) - timedelta(days=2)) is None


def test_refused_evidence_takes_the_old_key_away(session: Session, room: LoopbackRoom) -> None:
    admit(session, room)
    with pytest.raises(UnverifiedError):
        session.admit(bytes(room._evidence(bytes(32)).body), nonce=bytes(31) + b"\x01", at=datetime.now(UTC))
    assert session.room is None
    assert session.put_off(datetime.now(UTC)) is None


def test_dropping_an_older_key_leaves_a_newer_one(session: Session, room: LoopbackRoom) -> None:
    older = admit(session, room)
    newer = admit(session, room)
    session.drop(older)
    assert session.room is newer
    session.drop(newer)
    assert session.room is None
