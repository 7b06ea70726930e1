"""Small sealed models to be kind or cruel to."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import rfc8785

from sealroom.sealed import ModelKey, PublisherKey
from sealroom.sealed.stores import SealedModelInfo, SealedPackage, UnsealedModel, open_package, seal_model, unseal

CHUNK = 64 << 10
"""The smallest chunk that the format allows, so that a model of several chunks is small."""

FILES = {
    "config.json": b'{"layers": 2}\n',
    "empty.txt": b"",
    "nested/deep/tokenizer.json": b"{}" * 500,
    "weights-1.gguf": os.urandom(3 * CHUNK + 17),
    "weights-2.gguf": os.urandom(3 * CHUNK + 17),
}

PUBLISHER = PublisherKey.generate()


@dataclass(frozen=True, kw_only=True)
class World:
    """One sealed model on disk, and all that is known about it."""

    folder: Path
    files: Mapping[str, bytes]
    info: SealedModelInfo

    @property
    def key(self) -> ModelKey:
        return self.info.dek

    def data(self, path: str) -> Path:
        index = [entry.path for entry in self.info.manifest.files].index(path)
        return self.folder / "data" / f"{index:05d}"

    def open(self, *, minimum_version: int = 1) -> SealedPackage:
        return open_package(self.folder, publisher=PUBLISHER.digest, minimum_version=minimum_version)

    def unseal(self) -> UnsealedModel:
        return unseal(self.open(), self.key)

    def edit_json(self, name: str, change: Callable[[dict], object]) -> None:
        """Change a JSON file of the package and leave it canonical."""
        document = json.loads((self.folder / name).read_bytes())
        change(document)
        (self.folder / name).write_bytes(rfc8785.dumps(document))

    def edit_manifest(self, change: Callable[[dict], object]) -> None:
        """Change the manifest and sign it again, as only the publisher could."""
        self.edit_json("manifest.json", change)
        self.sign_again()

    def sign_again(self) -> None:
        manifest = (self.folder / "manifest.json").read_bytes()
        (self.folder / "signature.json").write_bytes(PUBLISHER.sign(manifest))


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def seal(place: Path, files: Mapping[str, bytes] = FILES, *, version: int = 1, chunk_size: int = CHUNK) -> World:
    source = write_files(place / f"model-{version}", files)
    target = place / f"v{version}.sealed"
    info = seal_model(source, target, name="tiny", version=version, publisher=PUBLISHER, chunk_size=chunk_size)
    return World(folder=target, files=dict(files), info=info)


def contents(model: UnsealedModel) -> dict[str, bytes]:
    """What the descriptors hold."""
    return {path: os.pread(fd, os.fstat(fd).st_size + 1, 0) for path, fd in model.files.items()}


def flip(path: Path, offset: int) -> None:
    """Change one bit."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))


def open_descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}
