"""Evidence of the machine and of its devices over one statement (``spec/evidence-bundle.md`` section 4.1).

    statement without devices ─nonce→ each device, all at the same time
              └─ with the digests of what they gave ─report data→ CPU ─→ bundle

The silicon blocks whoever asks it, for milliseconds or for seconds; so every question is asked in a thread. Nothing
is left out: a device that gives no evidence, or none in time, fails the whole request.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from sealroom.binding import Label, carried, report_data
from sealroom.collateral.bundle import EvidenceBundle
from sealroom.device_statement import MAX_DEVICES, device_nonce
from sealroom.errors import MisuseError, SealroomError, UnavailableError
from sealroom.evidence import Attester, CollectedEvidence, DeviceAttester, Tee
from sealroom.statement import RoomStatement

__all__ = ["Hardware", "HardwareEvidence"]

_TOLD_AS_IT_IS = "room.collateral-"
"""The device answered; what is not here is the vendor's word on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What a machine has that can prove itself."""

    cpu: Attester
    devices: Mapping[str, DeviceAttester] = field(default_factory=dict)
    """By the name that a statement gives each: ``gpu0``, ``switch0``."""

    def __post_init__(self) -> None:
        if len(self.devices) > MAX_DEVICES:
            raise MisuseError("room.too-many-devices", "a statement can not name so many devices",
                              got=len(self.devices), expected=f"at most {MAX_DEVICES}")  # fmt: skip

    @property
    def simulated(self) -> bool:
        """Whether any part of it is."""
        return self.cpu.simulated or any(device.simulated for device in self.devices.values())


class HardwareEvidence:
    """Asks a machine's silicon. One request at a time: the caller sees to it.

    Args:
        hardware: what is asked.
        patience: seconds that all devices together are waited for.
    """

    def __init__(self, hardware: Hardware, *, patience: float) -> None:
        self._hardware = hardware
        self._patience = patience
        # as many threads as devices, and of our own: a device that hangs holds up nobody else's work
        self._threads = ThreadPoolExecutor(max_workers=max(1, len(hardware.devices)), thread_name_prefix="device")
        self._asked: dict[str, asyncio.Future[CollectedEvidence]] = {}

    async def bundle(self, plain: RoomStatement) -> bytes:
        """An encoded bundle over ``plain``, a statement that names no devices yet.

        Raises:
            UnavailableError: ``room.device-no-evidence``: a device gave none; ``room.device-silent``: none in time;
                ``room.device-busy``: it still owes an answer from before; or what the attester raises.
        """
        statement = plain.without_devices()
        devices = await self.devices(lambda tee: device_nonce(statement, tee))
        return await asyncio.to_thread(self._over, plain.with_devices(devices), devices)

    def close(self) -> None:
        """Ask no more. A device that hangs is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def devices(self, nonce: Callable[[Tee], bytes]) -> dict[str, CollectedEvidence]:
        """What each device answers to the nonce for its kind, by name.

        Raises:
            UnavailableError: ``room.device-*``, as `bundle`.
        """
        if not self._hardware.devices:
            return {}
        await self._idle()
        loop = asyncio.get_running_loop()
        self._asked = {
            name: loop.run_in_executor(self._threads, device.collect, nonce(device.tee))
            for name, device in self._hardware.devices.items()
        }
        for future in self._asked.values():
            future.add_done_callback(_read)
        done, late = await asyncio.wait(self._asked.values(), timeout=self._patience)
        answers = {name: future for name, future in self._asked.items() if future in done}
        if late:
            raise self._silent(sorted(set(self._asked) - set(answers)))
        return {name: _answer(name, self._hardware.devices[name], future) for name, future in answers.items()}

    async def _idle(self) -> None:
        """A caller who went away has left his questions behind: a device answers one at a time."""
        pending = {future: name for name, future in self._asked.items() if not future.done()}
        if pending and (busy := (await asyncio.wait(pending, timeout=self._patience))[1]):
            raise UnavailableError("room.device-busy", "a device has not answered an earlier question yet",
                                   where=", ".join(sorted(pending[future] for future in busy)),
                                   hint="a device that stays so may need a reset")  # fmt: skip

    def _silent(self, names: list[str]) -> UnavailableError:
        return UnavailableError("room.device-silent", "a device gave no evidence in time", where=", ".join(names),
                                expected=f"an answer within {self._patience:g} s",
                                hint="without it the machine can not be proved; look at the device's driver",
                                )  # fmt: skip

    def _over(self, statement: RoomStatement, devices: Mapping[str, CollectedEvidence]) -> bytes:
        raw, cpu = statement.encode(), self._hardware.cpu
        collected = cpu.collect(carried(cpu.tee, report_data(Label.ROOM_STATEMENT, raw)))
        return EvidenceBundle.of(raw, collected, devices).encode()


def _answer(name: str, device: DeviceAttester, future: "asyncio.Future[CollectedEvidence]") -> CollectedEvidence:
    try:
        collected = future.result()
    except SealroomError as error:
        if error.code.startswith(_TOLD_AS_IT_IS):
            raise
        raise UnavailableError("room.device-no-evidence", "a device gave no evidence", where=name,
                               got=f"{error.code}: {error.message}",
                               hint="without it the machine can not be proved; look at the device's driver",
                               ) from None  # fmt: skip
    if collected.tee is not device.tee:
        raise UnavailableError("room.device-no-evidence", "a device gave evidence of another kind than announced",
                               where=name, got=collected.tee.value, expected=device.tee.value)  # fmt: skip
    return collected


def _read(future: "asyncio.Future[CollectedEvidence]") -> None:
    """Of several devices that fail, one is told of; the others' exceptions count as read."""
    if not future.cancelled():
        future.exception()
