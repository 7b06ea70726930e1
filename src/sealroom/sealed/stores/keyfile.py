"""A model key in a file of its own (section 10), readable by its owner alone and never overwritten."""

import os
from pathlib import Path

from sealroom.errors import MisuseError
from sealroom.sealed.keys import ModelKey, encode_key_file, parse_key_file
from sealroom.sealed.stores.files import read_limited, sync_folder, system_errors, write_new

__all__ = ["read_key_file", "refuse_existing_key_file", "write_key_file"]

_LIMIT = 4096


def write_key_file(path: Path, key: ModelKey, *, package_digest: bytes) -> None:
    """Write a key to a new file with mode 0600, and flush it to the disk."""
    refuse_existing_key_file(path)
    with system_errors("writing the key file", path):
        write_new(path, encode_key_file(key, package_digest), mode=0o600)
        sync_folder(path.parent)


def refuse_existing_key_file(path: Path) -> None:
    """Raise ``sealed.key-file-exists`` if something is at ``path``: a key that is overwritten is a model lost."""
    if os.path.lexists(path):
        raise MisuseError("sealed.key-file-exists", "the key file exists and is not overwritten", where=str(path),
                          hint="choose another name: the file may hold the only key of a package")  # fmt: skip


def read_key_file(path: Path, *, package_digest: bytes) -> ModelKey:
    """The key in a key file, if it is for this package."""
    return parse_key_file(read_limited(path, _LIMIT), package_digest=package_digest, where=str(path))
