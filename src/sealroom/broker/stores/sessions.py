"""Handshakes under way. A nonce serves once: `burn` is the only way out of ``challenged``, in one transaction."""

from dataclasses import dataclass, field

from sealroom.broker.stores.database import Database, Row

__all__ = ["MAX_KEPT_TOTAL", "MAX_OPEN", "Session", "Sessions"]

MAX_OPEN = 10_000
"""Sessions that may be open at once. One more, and the oldest is forgotten: a flood locks nobody out."""
MAX_KEPT_TOTAL = 64 * 1024 * 1024
"""Bytes of attestations that are kept at once, with the same rule: some 1600, each needed for a second or two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One handshake."""

    id: str = field(repr=False)
    tee: str
    nonce: str = field(repr=False)
    expires_at: int
    """Seconds since 1970."""
    state: str
    attestation: bytes | None = field(default=None, repr=False)
    """What the release needs of the body of ``/attest``, once that was verified."""


_COLUMNS = "id, tee, nonce, expires_at, state, attestation"


class Sessions:
    """The table of sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, session: Session, *, now: int) -> None:
        """Keep a new session; forget the expired ones, and the oldest if too many are open."""
        with self._database.transaction(durable=False):  # lost with the power, the guest begins anew
            self._database.execute("DELETE FROM sessions WHERE expires_at < ?", now)
            ((count,),) = self._database.query("SELECT count(*) FROM sessions")
            if isinstance(count, int) and count >= MAX_OPEN:
                self._database.execute("DELETE FROM sessions WHERE rowid = (SELECT min(rowid) FROM sessions)")
            self._database.execute(
                "INSERT INTO sessions (id, tee, nonce, expires_at, state) VALUES (?, ?, ?, ?, 'challenged')",
                session.id, session.tee, session.nonce, session.expires_at,
            )  # fmt: skip

    def find(self, session_id: str) -> Session | None:
        """The session with this id, whatever its state."""
        return _one(self._database.query(f"SELECT {_COLUMNS} FROM sessions WHERE id = ?", session_id))  # noqa: S608

    def find_by_token(self, token_id: str) -> Session | None:
        """The session whose token has this ``jti``."""
        return _one(self._database.query(f"SELECT {_COLUMNS} FROM sessions WHERE token_id = ?", token_id))  # noqa: S608

    def burn(self, session_id: str) -> bool:
        """Use up the nonce; False if it was used before, by us or by another broker on this database.

        Made durable by the record of the outcome, which is written before anybody hears of it.
        """
        with self._database.transaction(durable=False):
            sql = "UPDATE sessions SET state = 'burnt' WHERE id = ? AND state = 'challenged'"
            return self._database.execute(sql, session_id) == 1

    def attest(self, session_id: str, attestation: bytes, token_id: str) -> None:
        """Keep what was verified; forget the oldest that was, if that makes too much."""
        while self._kept() + len(attestation) > MAX_KEPT_TOTAL and self._forget_oldest_attested():
            pass
        self._database.execute(
            "UPDATE sessions SET state = 'attested', attestation = ?, token_id = ? WHERE id = ?",
            attestation, token_id, session_id,
        )  # fmt: skip

    def _kept(self) -> int:
        ((size,),) = self._database.query("SELECT coalesce(sum(length(attestation)), 0) FROM sessions")
        return size if isinstance(size, int) else 0

    def _forget_oldest_attested(self) -> bool:
        sql = "DELETE FROM sessions WHERE rowid = (SELECT min(rowid) FROM sessions WHERE state = 'attested')"
        return self._database.execute(sql) == 1


def _one(rows: list[Row]) -> Session | None:
    if not rows:
        return None
    session_id, tee, nonce, expires_at, state, attestation = rows[0]
    return Session(
        id=str(session_id),
        tee=str(tee),
        nonce=str(nonce),
        expires_at=expires_at if isinstance(expires_at, int) else 0,
        state=str(state),
        attestation=attestation if isinstance(attestation, bytes) else None,
    )
