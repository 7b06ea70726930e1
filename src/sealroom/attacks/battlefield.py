"""An embedded system made ready to be attacked, with what its enemies would have collected over time."""

import secrets
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from sealroom.broker.admin_client import register_key
from sealroom.broker.registration import Registration
from sealroom.embedded import documents, processes
from sealroom.embedded.launch import Guest
from sealroom.embedded.system import EmbeddedSystem
from sealroom.kbs.messages import ResourceId
from sealroom.sealed.stores import SealedModelInfo, seal_model
from sealroom.testing.snp_guest import Launch

__all__ = ["Battlefield", "prepare"]

_OTHER_MODEL = "a-model-of-somebody-else"


@dataclass(kw_only=True)
class Battlefield:
    """Satisfies `sealroom.attacks.attack.Target`."""

    system: EmbeddedSystem
    current: SealedModelInfo
    older_package: Path
    other_resource: str
    _numbers: "count[int]" = field(default_factory=count)

    @property
    def room_url(self) -> str:
        """The room's address."""
        return self.system.room_url

    @property
    def policy_file(self) -> Path:
        """The honest caller's policy."""
        return self.system.policy_file

    @property
    def model_name(self) -> str:
        """The model that the room serves."""
        return self.system.sealed.name

    @property
    def guest(self) -> Guest:
        """The honest guest."""
        honest = self.system.guest
        launch = Launch(measurement=honest.launched.measurement, host_data=honest.launched.init_data)
        return Guest(platform=honest.hardware.platform, launch=launch)

    @property
    def package(self) -> Path:
        """The sealed model, as the storage holds it."""
        return self.current.path

    async def launch_room(
        self, *, guest: Guest | None = None, package: Path | None = None, resource: str | None = None
    ) -> None:
        """Boot one more room, with ``sealroom serve`` in a process of its own; raise what it ends with."""
        folder = self.system.state.folder / f"enemy-{next(self._numbers)}"
        (guest or self.guest).save(folder)
        config = folder / "room.toml"
        config.write_text(self._config(package or self.package, resource))
        words = ("serve", "--config", str(config), "--insecure-simulated", str(folder), "--json")
        child = await processes.start("enemy's room", words, log=folder / "log")
        try:
            await child.ready()
        finally:
            await child.stop()

    def _config(self, package: Path, resource: str | None) -> str:
        """The operator writes what he likes: no minimum version, any resource."""
        own = self.system.sealed.resource if package == self.older_package else self.current.resource
        return documents.room_config(
            package=str(package),
            publisher=self.system.publisher.digest,
            minimum_version=1,
            broker=self.system.broker.url,
            resource=resource or own,
            init_data_file=str(self.system.state.init_data),
        )


def prepare(system: EmbeddedSystem, source: Path) -> Battlefield:
    """Publish a newer version of the model, as its owner would, and another owner's model beside it.

    The package that the running room serves thereby becomes the older one.
    """
    policy = documents.release_policy(system.guest.machine(), model_name=system.sealed.name)
    version = system.sealed.version + 1
    current = seal_model(
        source,
        system.state.models / f"{system.sealed.name}-v{version}-newer",
        name=system.sealed.name,
        version=version,
        publisher=system.publisher,
        keep_key=lambda made: system.broker.register(made, policy),
    )
    return Battlefield(
        system=system,
        current=current,
        older_package=Path(system.sealed.folder),
        other_resource=_register_other_model(system),
    )


def _register_other_model(system: EmbeddedSystem) -> str:
    resource = ResourceId.parse(f"models/{_OTHER_MODEL}/v1")
    registration = Registration(
        resource=resource,
        key=secrets.token_bytes(32),
        policy=documents.release_policy(system.guest.machine(), model_name=_OTHER_MODEL),
        model_name=_OTHER_MODEL,
        model_version=1,
    )
    register_key(system.broker.url, system.broker.admin_token, registration)
    return str(resource)
