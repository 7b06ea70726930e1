"""Reading a sealed model from a folder, up to the point where only the key is missing (section 9, steps 1 to 4)."""

import hashlib
import stat
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

from sealroom.errors import MalformedError, RefusedError, SealroomError, UnverifiedError
from sealroom.sealed.format import (
    DATA_FOLDER,
    MANIFEST_FILE,
    MANIFEST_LIMIT,
    PARTIAL_MARK,
    SIGNATURE_FILE,
    SIGNATURE_LIMIT,
    TAG_SIZE,
    TAGS_FILE,
    WRAPS_FILE,
    WRAPS_LIMIT,
    data_name,
    digest_text,
)
from sealroom.sealed.manifest import Manifest
from sealroom.sealed.publisher import verify_manifest
from sealroom.sealed.stores.files import read_limited, system_errors
from sealroom.sealed.wraps import KbsWrap, Wrap, parse_wraps

__all__ = ["SealedPackage", "open_package"]

_MEMBERS = frozenset({MANIFEST_FILE, SIGNATURE_FILE, WRAPS_FILE, TAGS_FILE, DATA_FOLDER})
_DOING = "reading a sealed model"


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedPackage:
    """A package whose manifest is authentic and whose files have the right sizes. Nothing is decrypted yet."""

    path: Path
    manifest: Manifest
    wraps: tuple[Wrap, ...]
    publisher_pinned: bool
    """False: the publisher is whoever the package says it is, so the manifest proves nothing."""
    tags: bytes = field(repr=False)

    @property
    def model_digest(self) -> bytes:
        """What the model is, whatever it is sealed with (32 bytes)."""
        return self.manifest.model_digest

    @property
    def package_digest(self) -> bytes:
        """SHA-256 of the manifest (32 bytes)."""
        return self.manifest.package_digest

    @property
    def key_resource(self) -> str:
        """The key's path at a broker, ``models/<name>/<tag>``; raises ``sealed.no-wrap`` if no broker holds it."""
        for wrap in self.wraps:
            if isinstance(wrap, KbsWrap):
                return wrap.resource
        raise UnverifiedError("sealed.no-wrap", "no broker holds the key of this package",
                              where=str(self.path / WRAPS_FILE), got=f"{len(self.wraps)} wraps",
                              expected="one of kind kbs")  # fmt: skip

    def data_path(self, file_index: int) -> Path:
        """Where the ciphertext of a file lies."""
        return self.path / DATA_FOLDER / data_name(file_index)


def open_package(path: Path, *, publisher: bytes | None, minimum_version: int = 1) -> SealedPackage:
    """Check everything about a sealed model that can be checked without its key.

    Args:
        path: the package's folder.
        publisher: SHA-256 of the raw public key that must have signed. None is for looking only: then the manifest
            may be anybody's.
        minimum_version: versions below it are refused, authentic or not: this alone stops a rollback.

    Raises:
        MalformedError: the package is not what the format says, or incomplete.
        UnverifiedError: signature, publisher or tag table do not hold.
        RefusedError: ``sealed.version-below-minimum``.
    """
    _check_top(path)
    signature = read_limited(path / SIGNATURE_FILE, SIGNATURE_LIMIT)
    raw = read_limited(path / MANIFEST_FILE, MANIFEST_LIMIT)
    manifest = verify_manifest(raw, signature, publisher=publisher)
    _check_version(manifest, minimum_version)
    _check_data(path / DATA_FOLDER, manifest)
    return SealedPackage(
        path=path,
        manifest=manifest,
        wraps=parse_wraps(read_limited(path / WRAPS_FILE, WRAPS_LIMIT), package_digest=manifest.package_digest),
        publisher_pinned=publisher is not None,
        tags=_read_tags(path / TAGS_FILE, manifest),
    )


def _check_top(path: Path) -> None:
    found = _entries(path)
    if PARTIAL_MARK in path.name or (found and SIGNATURE_FILE not in found):
        raise MalformedError("sealed.unfinished", "this is a sealed model whose sealing did not end", where=str(path),
                             got=f"no {SIGNATURE_FILE}" if SIGNATURE_FILE not in found else f"named {path.name}",
                             hint="seal the model again; this folder can be deleted")  # fmt: skip
    _check_set(path, found, _MEMBERS)
    with system_errors(_DOING, path):
        if not stat.S_ISDIR((path / DATA_FOLDER).lstat().st_mode):
            raise _not_regular(path / DATA_FOLDER, "a folder")


def _check_data(folder: Path, manifest: Manifest) -> None:
    names = {data_name(index): entry for index, entry in enumerate(manifest.files)}
    _check_set(folder, _entries(folder), names.keys())
    for name, entry in names.items():
        with system_errors(_DOING, folder / name):
            status = (folder / name).lstat()
        if not stat.S_ISREG(status.st_mode):
            raise _not_regular(folder / name, "a regular file")
        if status.st_size != entry.size:
            raise _wrong_size(f"{folder / name} ({entry.path})", status.st_size, entry.size)


def _entries(folder: Path) -> AbstractSet[str]:
    with system_errors(_DOING, folder):
        return {entry.name for entry in folder.iterdir()}


def _check_set(folder: Path, found: AbstractSet[str], wanted: AbstractSet[str]) -> None:
    if missing := sorted(wanted - found):
        raise MalformedError("sealed.missing-file", "the package lacks a file", where=str(folder / missing[0]),
                             got=f"{len(missing)} missing", hint="fetch the package again")  # fmt: skip
    if extra := sorted(found - wanted):
        raise MalformedError("sealed.unexpected-file", "the package holds a file that does not belong to it",
                             where=f"{folder}/{ascii(extra[0])[1:-1]}", got=f"{len(extra)} unexpected",
                             hint="fetch the package again, or delete what was added")  # fmt: skip


def _check_version(manifest: Manifest, minimum_version: int) -> None:
    if manifest.version < minimum_version:
        raise RefusedError(
            "sealed.version-below-minimum",
            "the package is authentic, and an older version than allowed",
            where=manifest.name,
            got=f"version {manifest.version}",
            expected=f"at least version {minimum_version}",
            hint="fetch the current version; somebody may be rolling the model back",
        )


def _read_tags(path: Path, manifest: Manifest) -> bytes:
    size = manifest.identity.total_chunks * TAG_SIZE
    tags = read_limited(path, size)
    digest = hashlib.sha256(tags).digest()
    if len(tags) != size or digest != manifest.tag_table:
        raise UnverifiedError("sealed.tag-table", "the table of tags is not the one that the publisher signed",
                              where=str(path), got=f"{digest_text(digest)} over {len(tags)} bytes",
                              expected=f"{digest_text(manifest.tag_table)} over {size} bytes",
                              hint="fetch the package again from its publisher")  # fmt: skip
    return tags


def _wrong_size(where: str, got: int, expected: int) -> SealroomError:
    code, what = ("truncated", "shorter") if got < expected else ("oversized", "longer")
    return MalformedError(
        f"sealed.{code}-file",
        f"a data file is {what} than the manifest says",
        where=where,
        got=f"{got} bytes",
        expected=f"{expected} bytes",
        hint="fetch the package again",
    )


def _not_regular(path: Path, expected: str) -> MalformedError:
    return MalformedError("sealed.not-a-regular-file", "something in the package is not what it should be",
                          where=str(path), got="a link, a folder or a device", expected=expected)  # fmt: skip
