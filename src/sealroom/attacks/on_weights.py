"""Attacks on the weights: the storage changes, reorders or rolls back what it holds. It has no key."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from sealroom.attacks.attack import Attack, Refusal, Target, refusal_of
from sealroom.errors import SealroomError
from sealroom.testing.snp import flip_bit

__all__ = ["ATTACKS"]

_CHUNK = 4 << 20


async def _one_bit(target: Target) -> Refusal | None:
    def flip(data: Path) -> None:
        with data.open("r+b") as file:
            file.seek(file.seek(0, os.SEEK_END) // 2)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(flip_bit(byte, 3))

    return await _serve_changed(target, flip)


async def _swapped_chunks(target: Target) -> Refusal | None:
    def swap(data: Path) -> None:
        with data.open("r+b") as file:
            first, second = file.read(_CHUNK), file.read(_CHUNK)
            file.seek(0)
            file.write(second + first)

    return await _serve_changed(target, swap)


async def _rollback(target: Target) -> Refusal | None:
    return await _serve(target, target.older_package)


async def _serve_changed(target: Target, change: Callable[[Path], None]) -> Refusal | None:
    with tempfile.TemporaryDirectory(prefix="sealroom-attack-", dir=target.package.parent) as scratch:
        copy = Path(scratch) / target.package.name
        shutil.copytree(target.package, copy)
        change(max((copy / "data").iterdir(), key=lambda file: file.stat().st_size))
        return await _serve(target, copy)


async def _serve(target: Target, package: Path) -> Refusal | None:
    try:
        await target.launch_room(package=package)
    except SealroomError as error:
        return refusal_of(error)
    return None


ATTACKS = (
    Attack(
        name="weights-bit",
        tried="one bit of the sealed weights flipped on disk",
        noticed_by="room",
        codes=frozenset({"sealed.chunk-not-authentic"}),
        run=_one_bit,
    ),
    Attack(
        name="weights-swapped",
        tried="two chunks of the sealed weights swapped on disk",
        noticed_by="room",
        codes=frozenset({"sealed.chunk-not-authentic"}),
        run=_swapped_chunks,
    ),
    Attack(
        name="rollback",
        tried="an authentic package of an older version put in place",
        noticed_by="broker",
        codes=frozenset({"broker.version-below-floor"}),
        run=_rollback,
    ),
)
