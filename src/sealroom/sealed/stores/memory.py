"""A model in memory: one sealed memfd a file, handed out only when every chunk of every file is authentic."""

import errno
import fcntl
import hashlib
import logging
import os
from collections.abc import Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import Self

from sealroom.errors import UnverifiedError
from sealroom.sealed.format import digest_text
from sealroom.sealed.keys import ModelKey, PackageKeys
from sealroom.sealed.manifest import FileEntry, Manifest
from sealroom.sealed.stores.files import pread_exactly, system_errors
from sealroom.sealed.stores.package import SealedPackage
from sealroom.sealed.stores.unsealing import Progress, unseal_into

__all__ = ["SEALS", "UnsealedModel", "unseal", "verify_digests"]

_log = logging.getLogger("sealroom.sealed")

SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
"""The content can not change any more, whoever holds the descriptor."""

_MFD_NOEXEC_SEAL = 0x8  # Linux 6.3: the content can never be executed either; os does not name it yet
_DOING = "unsealing a model into memory"


class UnsealedModel:
    """Plaintext of a model in sealed memfds. Close it when the engine holds its own descriptors."""

    def __init__(self, manifest: Manifest, files: Mapping[str, int]) -> None:
        self._manifest = manifest
        self._files = dict(files)

    @property
    def files(self) -> Mapping[str, int]:
        """Descriptor by path. They are close-on-exec: pass them with ``pass_fds``."""
        return MappingProxyType(self._files)

    @property
    def manifest(self) -> Manifest:
        """What the publisher signed about these files."""
        return self._manifest

    @property
    def model_digest(self) -> bytes:
        """What the model is (32 bytes)."""
        return self._manifest.model_digest

    @property
    def package_digest(self) -> bytes:
        """Which package it came from (32 bytes)."""
        return self._manifest.package_digest

    def close(self) -> None:
        """Close every descriptor; the memory is freed when the last holder has. May be called twice."""
        while self._files:
            os.close(self._files.popitem()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def unseal(
    package: SealedPackage, key: ModelKey, *, threads: int = 2, progress: Progress | None = None
) -> UnsealedModel:
    """Bring a model into memory, and never to a disk.

    Args:
        package: as `open_package` returned it.
        key: the package's model key.
        threads: how many decrypt; each takes two buffers of one chunk (8 MiB).
        progress: called in this thread with bytes done and bytes in all.

    Raises:
        UnverifiedError: ``sealed.wrong-key``, or ``sealed.chunk-not-authentic`` with file, chunk and offset.
        UnavailableError: memory or descriptors are short.
    """
    manifest = package.manifest
    keys = PackageKeys.matching(key, manifest)
    with ExitStack() as opened:
        files = {entry.path: _memfd(entry, index, opened) for index, entry in enumerate(manifest.files)}
        unseal_into(package, keys, list(files.values()), threads=threads, progress=progress)
        for path, fd in files.items():
            with system_errors(_DOING, path):
                fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
        opened.pop_all()
    _log.info("unsealed %s version %d: %d files, %d bytes", manifest.name, manifest.version, len(files),
              manifest.identity.total_size)  # fmt: skip
    return UnsealedModel(manifest, files)


def _memfd(entry: FileEntry, index: int, opened: ExitStack) -> int:
    with system_errors(_DOING, entry.path):
        fd = _create(f"sealroom-{index:05d}")
        opened.callback(os.close, fd)
        os.ftruncate(fd, entry.size)
    return fd


def _create(name: str) -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create(name, flags | _MFD_NOEXEC_SEAL)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    return os.memfd_create(name, flags)


def verify_digests(model: UnsealedModel) -> None:
    """Hash the plaintext again and compare with the manifest: for who need not trust its signer (section 6.1)."""
    buffer = memoryview(bytearray(1 << 20))
    for entry in model.manifest.files:
        digest = hashlib.sha256()
        with system_errors("hashing a model in memory", entry.path):
            for offset in range(0, entry.size, len(buffer)):
                digest.update(buffer[: pread_exactly(model.files[entry.path], buffer, offset)])
        if digest.digest() != entry.sha256:
            raise UnverifiedError("sealed.digest-mismatch", "a file is not the one that the publisher signed",
                                  where=entry.path, got=digest_text(digest.digest()),
                                  expected=digest_text(entry.sha256))  # fmt: skip
