"""A room that fetches its own collateral from simulated vendors, on silicon that gives nothing but evidence."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sealroom.collateral.fetch.transport import OneRound
from sealroom.policy import load_policy
from sealroom.room.collateral_fetch import VendorsWord
from sealroom.room.collateral_service import CollateralKeeper
from sealroom.room.collateral_settings import FetchSettings
from sealroom.room.evidence_service import Hardware, HardwareEvidence
from sealroom.statement import RoomStatement
from sealroom.testing.machine_parts import CpuKind
from sealroom.testing.machine_vendors import Bare, vendors_of
from sealroom.testing.machines import Launched, SimulatedMachine, kind_named
from sealroom.testing.nvidia import GpuMachine
from sealroom.testing.vendor_service import Replies, Served
from sealroom.verifier import AttestedRoom, attest_room

LAUNCHED = Launched(measurement=b"\x3a" * 48, init_data=bytes(32))
NONCE = b"\x01" * 32
_POLICY = """\
policy = 1
name = "t"
{machine}
[model]
name = "model"
digest = ["sha256:0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d"]
[engine]
config_digest = ["sha256:0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e"]
"""


@dataclass
class Clock:
    """A clock that stands still until a test moves it."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **span: float) -> None:
        self.at += timedelta(**span)


@dataclass
class World:
    """One machine whose silicon gives nothing but evidence, and a caller's policy for it."""

    machine: SimulatedMachine
    clock: Clock

    @property
    def roots(self) -> frozenset[bytes]:
        accepted = self.machine.accepted(LAUNCHED)
        return frozenset((*accepted.roots, *accepted.device_roots))

    @property
    def hardware(self) -> Hardware:
        cpu: CpuKind = kind_named(self.machine.kind).cpu
        devices = {} if self.machine.gpus is None else self.machine.gpus.devices
        return Hardware(
            cpu=Bare(cpu.attester(self.machine.platform, LAUNCHED)),
            devices={name: Bare(device) for name, device in devices.items()},
        )

    def settings(self, address: str, **changes: Any) -> FetchSettings:
        everywhere = dict.fromkeys(("intel", "amd", "nvidia_rims", "nvidia_ocsp"), address)
        return FetchSettings(addresses=everywhere, insecure_simulated=self.roots, **changes)

    def keeper(self, address: str, *, hardware: Hardware | None = None, **changes: Any) -> CollateralKeeper:
        return CollateralKeeper(
            self.settings(address, **changes), hardware or self.hardware, clock=self.clock, jitter=lambda: 0.0,
            transport=lambda: OneRound(timeout=2.0, attempts=1), patience=5.0,
        )  # fmt: skip

    def redirect(self, keeper: CollateralKeeper, address: str) -> None:
        """Have ``keeper`` ask another service from now on, and at once."""
        keeper._word = VendorsWord(self.settings(address))
        for part in keeper._parts:
            part.due = self.clock()

    def policy(self, *more: str) -> str:
        sections = self.machine.accepted(LAUNCHED).sections()
        for line in more:
            table, _, setting = line.partition("\n")
            sections = sections.replace(table + "\n", f"{table}\n{setting}\n", 1)
        return _POLICY.format(machine=sections)

    async def bundle(self, keeper: CollateralKeeper) -> bytes:
        keeper.require(self.clock())
        silicon = HardwareEvidence(keeper.hardware, patience=20)
        try:
            return await silicon.bundle(statement(self.clock()))
        finally:
            silicon.close()

    def judge(self, bundle: bytes, *more: str) -> AttestedRoom:
        return attest_room(bundle, load_policy(self.policy(*more), source="t"), nonce=NONCE, at=self.clock())


def statement(at: datetime) -> RoomStatement:
    return RoomStatement(
        nonce=NONCE, key_configs=b"keys", model_name="model", model_version=1, model_digest=b"\x0d" * 32,
        package_digest=bytes(32), engine_name="none", engine_version="1", engine_config_digest=b"\x0e" * 32,
        sandbox_layers=(), software_version="0.1.0", created_at=at, not_after=at + timedelta(minutes=30),
    )  # fmt: skip


def world_of(kind: str, platform: Any = None, gpus: GpuMachine | None = None) -> World:
    made = kind_named(kind)
    gpus = gpus or (None if made.gpus is None else GpuMachine.preset(made.gpus))
    return World(SimulatedMachine(kind=kind, platform=platform or made.cpu.create(), gpus=gpus), Clock())


@contextmanager
def vendors(world: World) -> Iterator[Served]:
    with vendors_of(world.machine, clock=world.clock) as served:
        yield served


def codes(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> str:
    return "\n".join(record.getMessage() for record in caplog.records if record.levelno >= level)


def vendors_replies(world: World) -> Replies:
    with vendors(world) as served:
        return served.replies
