"""What is registered, by which policy it is released, and the floor of each model. Sections 11 and 12."""

import hashlib
from dataclasses import dataclass, field, replace

from sealroom.broker.kek import KeyEncryptionKey, frame
from sealroom.broker.keystores import keystore_for
from sealroom.broker.stores.database import Database, Row
from sealroom.errors import RefusedError, UnverifiedError

__all__ = ["Resource", "Resources"]

_DEFAULT_KEYSTORE = "sqlite:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A registered key, without the key."""

    id: str
    key_uri: str = ""
    model: str | None = None
    version: int | None = None
    policy: str | None = field(default=None, repr=False)

    @property
    def policy_digest(self) -> bytes | None:
        """SHA-256 of the policy's bytes; None if there is no policy."""
        return None if self.policy is None else hashlib.sha256(self.policy.encode("utf-8")).digest()

    def binding(self) -> bytes:
        """What the wrapped key is bound to: change any of it in the database, and the key does not open."""
        model, version = (self.model or "").encode("utf-8"), (self.version or 0).to_bytes(8, "big")
        parts = (self.id.encode("ascii"), model, version, self.policy_digest or b"")
        return b"sealroom-broker-key-v1\x00" + b"".join(frame(part) for part in parts)


class Resources:
    """The tables of resources, models and keys; a caller wraps several calls into one transaction."""

    def __init__(self, database: Database, kek: KeyEncryptionKey) -> None:
        self._database = database
        self._kek = kek

    def find(self, resource_id: str) -> Resource | None:
        """The registration called ``resource_id``."""
        rows = self._database.query(
            "SELECT id, key_uri, model, version, policy FROM resources WHERE id = ?", resource_id
        )
        return _resource(rows[0]) if rows else None

    def all(self) -> list[Resource]:
        """Every registration, by name."""
        rows = self._database.query("SELECT id, key_uri, model, version, policy FROM resources ORDER BY id")
        return [_resource(row) for row in rows]

    def policies(self) -> list[str]:
        """The text of every policy that is in use, once each."""
        rows = self._database.query("SELECT DISTINCT policy FROM resources WHERE policy IS NOT NULL")
        return [str(row[0]) for row in rows]

    def key(self, resource: Resource) -> bytes:
        """The key of ``resource``, if everything that it is bound to is unchanged."""
        return keystore_for(resource.key_uri, self._database, self._kek).get(resource.key_uri, resource.binding())

    def put(self, resource: Resource, key: bytes) -> None:
        """Write a registration with its key, in place of one of the same name."""
        self.delete(resource.id)
        store = keystore_for(_DEFAULT_KEYSTORE, self._database, self._kek)
        kept = replace(resource, key_uri=store.put(key, resource.binding()))
        self._database.execute(
            "INSERT INTO resources (id, key_uri, model, version, policy) VALUES (?, ?, ?, ?, ?)",
            kept.id, kept.key_uri, kept.model, kept.version, kept.policy,
        )  # fmt: skip

    def delete(self, resource_id: str) -> bool:
        """Forget a registration and its key; False if there was none."""
        found = self.find(resource_id)
        if found is None:
            return False
        self._database.execute("DELETE FROM resources WHERE id = ?", resource_id)
        keystore_for(found.key_uri, self._database, self._kek).delete(found.key_uri)
        return True

    def floor(self, model: str) -> int | None:
        """The lowest version of ``model`` that is released; None for a model that was never registered."""
        rows = self._database.query("SELECT minimum_version, seal FROM models WHERE name = ?", model)
        if not rows:
            return None
        version, seal = rows[0]
        if not isinstance(version, int) or not isinstance(seal, bytes):
            raise UnverifiedError("broker.store-tampered", "a floor in the database is not one")
        self._kek.check_seal(_floor_message(model, version), seal, what="the floor of a model")
        return version

    def raise_floor(self, model: str, version: int) -> None:
        """Set the floor; one that is higher stays."""
        if version > (-1 if (present := self.floor(model)) is None else present):
            self._database.execute(
                "INSERT INTO models (name, minimum_version, seal) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE"
                " SET minimum_version = excluded.minimum_version, seal = excluded.seal",
                model, version, self._kek.seal(_floor_message(model, version)),
            )  # fmt: skip

    def require_above_floor(self, resource: Resource) -> None:
        """Raise ``broker.version-below-floor`` for a version that was retired."""
        if resource.model is None:
            return
        if resource.version is None:
            raise UnverifiedError("broker.store-tampered", "a registered model has lost its version")
        floor = self.floor(resource.model)
        if floor is None:
            raise UnverifiedError("broker.store-tampered", "the floor of a registered model is gone")
        if resource.version < floor:
            raise RefusedError("broker.version-below-floor", "this version of the model is retired",
                               where=resource.id, got=resource.version, expected=f"at least {floor}",
                               hint="fetch the key of a newer version")  # fmt: skip


def _floor_message(model: str, version: int) -> bytes:
    return b"sealroom-broker-floor-v1\x00" + frame(model.encode("utf-8")) + version.to_bytes(8, "big")


def _resource(row: Row) -> Resource:
    resource_id, key_uri, model, version, policy = row
    return Resource(
        id=str(resource_id),
        key_uri=str(key_uri),
        model=None if model is None else str(model),
        version=version if isinstance(version, int) else None,
        policy=None if policy is None else str(policy),
    )
