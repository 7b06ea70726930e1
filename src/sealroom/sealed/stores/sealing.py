"""Model files to a sealed model: hashed while they are encrypted, and visible under their name only when whole.

The order of section 7 is what makes a crash harmless: data, then the key into safe hands, then the signature, then
the name.
"""

import hashlib
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sealroom.errors import MalformedError, MisuseError, SealroomError, UnavailableError
from sealroom.sealed.format import (
    DATA_FOLDER,
    DEFAULT_CHUNK_SIZE,
    MANIFEST_FILE,
    MANIFEST_LIMIT,
    PARTIAL_MARK,
    SIGNATURE_FILE,
    TAG_SIZE,
    TAGS_FILE,
    WRAPS_FILE,
    ChunkPlace,
    chunks_of,
    data_name,
)
from sealroom.sealed.keys import ModelKey, PackageKeys
from sealroom.sealed.manifest import FileEntry, Identity, Manifest, check_label
from sealroom.sealed.publisher import PublisherKey
from sealroom.sealed.sealing import ChunkSealer
from sealroom.sealed.stores.files import pread_exactly, pwrite_exactly, sync_folder, system_errors, write_new
from sealroom.sealed.stores.source import Source, SourceFile, find_source
from sealroom.sealed.stores.unsealing import Progress
from sealroom.sealed.wraps import HeldByBroker, Recipient, broker_tag, encode_wraps

__all__ = ["SealedModelInfo", "seal_model"]

_log = logging.getLogger("sealroom.sealed")
_DOING = "writing the sealed model"


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedModelInfo:
    """What sealing made. `dek` is the only secret, and redacts itself."""

    path: Path
    manifest: Manifest
    dek: ModelKey

    @property
    def model_digest(self) -> bytes:
        """What the model is, whatever it is sealed with (32 bytes)."""
        return self.manifest.model_digest

    @property
    def package_digest(self) -> bytes:
        """SHA-256 of the manifest (32 bytes)."""
        return self.manifest.package_digest

    @property
    def resource(self) -> str:
        """The key's path at a broker: ``models/<name>/<tag>``."""
        return f"models/{self.manifest.name}/{broker_tag(self.manifest.version, self.manifest.package_id)}"

    @property
    def key_id(self) -> str:
        """The key's URI: ``kbs:///models/<name>/<tag>``."""
        return f"kbs:///{self.resource}"


KeepKey = Callable[[SealedModelInfo], None]
"""Puts the key into safe hands and returns when it is there; whatever it raises undoes the sealing."""


def seal_model(  # noqa: PLR0913  each is a word of the command line
    source: Path,
    target: Path,
    *,
    name: str,
    version: int,
    publisher: PublisherKey,
    recipients: Sequence[Recipient] = (HeldByBroker(),),
    keep_key: KeepKey | None = None,
    progress: Progress | None = None,
    chunk_size: int = DEFAULT_CHUNK_SIZE,
) -> SealedModelInfo:
    """Seal a model under a new random key.

    Args:
        source: a folder, or one file.
        target: where the package shall appear; must not exist, its parent must.
        name: model name, a path segment of the KBS protocol.
        version: higher than that of every package of this name before.
        publisher: who signs.
        recipients: whom the key is wrapped for.
        keep_key: called when all data is on the disk and before the package can be opened. Without it the caller has
            to keep `SealedModelInfo.dek` and a crash on the way loses the package (not the source).
        progress: called in this thread with bytes done and bytes in all.
        chunk_size: bytes per chunk.

    Raises:
        MisuseError: ``sealed.target-exists``, ``sealed.nothing-to-seal``, a bad name or version.
        MalformedError: the source holds links, or paths that a package may not carry.
        UnavailableError: ``sealed.disk-full``, ``sealed.source-changed``. Whatever was written is removed.
    """
    check_label(name, version)
    found = find_source(source)
    identity = _identity(found, name=name, version=version, chunk_size=chunk_size)
    _check_target(target, found)
    dek = ModelKey.generate()
    with _unfinished(target) as folder:
        manifest = _write_data(folder, found, PackageKeys(dek, identity), publisher, progress)
        wraps = [recipient.wrap(dek, manifest) for recipient in recipients]
        info = SealedModelInfo(path=target, manifest=manifest, dek=dek)
        write_new(folder / WRAPS_FILE, encode_wraps(wraps, manifest.package_digest))
        write_new(folder / MANIFEST_FILE, _encode(manifest))
        sync_folder(folder)
        if keep_key is not None:
            keep_key(info)
        write_new(folder / SIGNATURE_FILE, publisher.sign(manifest.encode()))
        _give_name(folder, target)
    _log.info("sealed %s version %d: %d files, %d bytes", name, version, len(found.files), found.total_size)
    return info


def _identity(source: Source, *, name: str, version: int, chunk_size: int) -> Identity:
    """A new package's identity: drawn once, and never for other files."""
    identity = Identity(
        name=name,
        version=version,
        package_id=secrets.token_bytes(32),
        chunk_size=chunk_size,
        files=tuple((file.path, file.size) for file in source.files),
    )
    identity.check()
    return identity


def _encode(manifest: Manifest) -> bytes:
    raw = manifest.encode()
    if len(raw) > MANIFEST_LIMIT:
        raise MalformedError("sealed.too-large", "the list of files is larger than the format allows",
                             got=f"{len(raw)} bytes", expected=f"at most {MANIFEST_LIMIT} bytes",
                             hint="seal fewer files, or shorter paths")  # fmt: skip
    return raw


