"""The boot, and the room that it makes.

1. Born: the package's signature, version and sizes are checked, beside the next two.
2. Keys: the channel's keys are made here, in this memory, and nowhere else.
3. Evidence: the silicon, its devices first, is asked for evidence that answers the broker's nonce. Meanwhile memory
   is taken for the weights, as much as the signed manifest says. A room that fetches collateral waits for it here.
4. Verification: the broker says whether it is authentic.
5. Key release: the broker's policy for this very key decides; then the key is here, or nothing is. On Nitro AWS KMS
   can stand in the broker's place, for 3 to 5.
6. Weights: opened into sealed memory; then the key is wiped.
7. Engine: started on that memory, in its sandbox. What holds it in goes into the statement. Meanwhile the weights are
   hashed: the digests in a manifest are their signer's word, and the operator chooses whose word counts here.
8. Serving: every nonce gets evidence of its own over a statement that names keys, model, engine and sandbox.

The descriptors of the weights stay open: an engine that is restarted needs them again.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sealroom.engines.base import Engine
from sealroom.engines.prepared_child import PreparedChild
from sealroom.errors import MalformedError, MisuseError, SealroomError, UnavailableError
from sealroom.evidence import Attester, DeviceAttester
from sealroom.room.boot import BootEvent, BootLog, BootState
from sealroom.room.config import RoomConfig
from sealroom.room.evidence_service import Hardware, HardwareEvidence
from sealroom.room.hardening import wipe
from sealroom.room.key_client import Step, fetch_key
from sealroom.room.key_generations import KeyGenerations
from sealroom.room.limits import GatewayLimits
from sealroom.room.release_service import asked_whom, fetch_kms_key, patiently, released_what
from sealroom.sealed.keys import ModelKey
from sealroom.sealed.stores import (
    ModelMemory,
    SealedPackage,
    UnsealedModel,
    open_package,
    reserve,
    unseal,
    verify_digests,
)
from sealroom.statement import NONCE_SIZE, RoomStatement

if TYPE_CHECKING:
    from sealroom.room.collateral_service import CollateralKeeper

__all__ = ["EngineFactory", "Room", "boot", "chosen_engine", "utc_now"]

EngineFactory = Callable[[RoomConfig, str], Engine]
"""Makes the engine, not started, for a configuration and the model's name."""

_log = logging.getLogger("sealroom.room")
_ROTATION_PAUSE = 1.0


def chosen_engine(config: RoomConfig, model_name: str, prepared: PreparedChild | None = None) -> Engine:
    """The engine that the configuration names; ``prepared`` becomes its first child."""
    return config.engine.make(model_name, prepared)


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What a booted room is made of."""

    hardware: Hardware
    package: SealedPackage
    model: UnsealedModel
    engine: Engine
    keys: KeyGenerations
    config: RoomConfig
    collateral: "CollateralKeeper | None" = None
    """None: the room fetches none."""


class Room:
    """A room that has booted. Made by `boot` alone."""

    def __init__(self, parts: _Parts) -> None:
        self._parts = parts
        self._attesting = asyncio.Lock()
        self._silicon = HardwareEvidence(parts.hardware, patience=parts.config.limits.device_seconds)
        self._waiting = 0
        from importlib.metadata import version  # noqa: PLC0415 - much code, and the first states need none of it

        self._software_version = version("sealroom")
        self.serving_since = utc_now()
        self._rotation = asyncio.create_task(self._rotate())

    @property
    def model_name(self) -> str:
        """The model's name in its signed manifest, which is the name that callers ask for."""
        return self._parts.package.manifest.name

    @property
    def keys(self) -> KeyGenerations:
        """The channel's keys."""
        return self._parts.keys

    @property
    def engine(self) -> Engine:
        """What answers."""
        return self._parts.engine

    @property
    def limits(self) -> GatewayLimits:
        """The bounds on callers."""
        return self._parts.config.limits

    async def evidence(self, nonce: bytes) -> bytes:
        """An encoded evidence bundle made for ``nonce`` now. The silicon is asked by one caller at a time.

        Raises:
            MisuseError: ``room.bad-nonce``, not 32 bytes.
            UnavailableError: ``room.evidence-busy``, too many are waiting already; ``room.device-*``, a device does
                not answer; ``room.collateral-*``, the vendor's word on a part of the machine is not here or has
                ended, so that nobody could verify it; or what the attester raises.
        """
        if len(nonce) != NONCE_SIZE:
            raise MisuseError("room.bad-nonce", "a nonce has 32 bytes", got=len(nonce), expected=NONCE_SIZE)
        if self._waiting >= self.limits.evidence_waiting:
            raise UnavailableError("room.evidence-busy", "too many callers wait for evidence", got=self._waiting)
        if self._parts.collateral is not None:
            self._parts.collateral.require(utc_now())
        self._waiting += 1
        try:
            async with self._attesting:
                return await self._silicon.bundle(self._statement(nonce, utc_now()))
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Stop the engine and give the weights' memory back."""
        self._rotation.cancel()
        await asyncio.gather(self._rotation, return_exceptions=True)
        await self._parts.engine.stop()
        self._parts.model.close()
        self._silicon.close()
        if self._parts.collateral is not None:
            self._parts.collateral.close()

    def _statement(self, nonce: bytes, at: datetime) -> RoomStatement:
        manifest, engine = self._parts.package.manifest, self._parts.engine
        created_at = at.replace(microsecond=0)
        return RoomStatement(
            nonce=nonce,
            key_configs=self._parts.keys.key_configs,
            model_name=manifest.name,
            model_version=manifest.version,
            model_digest=self._parts.package.model_digest,
            package_digest=self._parts.package.package_digest,
            engine_name=engine.name,
            engine_version=engine.version,
            engine_config_digest=engine.config_digest,
            sandbox_layers=engine.layers,
            software_version=self._software_version,
            created_at=created_at,
            not_after=created_at + self._parts.config.statement_life,
        )

    async def _rotate(self) -> None:
        keys = self._parts.keys
        while True:
            await asyncio.sleep(max(_ROTATION_PAUSE, (keys.next_rotation() - utc_now()).total_seconds()))
            try:
                keys.rotate(utc_now())
            except Exception as error:  # noqa: BLE001 - whatever it is: keys that never change again would be worse
                _log.error("channel keys not rotated: %s; trying again", type(error).__name__)
            else:
                _log.info("channel keys rotated")


