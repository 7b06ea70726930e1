"""The record of every attestation, grant, refusal and change: append-only and chained. Section 12."""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from sealroom.broker.kek import KeyEncryptionKey
from sealroom.broker.stores.database import Database, Row
from sealroom.errors import UnverifiedError
from sealroom.kbs.json_text import Json, JsonObject, canonical, parse_object

__all__ = ["AuditLog", "Entry", "Facts", "Head"]

Facts: TypeAlias = Mapping[str, str | int | bool | list[str] | None]

_START = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One record, as it stands."""

    seq: int
    body: JsonObject
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where the record ends. Kept elsewhere, it shows a database that was put back to an older copy."""

    seq: int
    digest: bytes


class AuditLog:
    """The record."""

    def __init__(self, database: Database, kek: KeyEncryptionKey) -> None:
        self._database = database
        self._kek = kek

    def start(self) -> None:
        """Write the head of an empty record; part of making the database."""
        self._write_head(Head(seq=0, digest=_START))

    def append(self, event: str, facts: Facts, *, at: datetime) -> None:
        """Add a record; durable when the transaction around it (its own, if there is none) ends.

        Raises:
            UnverifiedError: ``broker.record-tampered``: nothing is added to a record that was changed.
        """
        with self._database.transaction():
            head = self._checked_head()
            known: JsonObject = {name: _json(value) for name, value in facts.items() if value is not None}
            body = canonical(
                {**known, "seq": head.seq + 1, "at": at.isoformat(timespec="milliseconds"), "event": event}
            )
            new = Head(seq=head.seq + 1, digest=_digest(head.digest, body))
            self._database.execute(
                "INSERT INTO audit (seq, body, digest) VALUES (?, ?, ?)", new.seq, body.decode(), new.digest
            )
            self._write_head(new)

    def head(self) -> Head:
        """Where the record ends, by its seal."""
        rows = self._database.query("SELECT seq, digest, seal FROM audit_head")
        if not rows:
            raise _tampered("its head is gone")
        seq, digest, seal = rows[0]
        if not isinstance(seq, int) or not isinstance(digest, bytes) or not isinstance(seal, bytes):
            raise _tampered("its head is of the wrong form")
        self._kek.check_seal(_head_message(seq, digest), seal, what="the head of the record")
        return Head(seq=seq, digest=digest)

    def _checked_head(self) -> Head:
        head = self.head()
        last = self._database.query("SELECT seq, digest FROM audit ORDER BY seq DESC LIMIT 1")
        if (last or [(0, _START)])[0] != (head.seq, head.digest):
            raise _tampered(f"it does not end where its head says, at {head.seq}")
        return head

    def _write_head(self, head: Head) -> None:
        self._database.execute(
            "INSERT INTO audit_head (id, seq, digest, seal) VALUES (1, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
            " SET seq = excluded.seq, digest = excluded.digest, seal = excluded.seal",
            head.seq, head.digest, self._kek.seal(_head_message(head.seq, head.digest)),
        )  # fmt: skip

    def read(self) -> Iterator[Entry]:
        """Every record in order, each checked against the one before, the last against the head.

        Raises:
            UnverifiedError: ``broker.record-tampered``, at the first record that does not fit.
        """
        with self._database.transaction():  # one snapshot: a broker may be writing
            head = self.head()
            rows = self._database.query("SELECT seq, body, digest FROM audit ORDER BY seq")
        previous, seq = _START, 0
        for seq, row in enumerate(rows, start=1):
            entry = _checked(row, seq, previous)
            previous = entry.digest
            yield entry
        if (seq, previous) != (head.seq, head.digest):
            raise _tampered(f"it ends at {seq}, its head says {head.seq}")


def _checked(row: Row, seq: int, previous: bytes) -> Entry:
    body, digest = str(row[1]).encode("utf-8", "surrogatepass"), row[2]
    if row[0] != seq or not isinstance(digest, bytes):
        raise _tampered(f"record {seq} is missing")
    if not hmac.compare_digest(_digest(previous, body), digest):
        raise _tampered(f"record {seq} was changed, or one before it")
    return Entry(seq=seq, body=parse_object(body, what="a record"), digest=digest)


def _digest(previous: bytes, body: bytes) -> bytes:
    return hashlib.sha256(b"sealroom-broker-audit-v1\x00" + previous + body).digest()


def _head_message(seq: int, digest: bytes) -> bytes:
    return b"sealroom-broker-head-v1\x00" + seq.to_bytes(8, "big") + digest


def _json(value: str | int | bool | list[str] | None) -> Json:
    return list(value) if isinstance(value, list) else value


def _tampered(why: str) -> UnverifiedError:
    return UnverifiedError("broker.record-tampered", f"the broker's record is not as it was written: {why}",
                           hint="keep this database as it is, and start a new one from a trusted copy")  # fmt: skip
