"""What the operator decides about a room, in one TOML document. Unknown keys are errors.

room = 1

[listen]
host = "127.0.0.1"
port = 8443                            # 0 = any free one

[model]
package = "models/smollm2"             # a sealed model; relative paths are relative to this file
publisher = "sha256:…"                 # digest of the publisher's public key
minimum_version = 1

[release]
broker = "https://kbs.example:8080"
resource = "models/smollm2/v1"
init_data = "init-data.toml"           # the document that the machine was launched for; optional
wait_seconds = 30                      # how long a broker that does not answer is asked again; optional

[release.aws_kms]                      # on Nitro, in place of broker, resource and init_data
key = "arn:aws:kms:…:key/…"
ciphertext = "smollm2.key.kms"         # the model's key file, encrypted under that key for this package
endpoint = "https://127.0.0.1:8443"    # optional; the region's own unless given

[engine]                               # optional
name = "llama.cpp"
slots = 4                              # and the other settings that `sealroom.room.engine_choice` lists

[hardware]                             # optional
tee = "gcp"                            # which evidence, where a machine has several; the silicon's own unless said
gpus = true                            # every NVIDIA GPU of this machine proves itself to callers too
collateral = "collateral"              # a folder with what goes along with evidence: `sealroom.collect`

[hardware.fetch]                       # optional; with it the room fetches what goes along by itself, and renews it
cache = "fetched"                      # and the other settings of `sealroom.room.collateral_settings.FetchSettings`

[keys]                                 # optional
rotate_hours = 12
statement_minutes = 60                 # how long a statement, and after a rotation an old key, holds

[limits]                               # optional; the fields of `sealroom.room.limits.GatewayLimits`
queue = 32
"""

import ipaddress
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealroom.errors import MalformedError
from sealroom.evidence import Tee
from sealroom.room.collateral_settings import FetchSettings
from sealroom.room.engine_choice import EngineChoice
from sealroom.room.limits import GatewayLimits

if TYPE_CHECKING:
    from sealroom.room.kms_settings import KmsSettings

__all__ = ["RoomConfig", "parse_room_config"]

