"""The model files to be sealed: found once, read once, and caught if they change in between (section 7)."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sealroom.errors import MalformedError, MisuseError, UnavailableError
from sealroom.sealed.paths import sort_key
from sealroom.sealed.stores.files import open_regular, system_errors

__all__ = ["Source", "SourceFile", "find_source"]

_DOING = "reading the model to seal"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file to seal, as it was when it was found."""

    path: str
    """Its path in the package."""
    location: Path
    status: os.stat_result

    @property
    def size(self) -> int:
        """Bytes."""
        return self.status.st_size

    @contextmanager
    def open(self) -> Iterator[int]:
        """A descriptor; the file must be the one that was found, on entry and on leaving."""
        with open_regular(self.location, _DOING) as fd:
            self._check(os.fstat(fd))
            yield fd
            self._check(os.fstat(fd))

    def _check(self, now: os.stat_result) -> None:
        if _marks(now) != _marks(self.status):
            raise self.changed()

    def changed(self) -> UnavailableError:
        """The error for a file that did not keep still."""
        return UnavailableError(
            "sealed.source-changed",
            "a file changed while it was sealed",
            where=str(self.location),
            hint="seal again when nothing writes to the model any more",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """All files to seal, in the order of the manifest."""

    root: Path
    files: tuple[SourceFile, ...]

    @property
    def total_size(self) -> int:
        """Bytes."""
        return sum(file.size for file in self.files)


def find_source(source: Path) -> Source:
    """Every file below ``source`` (or ``source`` itself), hidden ones included; anything but files and folders is
    refused.
    """
    with system_errors(_DOING, source):
        status = source.stat()  # the model itself may be named by a link; inside it a link is refused
    if stat.S_ISDIR(status.st_mode):
        files = sorted(_walk(source, ""), key=lambda file: sort_key(file.path))
    elif stat.S_ISREG(status.st_mode):
        files = [SourceFile(path=source.name, location=source.resolve(), status=status)]
    else:
        raise _not_regular(source)
    if not files:
        raise MisuseError("sealed.nothing-to-seal", "the model has no files", where=str(source))
    return Source(root=source.resolve(), files=tuple(files))


def _walk(folder: Path, prefix: str) -> Iterator[SourceFile]:
    with system_errors(_DOING, folder):
        entries = list(os.scandir(folder))
    for entry in entries:
        with system_errors(_DOING, entry.path):
            status = entry.stat(follow_symlinks=False)
        path = f"{prefix}{entry.name}"
        if stat.S_ISDIR(status.st_mode):
            yield from _walk(Path(entry.path), f"{path}/")
        elif stat.S_ISREG(status.st_mode):
            yield SourceFile(path=path, location=Path(entry.path), status=status)
        else:
            raise _not_regular(Path(entry.path))


def _marks(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _not_regular(path: Path) -> MalformedError:
    return MalformedError("sealed.not-a-regular-file", "the model holds something else than files and folders",
                          where=str(path), got="a symbolic link, device, pipe or socket", expected="a regular file",
                          hint="copy the model with its links resolved: cp -rL")  # fmt: skip
