"""Collateral on disk, by what it is for and until when it holds.

Whatever is read from here is as untrusted as if it had just been fetched. An entry that is damaged is not there; one
past its end is not served, so that a service that can not be reached never makes old collateral new.
"""

import contextlib
import os
import re
import tempfile
from datetime import datetime
from pathlib import Path

from sealroom.collateral.archive import MAX_ARCHIVE, CollateralArchive, read_archive
from sealroom.errors import MalformedError, MisuseError, UnavailableError

__all__ = ["CollateralCache"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}\Z")
_SUFFIX = ".collateral"


class CollateralCache:
    """A folder of archives, readable by its owner alone.

    Args:
        folder: made when first written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str, at: datetime) -> CollateralArchive | None:
        """What is kept under ``name`` and still holds at ``at``; None if nothing does."""
        try:
            with self._path(name).open("rb") as file:
                archive = read_archive(file.read(MAX_ARCHIVE + 1))
        except (OSError, MalformedError):
            return None
        if archive.subject != name or (archive.holds_until is not None and at > archive.holds_until):
            return None
        return archive

    def put(self, archive: CollateralArchive) -> None:
        """Keep ``archive`` under its subject, whole or not at all.

        Raises:
            UnavailableError: ``collateral.cache``: it can not be written.
        """
        path = self._path(archive.subject)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, part = tempfile.mkstemp(dir=self._folder, suffix=".part")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(archive.encode())
                    file.flush()
                    os.fsync(file.fileno())
                Path(part).replace(path)
            except BaseException:
                with contextlib.suppress(OSError):
                    Path(part).unlink()
                raise
        except OSError as reason:
            raise UnavailableError("collateral.cache", "the collateral can not be kept", where=str(path),
                                   got=reason.strerror) from None  # fmt: skip

    def _path(self, name: str) -> Path:
        if not _NAME.match(name):
            raise MisuseError("collateral.cache-name", "a name that can be no file's", got=name[:100])
        return self._folder / f"{name}{_SUFFIX}"