async def boot(
    config: RoomConfig,
    *,
    attester: Attester,
    devices: Mapping[str, DeviceAttester] | None = None,
    on_event: Callable[[BootEvent], None],
    engine_factory: EngineFactory = chosen_engine,
    beside_engine: Callable[[], None] = lambda: None,
) -> Room:
    """Boot a room; each state is told to ``on_event`` as it begins.

    Args:
        config: what the operator wants.
        attester: the machine's silicon, by whose evidence the broker releases the key.
        devices: its GPUs and switches by name, whose evidence goes along with that of the machine.
        on_event: told.
        engine_factory: makes the engine.
        beside_engine: run in a thread while the engine loads, once the weights are hashed.

    Raises:
        SealroomError: whatever stands in the way; everything begun has been undone, and `BootState.FAILED` was told.
    """
    log = BootLog(on_event)
    async with contextlib.AsyncExitStack() as undo:
        try:
            hardware = Hardware(cpu=attester, devices=devices or {})
            room = await _Boot(config, hardware, engine_factory, beside_engine, log, undo).run()
        except SealroomError as error:
            log.reach(BootState.FAILED, _age_ms(), code=error.code)
            raise
        undo.pop_all()
        return room


@dataclass(slots=True)
class _Boot:
    """The steps, in order; `undo` gathers what has to be taken back if a later one fails."""

    config: RoomConfig
    hardware: Hardware
    engine_factory: EngineFactory
    beside_engine: Callable[[], None]
    log: BootLog
    undo: contextlib.AsyncExitStack
    collateral: "CollateralKeeper | None" = None
    _opening: "asyncio.Task[SealedPackage]" = field(init=False)
    _module: Attester = field(init=False)
    """The machine's silicon itself, with no collateral stapled to what it says."""

    async def run(self) -> Room:
        self._born()
        self._begin_collateral()
        keys = self._keys()
        package = await self._opening  # nobody is asked for a key before what it opens is known to be the right one
        reserving = asyncio.create_task(asyncio.to_thread(reserve, package))
        self.undo.push_async_callback(_give_back, reserving)
        key = await self._key_for_evidence(package)
        engine = self.engine_factory(self.config, package.manifest.name)
        model = await self._weights(package, key, reserving)
        await self._start(engine, model)
        unproved = [] if self.collateral is None else await self.collateral.ready_for_callers()
        room = Room(_Parts(hardware=self.hardware, package=package, model=model, engine=engine, keys=keys,
                           config=self.config, collateral=self.collateral))  # fmt: skip
        self.log.reach(BootState.SERVING, _age_ms(), model=room.model_name, layers=list(engine.layers),
                       **({"unproved": unproved} if unproved else {}))  # fmt: skip
        return room

    def _born(self) -> None:
        self._module = self.hardware.cpu
        simulated = self.hardware.simulated
        if simulated and not self.config.loopback_only:
            raise MisuseError("room.simulated-not-loopback", "simulated hardware never serves the world",
                              got=self.config.host, expected="a loopback address",
                              hint="set [listen] host to 127.0.0.1, or use real hardware")  # fmt: skip
        devices = {"devices": sorted(self.hardware.devices)} if self.hardware.devices else {}
        self.log.reach(BootState.BORN, _age_ms(), simulated=simulated, **devices)
        config = self.config
        self._opening = asyncio.create_task(
            asyncio.to_thread(
                open_package, config.package, publisher=config.publisher, minimum_version=config.minimum_version
            )
        )
        self.undo.push_async_callback(_forget, self._opening)

    def _begin_collateral(self) -> None:
        """Beside all the rest, which takes longer: the vendors are asked for what goes along with evidence."""
        if (fetch := self.config.fetch) is None:
            return
        from sealroom.room.collateral_service import CollateralKeeper  # noqa: PLC0415 - much code, and few need it

        self.collateral = CollateralKeeper(fetch, self.hardware, patience=self.config.limits.device_seconds)
        self.undo.callback(self.collateral.close)
        self.hardware = self.collateral.hardware
        self.collateral.begin()

    def _keys(self) -> KeyGenerations:
        keys = KeyGenerations(at=utc_now(), lifetime=self.config.rotate, overlap=_overlap(self.config))
        self.log.reach(BootState.KEYS, _age_ms(), key_ids=[str(key_id) for key_id in sorted(keys.current.key_ids)])
        return keys

    async def _key_for_evidence(self, package: SealedPackage) -> ModelKey:
        self.log.reach(BootState.EVIDENCE, _age_ms(), **asked_whom(self.config))
        init_data = await asyncio.to_thread(_read_init_data, self.config.init_data)
        if self.collateral is not None:
            await self.collateral.ready_for_release()
        if (kms := self.config.aws_kms) is not None:
            return await fetch_kms_key(kms, self._module, package.package_digest, self.config.release_wait,
                                       self._handshake)  # fmt: skip
        return ModelKey(await _fetch_key(self.config, self.hardware, init_data, self._handshake))

    def _handshake(self, step: Step) -> None:
        """A second try of the handshake, after the broker could not answer, enters no state again."""
        if step is Step.COLLECTED and self.log.state is BootState.EVIDENCE:
            self.log.reach(BootState.VERIFICATION, _age_ms())
        if step is Step.ATTESTED and self.log.state is BootState.VERIFICATION:
            self.log.reach(BootState.KEY_RELEASE, _age_ms(), **released_what(self.config))

    async def _weights(
        self, package: SealedPackage, key: ModelKey, reserving: "asyncio.Task[ModelMemory]"
    ) -> UnsealedModel:
        self.log.reach(BootState.WEIGHTS, _age_ms(), model=package.manifest.name, version=package.manifest.version,
                       bytes=package.manifest.identity.total_size)  # fmt: skip
        try:
            model = await asyncio.to_thread(unseal, package, key, memory=await reserving)
        finally:
            wipe(key.secret)
        self.undo.callback(model.close)
        return model

    async def _start(self, engine: Engine, model: UnsealedModel) -> None:
        self.log.reach(BootState.ENGINE, _age_ms(), engine=engine.name, version=engine.version,
                       model_digest="sha256:" + model.model_digest.hex())  # fmt: skip
        self.undo.push_async_callback(engine.stop)
        beside = asyncio.create_task(asyncio.to_thread(self._beside, model))
        try:
            await engine.start(model.files)
        finally:
            await beside  # after a failed start too: its descriptors are closed next

    def _beside(self, model: UnsealedModel) -> None:
        verify_digests(model)  # first: it leaves the interpreter to the check of the model's header
        self.beside_engine()


