"""What owner and operator do beforehand: find the chip, launch the guest, seal the model and register its key."""

import contextlib
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from sealroom.broker.admin_client import register_key
from sealroom.broker.registration import Registration
from sealroom.embedded.measurement import measure_package
from sealroom.errors import MalformedError, MisuseError
from sealroom.kbs.messages import ResourceId
from sealroom.sealed.publisher import PublisherKey
from sealroom.sealed.stores import SealedModelInfo, seal_model
from sealroom.testing.machine_policy import Machine
from sealroom.testing.machines import DEFAULT_KIND, Launched, SimulatedMachine
from sealroom.testing.snp import SnpPlatform
from sealroom.testing.snp_guest import Launch, save_guest

__all__ = [
    "DEMONSTRATION_MODEL",
    "Broker",
    "Guest",
    "LaunchedMachine",
    "SealedRecord",
    "find_model",
    "launched_for",
    "model_name_of",
    "publisher_key",
    "seal_for_broker",
]

DEMONSTRATION_MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
_GGUF = b"GGUF"
_QUANTISATION = re.compile(r"[.-](?:I?Q[0-9]\w*|F16|F32|BF16)$", re.IGNORECASE)
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.-]+")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchedMachine:
    """A simulated machine of any kind with a guest in it, before it runs."""

    hardware: SimulatedMachine
    launched: Launched

    @classmethod
    def on(cls, hardware: SimulatedMachine, *, init_data: str) -> Self:
        """The honest guest: this very package, launched for what ``init_data`` says."""
        return cls(hardware=hardware, launched=launched_for(hashlib.sha256(init_data.encode()).digest()))

    def machine(self) -> Machine:
        """What a policy pins to accept this guest and no weaker one."""
        return self.hardware.accepted(self.launched)

    def save(self, folder: Path) -> None:
        """Start it, as far as a room can tell."""
        self.hardware.launch(folder, self.launched)


