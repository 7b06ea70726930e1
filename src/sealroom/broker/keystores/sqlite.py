"""Keys wrapped under the KEK, in the broker's own database. ``spec/key-release.md`` section 12."""

import secrets

from sealroom.broker.kek import KeyEncryptionKey, frame
from sealroom.broker.stores.database import Database
from sealroom.errors import UnverifiedError

__all__ = ["SqliteKeyStore"]

_SCHEME = "sqlite:"


class SqliteKeyStore:
    """The default keystore; part of the transaction that it is called in."""

    def __init__(self, database: Database, kek: KeyEncryptionKey) -> None:
        self._database = database
        self._kek = kek

    def put(self, key: bytes, binding: bytes) -> str:
        """Keep ``key`` under a fresh id."""
        key_id = secrets.token_hex(16)
        wrapped = self._kek.wrap(key, binding=binding + frame(key_id.encode()))
        self._database.execute("INSERT INTO wrapped_keys (id, wrapped) VALUES (?, ?)", key_id, wrapped)
        return _SCHEME + key_id

    def get(self, uri: str, binding: bytes) -> bytes:
        """The key; UnverifiedError if it is gone, changed, or was kept for another binding."""
        key_id = uri.removeprefix(_SCHEME)
        rows = self._database.query("SELECT wrapped FROM wrapped_keys WHERE id = ?", key_id)
        if not rows or not isinstance(rows[0][0], bytes):
            raise UnverifiedError("broker.wrapped-key", "a registered key is not in the database")
        return self._kek.unwrap(rows[0][0], binding=binding + frame(key_id.encode()))

    def delete(self, uri: str) -> None:
        """Forget the key."""
        self._database.execute("DELETE FROM wrapped_keys WHERE id = ?", uri.removeprefix(_SCHEME))
