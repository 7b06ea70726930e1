"""A model in memory: one sealed memfd a file, handed out only when every chunk of every file is authentic."""

import errno
import fcntl
import hashlib
import logging
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Self

from sealroom.errors import MisuseError, UnverifiedError
from sealroom.sealed.format import digest_text
from sealroom.sealed.keys import ModelKey, PackageKeys
from sealroom.sealed.manifest import Manifest
from sealroom.sealed.stores.files import pread_exactly, system_errors
from sealroom.sealed.stores.package import SealedPackage
from sealroom.sealed.stores.unsealing import Progress, unseal_into

__all__ = ["SEALS", "ModelMemory", "UnsealedModel", "reserve", "unseal", "verify_digests"]

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


class ModelMemory:
    """Memory for the files of one package, empty. Close it, or let `unseal` fill it and hand it on."""

    def __init__(self, manifest: Manifest) -> None:
        self.package_digest = manifest.package_digest
        self._files: dict[str, int] = {}
        try:
            for index, entry in enumerate(manifest.files):
                with system_errors(_DOING, entry.path):
                    self._files[entry.path] = _create(f"sealroom-{index:05d}")
                    os.ftruncate(self._files[entry.path], entry.size)
        except BaseException:
            self.close()
            raise

    @property
    def descriptors(self) -> list[int]:
        """In the order of the manifest."""
        return list(self._files.values())

    def fault_in(self, manifest: Manifest) -> None:
        """Take every page from the system now."""
        for entry in manifest.files:
            if entry.size:
                with system_errors(_DOING, entry.path):
                    os.posix_fallocate(self._files[entry.path], 0, entry.size)

    def sealed(self) -> Mapping[str, int]:
        """Seal every file and give the descriptors away."""
        for path, fd in self._files.items():
            with system_errors(_DOING, path):
                fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
        files, self._files = self._files, {}
        return files

    def close(self) -> None:
        """Give the memory back, unless it was given away."""
        while self._files:
            os.close(self._files.popitem()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def reserve(package: SealedPackage) -> ModelMemory:
    """Take the memory that `unseal` will fill, before there is a key: taking pages is half of unsealing's time.

    Raises:
        UnavailableError: memory or descriptors are short.
    """
    memory = ModelMemory(package.manifest)
    try:
        memory.fault_in(package.manifest)
    except BaseException:
        memory.close()
        raise
    return memory


def unseal(
    package: SealedPackage, key: ModelKey, *, memory: ModelMemory | None = None, threads: int = 2,
    progress: Progress | None = None,
) -> UnsealedModel:  # fmt: skip
    """Bring a model into memory, and never to a disk.

    Args:
        package: as `open_package` returned it.
        key: the package's model key.
        memory: what `reserve` took for this package; it is used up, whatever comes of it.
        threads: how many decrypt; each takes two buffers of one chunk (8 MiB).
        progress: called in this thread with bytes done and bytes in all.

    Raises:
        UnverifiedError: ``sealed.wrong-key``, or ``sealed.chunk-not-authentic`` with file, chunk and offset.
        UnavailableError: memory or descriptors are short.
    """
    manifest = package.manifest
    with memory or ModelMemory(manifest) as filled:
        if filled.package_digest != manifest.package_digest:
            raise MisuseError("sealed.other-memory", "this memory was reserved for another package")
        keys = PackageKeys.matching(key, manifest)
        unseal_into(package, keys, filled.descriptors, threads=threads, progress=progress)
        files = filled.sealed()
    _log.info("unsealed %s version %d: %d files, %d bytes", manifest.name, manifest.version, len(files),
              manifest.identity.total_size)  # fmt: skip
    return UnsealedModel(manifest, files)


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
