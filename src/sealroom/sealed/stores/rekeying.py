"""New ways to the same key, without touching the data: ``wraps.json`` is replaced (section 8)."""

import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from sealroom.sealed.format import PARTIAL_MARK, WRAPS_FILE
from sealroom.sealed.keys import ModelKey, PackageKeys
from sealroom.sealed.stores.files import sync_folder, system_errors, write_new
from sealroom.sealed.stores.package import SealedPackage
from sealroom.sealed.wraps import Recipient, Wrap, encode_wraps

__all__ = ["rewrap"]


def rewrap(
    package: SealedPackage, key: ModelKey, recipients: Sequence[Recipient], *, keep_others: bool
) -> tuple[Wrap, ...]:
    """Wrap the package's key for ``recipients``; returns what `wraps.json` holds then.

    Args:
        package: as `open_package` returned it.
        key: its model key; another is refused with ``sealed.wrong-key`` before anything is written.
        recipients: whom to wrap for.
        keep_others: False forgets the wraps that are there. That takes no key from who has opened one already:
            only a new version under a new key does, with the broker's minimum version raised.
    """
    manifest = package.manifest
    PackageKeys.matching(key, manifest)
    made = [recipient.wrap(key, manifest) for recipient in recipients]
    kept = [wrap for wrap in package.wraps if keep_others and wrap not in made]
    wraps = (*kept, *made)
    _replace(package.path, encode_wraps(wraps, manifest.package_digest))
    return wraps


def _replace(package: Path, content: bytes) -> None:
    # written beside the package: a crash may leave this file, and a reader refuses a package with a file too many
    unfinished = package.with_name(f"{package.name}{PARTIAL_MARK}{secrets.token_hex(4)}.wraps")
    with system_errors("replacing the key wraps", package):
        try:
            write_new(unfinished, content)
            unfinished.rename(package / WRAPS_FILE)
        except BaseException:
            if os.path.lexists(unfinished):
                unfinished.unlink()
            raise
        sync_folder(package)