def _check_target(target: Path, source: Source) -> None:
    if PARTIAL_MARK in target.name or target.name in {"", "..", "."}:
        raise MisuseError("sealed.bad-target", "a sealed model can not have this name", where=str(target))
    if os.path.lexists(target):
        raise _exists(target)
    if target.resolve().is_relative_to(source.root):
        raise MisuseError("sealed.target-inside-source", "the sealed model would lie among the files to seal",
                          where=str(target), hint="choose a place beside the model")  # fmt: skip
    with system_errors(_DOING, target.parent):
        free = shutil.disk_usage(target.parent).free
    if free < source.total_size:
        raise UnavailableError("sealed.disk-full", "there is not enough room for the sealed model",
                               where=str(target.parent), got=f"{free} bytes free",
                               expected=f"{source.total_size} bytes", hint="nothing was written")  # fmt: skip


def _exists(target: Path) -> MisuseError:
    return MisuseError(
        "sealed.target-exists",
        "something is there already",
        where=str(target),
        hint="a sealed model is never overwritten: choose another place, or delete it yourself",
    )


@contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """A folder beside the target that nothing takes for a package; removed unless it was given its name."""
    folder = target.with_name(f"{target.name}{PARTIAL_MARK}{secrets.token_hex(4)}")
    try:
        with system_errors(_DOING, target):
            folder.mkdir(mode=0o755)
            (folder / DATA_FOLDER).mkdir()
            yield folder
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, SealroomError):
            error.add_note(_what_is_left(folder))
            if error.code == "sealed.disk-full":
                error.hint = f"make room, or choose another place; {_what_is_left(folder)}"
        raise


def _what_is_left(folder: Path) -> str:
    left = os.path.lexists(folder)
    return f"{folder} is left and can be deleted" if left else "everything that was written has been removed"


def _give_name(folder: Path, target: Path) -> None:
    sync_folder(folder)
    if os.path.lexists(target):
        raise _exists(target)
    folder.rename(target)
    sync_folder(target.parent)


def _write_data(
    folder: Path, source: Source, keys: PackageKeys, publisher: PublisherKey, progress: Progress | None
) -> Manifest:
    identity = keys.identity
    entries: list[FileEntry] = []
    tags = bytearray()
    with ThreadPoolExecutor(1, thread_name_prefix="seal") as encrypting:
        before = 0
        for index, file in enumerate(source.files):
            sealing = _FileSealing(keys, index, file, encrypting)
            for done in sealing.run(folder / DATA_FOLDER / data_name(index)):
                if progress is not None:
                    progress(before + done, identity.total_size)
            entries.append(sealing.entry)
            tags += sealing.tags
            before += file.size
    sync_folder(folder / DATA_FOLDER)
    write_new(folder / TAGS_FILE, bytes(tags))
    return Manifest(
        name=identity.name,
        version=identity.version,
        package_id=identity.package_id,
        chunk_size=identity.chunk_size,
        files=tuple(entries),
        key_commitment=keys.commitment,
        publisher=publisher.digest,
        tag_table=hashlib.sha256(tags).digest(),
    )


class _FileSealing:
    """One file on its way: this thread reads and hashes a chunk while the other encrypts and writes the same one."""

    def __init__(self, keys: PackageKeys, index: int, file: SourceFile, encrypting: Executor) -> None:
        self._file = file
        self._encrypting = encrypting
        self._sealer = ChunkSealer(keys, index)
        self._places = chunks_of(index, file.size, keys.identity.chunk_size, 0)
        room = min(file.size, keys.identity.chunk_size)
        self._plaintext = memoryview(bytearray(room))
        self._sealed = memoryview(bytearray(room + TAG_SIZE))
        self._hash = hashlib.sha256()
        self.tags = bytearray()

    @property
    def entry(self) -> FileEntry:
        """The manifest's line about the file, once `run` has ended."""
        return FileEntry(path=self._file.path, size=self._file.size, sha256=self._hash.digest())

    def run(self, target: Path) -> Iterator[int]:
        """Seal the file into ``target``; yields the bytes done after each chunk."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        output = os.open(target, flags, 0o644)
        try:
            with self._file.open() as fd:
                for place in self._places:
                    self._seal_chunk(fd, output, place)
                    yield place.offset + place.length
            os.fsync(output)
        finally:
            os.close(output)

    def _seal_chunk(self, fd: int, output: int, place: ChunkPlace) -> None:
        plaintext = self._plaintext[: place.length]
        with system_errors("reading the model to seal", self._file.location):
            if pread_exactly(fd, plaintext, place.offset) != place.length:
                raise self._file.changed()
        written = self._encrypting.submit(self._encrypt, output, place, plaintext)
        try:
            self._hash.update(plaintext)
            written.result()
        finally:
            wait((written,))  # interrupted or not, nobody writes to the descriptor once it is closed

    def _encrypt(self, output: int, place: ChunkPlace, plaintext: memoryview) -> None:
        sealed = self._sealed[: place.length + TAG_SIZE]
        self._sealer.seal_into(place, plaintext, sealed)
        self.tags += sealed[place.length :]
        pwrite_exactly(output, sealed[: place.length], place.offset)
