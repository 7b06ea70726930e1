"""One SQLite file: durable transactions, migrations, and errors of our own kind."""

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from sealroom.broker.stores.schema import MIGRATIONS
from sealroom.errors import MisuseError, UnavailableError, UnverifiedError

__all__ = ["Database", "Row"]

Row: TypeAlias = tuple[int | str | bytes | None, ...]
_Value: TypeAlias = int | str | bytes | None

_log = logging.getLogger("sealroom.broker")
_BUSY_SECONDS = 10.0


class Database:
    """A connection that all threads of a broker share, one transaction at a time.

    WAL: what a durable transaction wrote, and every one before it, is on disk when it returns. Other brokers may have
    the same file open; they wait for each other for up to ten seconds.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        with _ours():
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            for pragma in ("journal_mode=WAL", "foreign_keys=ON", "trusted_schema=OFF"):
                self._connection.execute(f"PRAGMA {pragma}")
        self._migrate()

    def _migrate(self) -> None:
        with self.transaction():
            ((version,),) = self.query("PRAGMA user_version")
            if not isinstance(version, int) or version > len(MIGRATIONS):
                raise MisuseError("broker.database-version", "the database is of a newer release of Sealroom",
                                  got=version, expected=f"up to {len(MIGRATIONS)}")  # fmt: skip
            for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
                for statement in _statements(script):
                    self.execute(statement)
                self.execute(f"PRAGMA user_version={number:d}")

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[None]:
        """All or nothing, and on disk when it ends. One inside another is part of the outer one.

        Not ``durable``: outlives the process at once, and a power failure once a durable one has followed.
        """
        with self._lock, _ours():
            if self._depth == 0:
                self._connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0 and self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._commit()

    def _commit(self) -> None:
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def query(self, sql: str, *values: _Value) -> list[Row]:
        """The rows of a SELECT."""
        with self._lock, _ours():
            return self._connection.execute(sql, values).fetchall()

    def execute(self, sql: str, *values: _Value) -> int:
        """How many rows a change touched."""
        with self._lock, _ours():
            return self._connection.execute(sql, values).rowcount

    def close(self) -> None:
        """Close the file; the database is whole whether or not this is called."""
        with self._lock:
            self._connection.close()


def _statements(script: str) -> Iterator[str]:
    """Split where SQLite itself says that a statement is complete (a trigger holds semicolons)."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextmanager
def _ours() -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise UnverifiedError("broker.store-tampered", "the database does not allow this change") from error
    except sqlite3.Error as error:
        _log.warning("database: %s", getattr(error, "sqlite_errorname", type(error).__name__))
        raise UnavailableError(
            "broker.store-unavailable", "the broker's database does not answer",
            got=getattr(error, "sqlite_errorname", type(error).__name__),
            hint="is the disk full, or the file not writable, or another process holding it?",
        ) from error  # fmt: skip
