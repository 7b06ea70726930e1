"""Which file names a package may carry (section 3.1): safe to write anywhere, and no two alike anywhere."""

import unicodedata
from collections.abc import Sequence
from itertools import pairwise

from sealroom.errors import MalformedError

__all__ = ["MAX_PART_SIZE", "MAX_PATH_SIZE", "check_path", "check_paths", "sort_key"]

MAX_PATH_SIZE = 1024
MAX_PART_SIZE = 255


def sort_key(path: str) -> bytes:
    """What paths are ordered by."""
    return path.encode("utf-8", "surrogateescape")


def check_paths(paths: Sequence[str]) -> None:
    """Refuse unsafe paths, a wrong order, duplicates, and paths that collide on some file system."""
    for path in paths:
        check_path(path)
    for before, path in pairwise(paths):
        if sort_key(before) >= sort_key(path):
            raise MalformedError("sealed.path-order", "the files are not in ascending order of their paths",
                                 where=repr(path), got=f"after {before!r}")  # fmt: skip
    _check_collisions(paths)


def check_path(path: str) -> None:
    """Refuse a path that is not relative, not plain, or means different things on different machines."""
    if reason := _what_is_unsafe(path):
        raise MalformedError("sealed.unsafe-path", f"a file's path {reason}", where=ascii(path)[:200],
                             expected="a plain relative path in Unicode normalization form C",
                             hint="rename the file before sealing")  # fmt: skip


def _what_is_unsafe(path: str) -> str | None:
    try:
        size = len(path.encode("utf-8"))
    except UnicodeEncodeError:
        return "is not valid UTF-8"
    parts = path.split("/")
    rules = (
        (0 < size <= MAX_PATH_SIZE, f"has {size} bytes, outside 1 to {MAX_PATH_SIZE}"),
        (all(ord(c) >= 0x20 and c not in "\x7f\\" for c in path), "holds a control character or a backslash"),
        (unicodedata.is_normalized("NFC", path), "is not in normalization form C"),
        (not {"", ".", ".."} & set(parts), "is absolute, or has a part that is empty, . or .."),
        (all(len(part.encode()) <= MAX_PART_SIZE for part in parts), f"has a part longer than {MAX_PART_SIZE} bytes"),
    )
    return next((reason for holds, reason in rules if not holds), None)


def _check_collisions(paths: Sequence[str]) -> None:
    files: dict[str, str] = {}
    for path in paths:
        folded = path.casefold()
        if folded in files:
            raise _collision(files[folded], path)
        files[folded] = path
    for path in paths:
        parts = path.casefold().split("/")
        for depth in range(1, len(parts)):
            if (folder := "/".join(parts[:depth])) in files:
                raise _collision(files[folder], path)


def _collision(one: str, other: str) -> MalformedError:
    return MalformedError("sealed.path-collision", "two paths can not both exist on every file system",
                          where=repr(other), got=f"beside {one!r}", hint="rename one of the two files")  # fmt: skip
