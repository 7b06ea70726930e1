"""What a model's owner does outside a room: check a package, and (ugly on purpose) write plaintext to a disk."""

import os
import secrets
import shutil
from pathlib import Path, PurePosixPath

from sealroom.errors import MisuseError
from sealroom.sealed.format import PARTIAL_MARK
from sealroom.sealed.keys import ModelKey, PackageKeys
from sealroom.sealed.stores.files import sync_folder, system_errors
from sealroom.sealed.stores.package import SealedPackage
from sealroom.sealed.stores.unsealing import Progress, unseal_into

__all__ = ["check_every_chunk", "insecure_unseal_to_folder"]

_DOING = "writing plaintext to a folder"


def insecure_unseal_to_folder(
    package: SealedPackage, key: ModelKey, target: Path, *, threads: int = 2, progress: Progress | None = None
) -> None:
    """Write the model's plaintext into a new folder, mode 0700; it gets its name when every chunk is authentic."""
    keys = PackageKeys.matching(key, package.manifest)
    if os.path.lexists(target):
        raise MisuseError("sealed.target-exists", "something is there already", where=str(target))
    unfinished = target.with_name(f"{target.name}{PARTIAL_MARK}{secrets.token_hex(4)}")
    try:
        with system_errors(_DOING, target):
            unfinished.mkdir(mode=0o700)
            _write(unfinished, package, keys, threads, progress)
            unfinished.rename(target)
            sync_folder(target.parent)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def check_every_chunk(
    package: SealedPackage, key: ModelKey, *, threads: int = 2, progress: Progress | None = None
) -> None:
    """Authenticate the whole package and keep nothing of it."""
    keys = PackageKeys.matching(key, package.manifest)
    with system_errors("checking a sealed model", os.devnull):
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    try:
        outputs = [nowhere] * len(package.manifest.files)
        unseal_into(package, keys, outputs, threads=threads, progress=progress)
    finally:
        os.close(nowhere)


def _write(folder: Path, package: SealedPackage, keys: PackageKeys, threads: int, progress: Progress | None) -> None:
    outputs: list[int] = []
    try:
        for entry in package.manifest.files:
            # safe to join: the manifest's paths were checked (section 3.1) when it was parsed
            for parent in reversed(PurePosixPath(entry.path).parents):
                (folder / parent).mkdir(mode=0o700, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            outputs.append(os.open(folder / entry.path, flags, 0o600))
        unseal_into(package, keys, outputs, threads=threads, progress=progress)
        for fd in outputs:
            os.fsync(fd)
    finally:
        for fd in outputs:
            os.close(fd)