def launched_for(init_data: bytes) -> Launched:
    """This very package, launched for the document with the digest ``init_data`` (SHA-256)."""
    return Launched(measurement=measure_package(), init_data=init_data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A guest on a simulated SNP chip of which more can be chosen: what enemies launch."""

    platform: SnpPlatform
    launch: Launch

    @classmethod
    def on(cls, platform: SnpPlatform, *, init_data: str) -> Self:
        """The honest guest: this very package, launched for what ``init_data`` says."""
        host_data = hashlib.sha256(init_data.encode()).digest()
        return cls(platform=platform, launch=Launch(measurement=measure_package(), host_data=host_data))

    @property
    def measurement(self) -> bytes:
        """48 bytes."""
        return self.launch.measurement

    def machine(self) -> Machine:
        """What a policy pins to accept this guest and no weaker one."""
        hardware = SimulatedMachine(kind=DEFAULT_KIND, platform=self.platform)
        return hardware.accepted(Launched(measurement=self.launch.measurement, init_data=self.launch.host_data))

    def save(self, folder: Path) -> None:
        """Start it, as far as a room can tell."""
        save_guest(folder, self.platform, self.launch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """A running broker, and the right to register keys with it."""

    url: str
    admin_token: str

    def register(self, info: SealedModelInfo, policy: str) -> None:
        """Hand over the key of a sealed model, to be released under ``policy``."""
        registration = Registration(
            resource=ResourceId.parse(info.resource),
            key=info.dek.secret,
            policy=policy,
            model_name=info.manifest.name,
            model_version=info.manifest.version,
        )
        register_key(self.url, self.admin_token, registration)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedRecord:
    """What is remembered of a sealed model, so that a second start need not seal it again. Nothing here is secret."""

    source: str
    """Path, size and time of the file that was sealed."""
    released_under: str
    """SHA-256 of the release policy: another machine or another version of this package asks for a new sealing."""
    name: str
    version: int
    folder: str
    resource: str
    model_digest: str

    @property
    def digest(self) -> bytes:
        """The model digest, 32 bytes."""
        return bytes.fromhex(self.model_digest)

    @classmethod
    def of(cls, info: SealedModelInfo, *, source: str, released_under: str) -> Self:
        """The record of what was just sealed."""
        return cls(
            source=source,
            released_under=released_under,
            name=info.manifest.name,
            version=info.manifest.version,
            folder=str(info.path),
            resource=info.resource,
            model_digest=info.model_digest.hex(),
        )

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The record in ``path``, if there is one that can be read."""
        try:
            values = json.loads(path.read_bytes())
            return cls(**values)
        except (OSError, ValueError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Remember."""
        path.write_text(json.dumps(asdict(self), indent=1))


def find_model(named: Path | None, shipped: Path) -> Path:
    """The model to serve: ``named``, or the demonstration model in the folder ``shipped``."""
    path = named if named is not None else shipped / DEMONSTRATION_MODEL
    if path.exists():
        _require_gguf(path)
        return path
    hint = "`make install` fetches the demonstration model" if named is None else "give the path of a GGUF file"
    raise MisuseError("embedded.no-model", "there is no model here", where=str(path), hint=hint)


def _require_gguf(path: Path) -> None:
    """Told before the whole of it is sealed; what else may be wrong with it, the room says."""
    if path.is_dir():
        return
    with path.open("rb") as file:
        found = file.read(len(_GGUF))
    if found != _GGUF:
        raise MalformedError("embedded.not-gguf", "this file is no GGUF model", where=str(path),
                             got=found.hex() or "an empty file", expected=f"{_GGUF.hex()} ({_GGUF.decode()}) first",
                             )  # fmt: skip


def model_name_of(path: Path) -> str:
    """The file's name without its ending and its quantisation, in the characters that a model name may have."""
    stem = _QUANTISATION.sub("", path.stem)
    return _NOT_IN_A_NAME.sub("-", stem).strip("-.")[:100] or "model"


def publisher_key(path: Path) -> PublisherKey:
    """The publisher's key kept in ``path``; made on first use."""
    with contextlib.suppress(FileNotFoundError):
        return PublisherKey.from_pem(path.read_bytes())
    key = PublisherKey.generate()
    path.touch(mode=0o600)
    path.write_bytes(key.to_pem())
    return key


def seal_for_broker(
    source: Path,
    folder: Path,
    *,
    name: str,
    publisher: PublisherKey,
    broker: Broker,
    policy: str,
    progress: Progress | None = None,
) -> SealedRecord:
    """Seal ``source`` into ``folder`` and register its key, unless the same was done before.

    The key exists in this process until the broker has it, and nowhere else: a package whose key was lost on the way
    has no signature, so no room opens it.
    """
    record_file = folder / f"{name}.json"
    before = SealedRecord.read(record_file)
    marks, policy_digest = _marks(source), hashlib.sha256(policy.encode()).hexdigest()
    if before and (before.source, before.released_under) == (marks, policy_digest) and Path(before.folder).is_dir():
        if progress:
            progress(1, 1)
        return before
    version = 1 + max((before.version if before else 0, *_versions_in(folder, name)))
    info = seal_model(
        source,
        folder / f"{name}-v{version}",
        name=name,
        version=version,
        publisher=publisher,
        keep_key=lambda made: broker.register(made, policy),
        progress=progress,
    )
    record = SealedRecord.of(info, source=marks, released_under=policy_digest)
    record.write(record_file)
    for older in set(_versions_in(folder, name)) - {version}:  # their keys are below the broker's floor from here on
        shutil.rmtree(folder / f"{name}-v{older}", ignore_errors=True)
    return record


def _versions_in(folder: Path, name: str) -> list[int]:
    """What lies there already, a package included whose record an interruption kept from being written."""
    endings = (path.name.removeprefix(f"{name}-v") for path in folder.glob(f"{name}-v*"))
    return [int(ending) for ending in endings if ending.isdecimal()]


def _marks(source: Path) -> str:
    files = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]
    marks: list[Mapping[str, object]] = []
    for path in files:
        status = path.stat()
        marks.append({"path": str(path.resolve()), "size": status.st_size, "mtime": status.st_mtime_ns})
    return hashlib.sha256(json.dumps(marks).encode()).hexdigest()
