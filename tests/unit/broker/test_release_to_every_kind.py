"""The key goes to a guest of every kind of machine whose evidence meets the owner's policy, and to no other guest."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from broker_world import INIT_DATA, KEY, RESOURCE, World
from on_loopback import served

from sealroom.embedded.documents import release_policy
from sealroom.errors import RefusedError, SealroomError, UnverifiedError
from sealroom.evidence import Attester, Collateral, CollectedEvidence
from sealroom.kbs.evidence import FORMATS, name_of
from sealroom.kbs.init_data import parse_init_data
from sealroom.room.key_client import fetch_key
from sealroom.testing.machine_parts import Launched
from sealroom.testing.machines import CPUS, SimulatedMachine, guest_at, power_on

HONEST = Launched(measurement=b"\x3a" * 48, init_data=parse_init_data(INIT_DATA).digest)
kinds = pytest.mark.parametrize("kind", sorted(CPUS))


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, SimulatedMachine]:
    class Made(dict[str, SimulatedMachine]):
        def __missing__(self, kind: str) -> SimulatedMachine:
            return self.setdefault(kind, power_on(kind, tmp_path_factory.mktemp("made")))

    return Made()


async def asked(world: World, machine: SimulatedMachine, folder: Path, launched: Launched = HONEST) -> bytes:
    """The key of a model whose owner accepts the honest guest, as the guest ``launched`` gets it."""
    machine.launch(folder, launched)
    return await asked_by(world, machine, guest_at(folder).cpu)


async def asked_by(world: World, machine: SimulatedMachine, attester: Attester) -> bytes:
    policy = release_policy(machine.accepted(HONEST), model_name="smollm2")
    world.admin.register(world.registration(policy=policy))
    async with served(world.transport()) as url:
        return await fetch_key(url, RESOURCE, attester, init_data=INIT_DATA)


@kinds
async def test_the_honest_guest_gets_the_key(
    world: World, machines: Mapping[str, SimulatedMachine], tmp_path: Path, kind: str
) -> None:
    assert await asked(world, machines[kind], tmp_path / "m") == KEY
    grant = world.events()[-1]
    assert (grant["event"], grant["tee"]) == ("granted", guest_at(tmp_path / "m").cpu.tee.value)
    assert grant["measurement"], "the record says which software got the key"


@kinds
async def test_another_image_does_not(
    world: World, machines: Mapping[str, SimulatedMachine], tmp_path: Path, kind: str
) -> None:
    with pytest.raises(RefusedError):
        await asked(world, machines[kind], tmp_path / "m", replace(HONEST, measurement=b"\x3b" * 48))


@kinds
async def test_nor_does_one_that_was_launched_for_something_else(
    world: World, machines: Mapping[str, SimulatedMachine], tmp_path: Path, kind: str
) -> None:
    with pytest.raises(SealroomError) as caught:
        await asked(world, machines[kind], tmp_path / "m", replace(HONEST, init_data=bytes(32)))
    assert caught.value.code == "binding.init-data"


class Changed:
    """A guest that lies on the wire."""

    simulated = True

    def __init__(self, behind: Attester, *, raw: bool = False, no_collateral: bool = False) -> None:
        self._behind, self._raw, self._none = behind, raw, no_collateral
        self.tee, self.inner = behind.tee, getattr(behind, "inner", None)

    def collect(self, report_data: bytes) -> CollectedEvidence:
        collected = self._behind.collect(bytes(len(report_data)) if self._raw else report_data)
        return replace(collected, collateral=Collateral(items={})) if self._none else collected


@kinds
async def test_nor_one_whose_evidence_was_made_for_another_key(
    world: World, machines: Mapping[str, SimulatedMachine], tmp_path: Path, kind: str
) -> None:
    machines[kind].launch(tmp_path / "m", HONEST)
    with pytest.raises((RefusedError, UnverifiedError)) as caught:
        await asked_by(world, machines[kind], Changed(guest_at(tmp_path / "m").cpu, raw=True))
    assert caught.value.code == "binding.report-data"


@pytest.mark.parametrize("kind", ["tpm", "cca"])
async def test_a_device_whose_key_the_owner_has_enrolled_gets_the_key(
    world: World, machines: Mapping[str, SimulatedMachine], tmp_path: Path, kind: str
) -> None:
    """No vendor's root stands above it, and none of a simulation's."""
    machines[kind].launch(tmp_path / "m", HONEST)
    simulated = release_policy(machines[kind].accepted(HONEST), model_name="smollm2")
    world.admin.register(world.registration(policy=simulated.replace("insecure_simulated", "device_keys")))
    async with served(world.transport()) as url:
        assert await fetch_key(url, RESOURCE, guest_at(tmp_path / "m").cpu, init_data=INIT_DATA) == KEY
    assert world.events()[-1]["simulated"] is False


async def test_without_what_verification_needs_there_is_no_key(
    world: World, machines: Mapping[str, SimulatedMachine], tmp_path: Path
) -> None:
    machines["tdx"].launch(tmp_path / "m", HONEST)
    with pytest.raises((RefusedError, UnverifiedError)) as caught:
        await asked_by(world, machines["tdx"], Changed(guest_at(tmp_path / "m").cpu, no_collateral=True))
    assert caught.value.code == "collateral.missing"


@kinds
def test_every_kind_has_a_name_in_the_protocol(
    machines: Mapping[str, SimulatedMachine], tmp_path: Path, kind: str
) -> None:
    machines[kind].launch(tmp_path / "m", HONEST)
    attester = guest_at(tmp_path / "m").cpu
    assert FORMATS[name_of(attester)].tee is attester.tee
