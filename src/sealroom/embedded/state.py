"""Where an embedded system keeps its things between runs, and the lock that keeps two of them apart."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

from sealroom.errors import MisuseError, UnavailableError
from sealroom.testing.machines import DEFAULT_KIND

__all__ = ["State", "default_state_folder"]


def default_state_folder() -> Path:
    """``$SEALROOM_STATE``, else ``sealroom`` in the XDG state folder."""
    if named := os.environ.get("SEALROOM_STATE"):
        return Path(named)
    if base := os.environ.get("XDG_STATE_HOME"):
        return Path(base) / "sealroom"
    try:
        return Path.home() / ".local" / "state" / "sealroom"
    except RuntimeError:
        raise MisuseError("embedded.no-home", "this user has no home folder, so the state has no place",
                          hint="--state DIR or SEALROOM_STATE names one") from None  # fmt: skip


@dataclass(frozen=True, slots=True)
class State:
    """The folder of one embedded system; every path in it has a name here."""

    folder: Path
    """Absolute, whatever it was given as: documents in it name others in it, and are read from there."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", self.folder.absolute())

    def guest(self, kind: str) -> Path:
        """The simulated machine of ``kind`` with the room's guest launched on it."""
        return self.folder / ("guest" if kind == DEFAULT_KIND else f"guest-{kind}")

    @property
    def publisher_key(self) -> Path:
        """The model publisher's signing key."""
        return self.folder / "publisher.key"

    @property
    def models(self) -> Path:
        """Sealed models."""
        return self.folder / "models"

    @property
    def broker(self) -> Path:
        """The broker's database and keys."""
        return self.folder / "broker"

    @property
    def init_data(self) -> Path:
        """The document that the guest's evidence binds."""
        return self.folder / "init-data.toml"

    @property
    def room_config(self) -> Path:
        """The configuration of the room."""
        return self.folder / "room.toml"

    @property
    def release_policy(self) -> Path:
        """What the model owner demands of a machine before the key is released."""
        return self.folder / "release-policy.toml"

    @property
    def room_policy(self) -> Path:
        """What the caller demands of a room before a prompt is sent."""
        return self.folder / "room-policy.toml"

    @property
    def endpoint(self) -> Path:
        """Written while the system runs: where it listens."""
        return self.folder / "up.json"

    def log(self, name: str) -> Path:
        """Where the child called ``name`` talks."""
        logs = self.folder / "logs"
        logs.mkdir(exist_ok=True)
        return logs / f"{name}.log"

    def _lock_file(self) -> TextIOWrapper:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return (self.folder / "lock").open("w")
        except OSError as error:
            raise UnavailableError("embedded.state-folder", "the state folder can not be used",
                                   where=str(self.folder), got=error.strerror,
                                   hint="--state DIR or SEALROOM_STATE names another") from None  # fmt: skip

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder (mode 0700) and hold it for this process alone."""
        with self._lock_file() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UnavailableError(
                    "embedded.already-running",
                    "another sealroom is using this state folder",
                    where=str(self.folder),
                    hint="talk to it with `sealroom chat`, or start a second one with --state DIR and --port N",
                ) from None
            yield
