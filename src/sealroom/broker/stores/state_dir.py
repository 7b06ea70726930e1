"""The broker's directory: made on the first start, readable by its owner alone.

kek                    the key-encryption key, hex; not there if it comes from the environment
admin-token            what `sealroom seal --broker` shows
token-signing-key.pem  signs session tokens
broker.sqlite          the database
"""

import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.broker.kek import KEK_SIZE, KeyEncryptionKey
from sealroom.broker.stores.audit import AuditLog
from sealroom.broker.stores.database import Database
from sealroom.broker.stores.resources import Resources
from sealroom.broker.stores.sessions import Sessions
from sealroom.errors import MisuseError, UnverifiedError

__all__ = ["State", "open_state"]

_KEK, _ADMIN, _SIGNING, _DATABASE = "kek", "admin-token", "token-signing-key.pem", "broker.sqlite"
_TOKEN_SIZE = 32
_CHECK = b"sealroom-broker"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything that a broker is made of, opened and checked."""

    directory: Path
    made: tuple[Path, ...]
    """Files that did not exist before."""
    broker_id: str
    """Names this broker (all that share the database) in its tokens."""
    admin_token: str = field(repr=False)
    signing_key: ec.EllipticCurvePrivateKey = field(repr=False)
    database: Database = field(repr=False)
    sessions: Sessions = field(repr=False)
    resources: Resources = field(repr=False)
    audit: AuditLog = field(repr=False)

    @property
    def admin_token_file(self) -> Path:
        """Where the admin token lies."""
        return self.directory / _ADMIN


def open_state(directory: Path, *, kek_hex: str | None = None, create: bool = True) -> State:
    """Open the directory, or make it.

    Args:
        directory: made with mode 0700; refused if others may enter it.
        kek_hex: the key-encryption key from elsewhere; the file ``kek`` is then neither read nor written.
        create: False for commands that look at a broker's state and must not bring one into being.

    Raises:
        MisuseError: wrong modes, a missing or wrong key-encryption key, no state where one has to be.
        UnverifiedError: the database was changed by something else.
    """
    files = _Files(directory, create=create)
    if kek_hex is None and files.exists(_DATABASE) and not files.exists(_KEK):
        raise MisuseError("broker.no-kek", "there is a database but no key-encryption key",
                          where=str(directory / _KEK),
                          hint="put the file back, or give the key in SEALROOM_BROKER_KEK")  # fmt: skip
    kek = _read_kek(kek_hex if kek_hex is not None else files.read(_KEK, lambda: secrets.token_hex(KEK_SIZE)))
    admin_token = _read_admin_token(files.read(_ADMIN, lambda: secrets.token_hex(_TOKEN_SIZE)))
    signing_key = _read_signing_key(files.read(_SIGNING, _new_signing_key))
    database = Database(files.private(_DATABASE))
    audit = AuditLog(database, kek)
    return State(
        directory=directory, made=tuple(files.made), broker_id=_check_kek(database, audit, kek), database=database,
        admin_token=admin_token, signing_key=signing_key, sessions=Sessions(database),
        resources=Resources(database, kek), audit=audit,
    )  # fmt: skip


class _Files:
    """Secrets as files, whole or not there, for their owner alone."""

    def __init__(self, directory: Path, *, create: bool) -> None:
        self._directory = directory
        self._create = create
        self.made: list[Path] = []
        try:
            if create:
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _require_private(directory)
        except OSError as error:
            raise MisuseError("broker.state-directory", "the broker's state directory can not be used",
                              where=str(directory), got=error.strerror,
                              hint="`sealroom broker run --state DIR` makes one") from error  # fmt: skip

    def exists(self, name: str) -> bool:
        return (self._directory / name).exists()

    def read(self, name: str, make: Callable[[], str]) -> str:
        path = self.private(name, make)
        try:
            return path.read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            raise MisuseError("broker.state-file", "a file of the broker's state can not be read", where=str(path),
                              ) from error  # fmt: skip

    def private(self, name: str, make: Callable[[], str] | None = None) -> Path:
        path = self._directory / name
        try:
            if not path.exists():
                self._write(path, make() if make is not None else "")
            _require_private(path)
        except OSError as error:
            raise MisuseError("broker.state-file", "a file of the broker's state can not be used", where=str(path),
                              got=error.strerror) from error  # fmt: skip
        return path

    def _write(self, path: Path, text: str) -> None:
        if not self._create:
            raise MisuseError("broker.no-state", "there is no broker's state here", where=str(path),
                              hint="`sealroom broker run --state DIR` makes one")  # fmt: skip
        # Written aside and linked into place: another broker that starts now sees the whole file or none.
        aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(text + "\n" if text else "")
                file.flush()
                os.fsync(file.fileno())
            path.hardlink_to(aside)
            self.made.append(path)
        except FileExistsError:
            return  # the other broker was first; its file counts
        finally:
            aside.unlink()


def _require_private(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise MisuseError("broker.state-mode", "others may read the broker's secrets", where=str(path), got=oct(mode),
                          expected="no access for group and others", hint=f"chmod go= {path}")  # fmt: skip


def _read_kek(text: str) -> KeyEncryptionKey:
    try:
        return KeyEncryptionKey(bytes.fromhex(text.strip()))
    except ValueError as error:
        raise MisuseError("broker.kek-form", "the key-encryption key is not hex digits",
                          expected=f"{2 * KEK_SIZE} hex digits") from error  # fmt: skip


def _read_admin_token(text: str) -> str:
    """An empty token would be the one that a request without any carries."""
    try:
        whole = len(bytes.fromhex(text)) == _TOKEN_SIZE
    except ValueError:
        whole = False
    if not whole:
        raise MisuseError("broker.state-file", f"{_ADMIN} holds no admin token", got=f"{len(text)} characters",
                          expected=f"{2 * _TOKEN_SIZE} hex digits",
                          hint="remove the file, and a new one is made")  # fmt: skip
    return text


def _check_kek(database: Database, audit: AuditLog, kek: KeyEncryptionKey) -> str:
    """The broker's id, once the key-encryption key is known to be the one that the database was made with."""
    with database.transaction():
        meta = {str(row[0]): row[1] for row in database.query("SELECT name, value FROM meta")}
        if not meta:
            _require_new(database)
            meta = {"kek-check": kek.wrap(_CHECK, binding=b"kek-check"), "id": secrets.token_hex(16).encode()}
            for name, value in meta.items():
                database.execute("INSERT INTO meta (name, value) VALUES (?, ?)", name, value)
            audit.start()
    check, broker_id = meta.get("kek-check"), meta.get("id")
    if not isinstance(check, bytes) or not isinstance(broker_id, bytes):
        raise UnverifiedError("broker.store-tampered", "the database lacks what it was made with")
    try:
        kek.unwrap(check, binding=b"kek-check")
    except UnverifiedError as error:
        raise MisuseError("broker.wrong-kek", "the key-encryption key is not the one of this database",
                          hint="give the key that this database was made with") from error  # fmt: skip
    audit.head()
    return broker_id.decode("ascii", "replace")


def _require_new(database: Database) -> None:
    """Only an empty database is given an identity: else taking the old one away would erase its record unseen."""
    for table in ("audit_head", "audit", "models", "resources"):
        if database.query(f"SELECT 1 FROM {table} LIMIT 1"):  # noqa: S608 - names of our own tables
            raise UnverifiedError("broker.store-tampered", "the database has lost its identity and kept its content",
                                  where=table)  # fmt: skip


def _new_signing_key() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode("ascii").strip()


def _read_signing_key(text: str) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(text.encode("ascii"), password=None)
    except (ValueError, TypeError) as error:
        raise MisuseError("broker.state-file", f"{_SIGNING} is not a private key in PEM") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise MisuseError("broker.state-file", f"{_SIGNING} is of the wrong kind", expected="an EC key on P-256")
    return key
