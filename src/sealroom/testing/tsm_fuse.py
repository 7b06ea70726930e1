"""Linux configfs-tsm as a mounted file system: a SIMULATOR in user space (FUSE), with no silicon behind it.

Closer to the kernel than a plain directory (`sealroom.testing.tsm`): the code under test makes its own system calls,
attributes appear with the entry and go with it, what is write-only can not be read, and reading ``outblob`` is what
runs the request. Needs the optional package ``mfusepy``, libfuse, ``/dev/fuse`` and the right to mount.
"""

import errno
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from sealroom.errors import UnavailableError

__all__ = ["mounted_tsm"]

_READABLE = ("outblob", "auxblob", "generation", "provider", "privlevel_floor")
_WRITABLE = ("inblob", "privlevel")
_PATIENCE = 10.0


@contextmanager
def mounted_tsm(
    mountpoint: Path,
    report: Callable[[bytes], bytes],
    *,
    provider: str,
    auxblob: bytes = b"",
    privlevel_floor: int = 0,
) -> Iterator[Path]:
    """Mount an emulated ``report`` directory at ``mountpoint`` (empty) until the block ends.

    Raises:
        UnavailableError: ``testing.no-fuse``: the package, the library, the device or the right is missing.
    """
    fuse = _library()
    operations = _operations(fuse, _Entries(report, provider, auxblob, privlevel_floor))
    failed: list[BaseException] = []

    def serve() -> None:
        try:
            fuse.FUSE(operations, str(mountpoint), foreground=True, nothreads=True, direct_io=True)
        except BaseException as reason:  # noqa: BLE001 - told to the thread that waits
            failed.append(reason)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        _wait_until_mounted(mountpoint, failed)
        yield mountpoint
    finally:
        subprocess.run(["umount", str(mountpoint)], check=False, capture_output=True)  # noqa: S603, S607
        thread.join(_PATIENCE)


class _Entries:
    """What the kernel keeps: entries, and what was written to each."""

    def __init__(self, report: Callable[[bytes], bytes], provider: str, auxblob: bytes, floor: int) -> None:
        self._report = report
        self._fixed = {
            "provider": f"{provider}\n".encode(),
            "auxblob": auxblob,
            "privlevel_floor": f"{floor}\n".encode(),
        }
        self._floor = floor
        self.entries: dict[str, dict[str, bytes]] = {}
        self.generations: dict[str, int] = {}

    def write(self, entry: str, attribute: str, content: bytes) -> None:
        if attribute == "inblob" and len(content) > 64:
            raise OSError(errno.EINVAL, "inblob")
        held = self.entries[entry]
        held[attribute] = content
        self.generations[entry] += 1

    def read(self, entry: str, attribute: str) -> bytes:
        held = self.entries[entry]
        if attribute == "generation":
            return b"%d\n" % self.generations[entry]
        if attribute != "outblob":
            return self._fixed[attribute]
        request, level = held.get("inblob", b""), held.get("privlevel", b"")
        if len(request) != 64:
            raise OSError(errno.EINVAL, "inblob")
        if level and int(level) < self._floor:
            raise OSError(errno.EINVAL, "privlevel")
        return self._report(request)


def _library() -> Any:
    try:
        import mfusepy  # noqa: PLC0415 - optional: looks for libfuse when it is imported
    except (ImportError, OSError) as reason:
        raise UnavailableError("testing.no-fuse", "file systems in user space can not be had here",
                               got=str(reason)) from None  # fmt: skip
    return mfusepy


def _operations(fuse: Any, kernel: _Entries) -> Any:
    """The file system's operations; a class made here, since its base comes with the optional package."""

    def parts(path: str) -> list[str]:
        return [part for part in path.split("/") if part]

    def guarded(action: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            try:
                return action(*arguments)
            except KeyError:
                raise fuse.FuseOSError(errno.ENOENT) from None
            except OSError as reason:
                raise fuse.FuseOSError(reason.errno) from None

        return run

    class Operations(fuse.Operations):  # type: ignore[misc]
        """One method for each call that the kernel makes."""

        use_ns = True

        def getattr(self, path: str, _handle: int | None = None) -> dict[str, int]:
            """What a path is."""
            match parts(path):
                case []:
                    return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
                case [entry] if entry in kernel.entries:
                    return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
                case [entry, name] if entry in kernel.entries and name in (*_READABLE, *_WRITABLE):
                    mode = 0o200 if name in _WRITABLE else 0o400
                    return {"st_mode": stat.S_IFREG | mode, "st_nlink": 1, "st_size": 4096}
            raise fuse.FuseOSError(errno.ENOENT)

        def readdir(self, path: str, _handle: int) -> list[str]:
            """The names in a directory."""
            names = (*_READABLE, *_WRITABLE) if parts(path) else tuple(kernel.entries)
            return [".", "..", *names]

        def mkdir(self, path: str, _mode: int) -> int:
            """Make an entry."""
            (name,) = parts(path)
            kernel.entries[name], kernel.generations[name] = {}, 0
            return 0

        def rmdir(self, path: str) -> int:
            """Remove an entry."""
            guarded(kernel.entries.pop)(parts(path)[0])
            return 0

        def open(self, _path: str, _flags: int) -> int:
            """Nothing to prepare."""
            return 0

        def truncate(self, _path: str, _length: int, _handle: int | None = None) -> int:
            """Attributes have no length to cut."""
            return 0

        def write(self, path: str, data: bytes, _offset: int, _handle: int) -> int:
            """Write an attribute."""
            guarded(kernel.write)(*parts(path), bytes(data))
            return len(data)

        def read(self, path: str, size: int, offset: int, _handle: int) -> bytes:
            """Read an attribute."""
            content: bytes = guarded(kernel.read)(*parts(path))
            return content[offset : offset + size]

    return Operations()


def _wait_until_mounted(mountpoint: Path, failed: list[BaseException]) -> None:
    end = monotonic() + _PATIENCE
    while not mountpoint.is_mount():
        if failed or monotonic() > end:
            raise UnavailableError("testing.no-fuse", "the file system can not be mounted", where=str(mountpoint),
                                   got=str(failed[0]) if failed else f"nothing in {_PATIENCE:.0f} s",
                                   hint="mounting needs /dev/fuse and root or fusermount")  # fmt: skip
        sleep(0.01)
