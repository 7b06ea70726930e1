"""Where key bytes lie, by URI scheme: one table, a row a keystore.

A resource's row names its key by URI (``sqlite:4f1c…``). A keystore takes the bytes and a *binding* (resource, model,
version, policy), and gives them back for that binding alone.
"""

from collections.abc import Callable
from typing import Protocol

from sealroom.broker.kek import KeyEncryptionKey
from sealroom.broker.keystores.sqlite import SqliteKeyStore
from sealroom.broker.stores.database import Database
from sealroom.errors import MisuseError

__all__ = ["KEYSTORE_BY_SCHEME", "KeyStore", "keystore_for"]


class KeyStore(Protocol):
    """What the broker asks of a keystore."""

    def put(self, key: bytes, binding: bytes) -> str:
        """Keep ``key`` and return its URI."""
        ...

    def get(self, uri: str, binding: bytes) -> bytes:
        """The key; UnverifiedError if it was kept for another binding."""
        ...

    def delete(self, uri: str) -> None:
        """Forget the key."""
        ...


KEYSTORE_BY_SCHEME: dict[str, Callable[[Database, KeyEncryptionKey], KeyStore]] = {"sqlite": SqliteKeyStore}


def keystore_for(uri: str, database: Database, kek: KeyEncryptionKey) -> KeyStore:
    """The keystore of ``uri``'s scheme."""
    scheme = uri.partition(":")[0]
    make = KEYSTORE_BY_SCHEME.get(scheme)
    if make is None:
        raise MisuseError("broker.keystore-scheme", "no keystore has this scheme", got=scheme[:32],
                          expected=", ".join(KEYSTORE_BY_SCHEME))  # fmt: skip
    return make(database, kek)
