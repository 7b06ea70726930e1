"""Opening, reading and writing exactly, with the system's errors told in our own words."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sealroom.errors import MalformedError, MisuseError, SealroomError, UnavailableError

__all__ = [
    "open_regular",
    "pread_exactly",
    "pwrite_exactly",
    "read_limited",
    "sync_folder",
    "system_errors",
    "write_new",
]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_FDS = frozenset({errno.EMFILE, errno.ENFILE})
_NO_ACCESS = frozenset({errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR})


@contextmanager
def system_errors(doing: str, where: Path | str) -> Iterator[None]:
    """Turn every `OSError` inside into one of ours; ``doing`` is a phrase such as ``reading the source``."""
    try:
        yield
    except OSError as error:
        raise _told(error, doing, str(where)) from None


def _told(error: OSError, doing: str, where: str) -> SealroomError:
    got = error.strerror or type(error).__name__
    if error.errno in _FULL:
        return UnavailableError("sealed.disk-full", f"no room is left while {doing}", where=where, got=got,
                                hint="make room, or choose another place")  # fmt: skip
    if error.errno in _NO_FDS:
        return UnavailableError(
            "sealed.too-many-open-files",
            f"the limit of open files is reached while {doing}",
            where=where,
            got=got,
            hint="raise it (ulimit -n): each file of a model takes one",
        )
    if error.errno == errno.ENOMEM:
        return UnavailableError("sealed.out-of-memory", f"memory is short while {doing}", where=where, got=got)
    if error.errno == errno.ELOOP:
        return MalformedError("sealed.not-a-regular-file", f"a symbolic link stands in the way while {doing}",
                              where=where, got="a symbolic link", expected="a regular file")  # fmt: skip
    if error.errno in _NO_ACCESS:
        return MisuseError("sealed.no-access", f"a file can not be used while {doing}", where=where, got=got)
    return UnavailableError("sealed.io-error", f"the system reports an error while {doing}", where=where, got=got)


@contextmanager
def open_regular(path: Path, doing: str) -> Iterator[int]:
    """A read-only descriptor of a regular file, never through a symbolic link, never blocking on a pipe."""
    with system_errors(doing, path):
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise MalformedError("sealed.not-a-regular-file", f"something else than a file is found while {doing}",
                                 where=str(path), expected="a regular file")  # fmt: skip
        yield fd
    finally:
        os.close(fd)


def read_limited(path: Path, limit: int) -> bytes:
    """The whole of a small file; one of more than ``limit`` bytes is refused unread."""
    doing = "reading a sealed model"
    with open_regular(path, doing) as fd, system_errors(doing, path):
        size = os.fstat(fd).st_size
        if size > limit:
            raise MalformedError("sealed.too-large", "a file of the package is larger than its format allows",
                                 where=str(path), got=f"{size} bytes", expected=f"at most {limit} bytes")  # fmt: skip
        content = bytearray(size)
        read = pread_exactly(fd, memoryview(content), 0)
    return bytes(content[:read])


def pread_exactly(fd: int, buffer: memoryview, offset: int) -> int:
    """Fill ``buffer`` from ``offset``; returns the bytes read, fewer only at the end of the file."""
    done = 0
    while done < len(buffer):
        count = os.preadv(fd, [buffer[done:]], offset + done)
        if count == 0:
            break
        done += count
    return done


def pwrite_exactly(fd: int, buffer: memoryview, offset: int) -> None:
    """Write all of ``buffer`` at ``offset``."""
    done = 0
    while done < len(buffer):
        done += os.pwrite(fd, buffer[done:], offset + done)


def write_new(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write a file that must not exist yet, and flush it to the disk."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        pwrite_exactly(fd, memoryview(content), 0)
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_folder(path: Path) -> None:
    """Flush a folder's entries to the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