async def _fetch_key(
    config: RoomConfig, hardware: Hardware, init_data: bytes | None, on_step: Callable[[Step], None]
) -> bytes:
    silicon = HardwareEvidence(hardware, patience=config.limits.device_seconds)
    ask = partial(fetch_key, config.broker, config.resource, hardware.cpu, init_data=init_data, on_step=on_step,
                  devices=lambda nonce: silicon.devices(lambda _: nonce))  # fmt: skip
    try:
        return await patiently(ask, config.release_wait)
    finally:
        silicon.close()


def _read_init_data(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise MalformedError("room.init-data", "the init data can not be read", where=str(path),
                             got=error.strerror) from None  # fmt: skip


def _overlap(config: RoomConfig) -> timedelta:
    """As long as a statement that names the old keys may still hold."""
    return min(config.statement_life, config.rotate)


async def _forget(task: "asyncio.Task[SealedPackage]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _give_back(reserving: "asyncio.Task[ModelMemory]") -> None:
    """A thread can not be called off: what it took is waited for, and closed if nobody filled it."""
    await asyncio.wait([reserving])
    if not reserving.cancelled() and reserving.exception() is None:
        reserving.result().close()


def _age_ms() -> float:
    """Milliseconds since this process was started, to the kernel's 10 ms, which no change of the clock moves."""
    started_ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return 1000 * time.clock_gettime(time.CLOCK_BOOTTIME) - 10 * started_ticks