_VERSION = 1
_SECTIONS = {
    "listen": {"host", "port"},
    "model": {"package", "publisher", "minimum_version"},
    "release": {"broker", "resource", "init_data", "wait_seconds", "aws_kms"},
    "hardware": {"tee", "gpus", "collateral", "fetch"},
    "keys": {"rotate_hours", "statement_minutes"},
    "limits": {limit.name for limit in fields(GatewayLimits)},
}
_REQUIRED = {"model": ("package", "publisher")}
_OF_BROKERS = ("broker", "resource", "init_data")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomConfig:
    """A room's configuration, checked. Paths are absolute, or relative to the working folder."""

    package: Path
    publisher: bytes
    """SHA-256 of the publisher's public key."""
    broker: str = ""
    resource: str = ""
    aws_kms: "KmsSettings | None" = None
    """In place of a broker, which is empty then."""
    host: str = "127.0.0.1"
    port: int = 0
    minimum_version: int = 1
    init_data: Path | None = None
    release_wait: timedelta = timedelta(seconds=30)
    tee: Tee | None = None
    """Which evidence of this machine; None: the first that it has."""
    gpus: bool = False
    collateral: Path | None = None
    fetch: FetchSettings | None = None
    """None: no connection is made for collateral."""
    engine: EngineChoice = field(default_factory=EngineChoice)
    rotate: timedelta = timedelta(hours=12)
    statement_life: timedelta = timedelta(hours=1)
    limits: GatewayLimits = field(default_factory=GatewayLimits)

    @property
    def loopback_only(self) -> bool:
        """Whether nobody but this machine can reach the room."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse_room_config(text: str, *, source: str, folder: Path) -> RoomConfig:
    """Read a configuration.

    Args:
        text: the TOML document.
        source: its name, for errors.
        folder: what relative paths are relative to.

    Raises:
        MalformedError: ``room.config``, with the key that is wrong, missing or unknown.
        MisuseError: ``room.limit``, a limit that is no limit.
    """
    read = _Reader(_document(text, source), source)
    read.check_names()
    read.check_release()
    release_init_data = read.text("release", "init_data", None)
    collateral = read.text("hardware", "collateral", None)
    fetch = read.section("hardware").get("fetch")
    engine = EngineChoice.parse(read.section("engine"), source=source)
    return RoomConfig(
        package=folder / read.required_text("model", "package"),
        publisher=read.digest("model", "publisher"),
        minimum_version=read.count("model", "minimum_version", 1, low=1),
        broker=read.required_text("release", "broker"),
        resource=read.required_text("release", "resource"),
        aws_kms=_aws_kms(read.section("release").get("aws_kms"), source, folder),
        init_data=None if release_init_data is None else folder / release_init_data,
        release_wait=timedelta(seconds=read.count("release", "wait_seconds", 30, low=0, high=3600)),
        tee=read.tee("hardware", "tee"),
        gpus=read.flag("hardware", "gpus"),
        collateral=None if collateral is None else folder / collateral,
        fetch=None if fetch is None else FetchSettings.parse(fetch, source=source, folder=folder),
        host=read.text("listen", "host", "127.0.0.1") or "",
        port=read.count("listen", "port", 0, low=0, high=65535),
        engine=engine,
        rotate=timedelta(hours=read.count("keys", "rotate_hours", 12, low=1, high=24 * 30)),
        statement_life=timedelta(minutes=read.count("keys", "statement_minutes", 60, low=5, high=60)),
        limits=GatewayLimits(**{"concurrency": engine.slots} | read.limits()),
    )


def _aws_kms(table: object, source: str, folder: Path) -> "KmsSettings | None":
    if table is None:
        return None
    from sealroom.room.kms_settings import KmsSettings  # noqa: PLC0415 - much code, and few rooms need it

    return KmsSettings.parse(table, source=source, folder=folder)


def _document(text: str, source: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise MalformedError("room.config", "the room's configuration is not TOML", where=source,
                             got=str(error)[:200]) from None  # fmt: skip


class _Reader:
    """Typed access to one document; every complaint names its key."""

    def __init__(self, document: Mapping[str, Any], source: str) -> None:
        self._document = document
        self._source = source

    def check_names(self) -> None:
        if self._document.get("room") != _VERSION or self._document.get("room") is True:
            raise self._wrong("room", self._document.get("room"), f"the version of this format: {_VERSION}")
        for section in self._document:
            if section not in {"room", "engine", *_SECTIONS}:
                raise self._wrong(section, "an unknown key", f"one of room, engine, {', '.join(sorted(_SECTIONS))}")
        for section, names in _SECTIONS.items():
            for name in self.section(section):
                if name not in names:
                    raise self._wrong(f"[{section}] {name}", "an unknown key", f"one of {', '.join(sorted(names))}")
            for name in _REQUIRED.get(section, ()):
                if name not in self.section(section):
                    raise self._wrong(f"[{section}] {name}", "nothing", "this key is required")

    def check_release(self) -> None:
        """The key comes from a broker, or from KMS: a room that knew both would take the weaker one's word."""
        given, kms = self.section("release"), "aws_kms" in self.section("release")
        for name in _OF_BROKERS:
            if kms and name in given:
                raise self._wrong(f"[release] {name}", "a broker's key beside [release.aws_kms]", "one of the two")
            if not kms and name not in given and name != "init_data":
                raise self._wrong(f"[release] {name}", "nothing", "this key is required")

    def section(self, name: str) -> Mapping[str, Any]:
        found = self._document.get(name, {})
        if not isinstance(found, dict):
            raise self._wrong(name, type(found).__name__, "a table")
        return found

    def text(self, section: str, name: str, default: str | None) -> str | None:
        value = self.section(section).get(name, default)
        if value is not None and (not isinstance(value, str) or not value):
            raise self._wrong(f"[{section}] {name}", value, "text")
        return value

    def required_text(self, section: str, name: str) -> str:
        return self.text(section, name, None) or ""

    def count(self, section: str, name: str, default: int, *, low: int, high: int = 2**53) -> int:
        value = self.section(section).get(name, default)
        if type(value) is not int or not low <= value <= high:
            raise self._wrong(f"[{section}] {name}", value, f"a whole number from {low} to {high}")
        return value

    def flag(self, section: str, name: str) -> bool:
        value = self.section(section).get(name, False)
        if not isinstance(value, bool):
            raise self._wrong(f"[{section}] {name}", value, "true or false")
        return value

    def tee(self, section: str, name: str) -> Tee | None:
        text = self.text(section, name, None)
        known = {tee.value for tee in Tee} - {Tee.NVIDIA.value}
        if text is not None and text not in known:
            raise self._wrong(f"[{section}] {name}", text, f"one of {', '.join(sorted(known))}")
        return None if text is None else Tee(text)

    def digest(self, section: str, name: str) -> bytes:
        text = self.required_text(section, name)
        try:
            value = bytes.fromhex(text.removeprefix("sha256:"))
        except ValueError:
            value = b""
        if not text.startswith("sha256:") or len(value) != 32:
            raise self._wrong(f"[{section}] {name}", text[:80], "sha256: and 64 hexadecimal digits")
        return value

    def limits(self) -> dict[str, Any]:
        given = dict(self.section("limits"))
        for name, value in given.items():
            whole = isinstance(getattr(GatewayLimits(), name), int)
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                raise self._wrong(f"[limits] {name}", value, "a whole number" if whole else "a number")
        return given

    def _wrong(self, where: str, got: object, expected: str) -> MalformedError:
        return MalformedError("room.config", "the room's configuration can not be used",
                              where=f"{self._source}: {where}", got=str(got)[:100], expected=expected)  # fmt: skip
