"""A room's own collateral: fetched for what its silicon says, tried on it, kept, and renewed before it ends.

    silicon ─evidence→ what is needed ─cache, or the vendors' services→ items ─verified with that evidence→ held
                                                                                  └─ stapled to every answer

One thread does all of it, ahead of time; no request waits for a vendor. What has ended is not served: callers would
refuse it, and here the operator is told what is the matter.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from random import SystemRandom

from sealroom.collateral.bundle import MAX_BUNDLE_SIZE
from sealroom.collateral.fetch.transport import OneRound, Transport
from sealroom.errors import MisuseError, SealroomError, UnavailableError
from sealroom.evidence import Attester, Collateral, CollectedEvidence, DeviceAttester
from sealroom.room.collateral_collect import OwnEvidence
from sealroom.room.collateral_fetch import VendorsWord
from sealroom.room.collateral_part import Held, Part
from sealroom.room.collateral_settings import FetchSettings
from sealroom.room.collateral_stapled import Stapled
from sealroom.room.evidence_service import Hardware

__all__ = ["CollateralKeeper"]

_CPU = "cpu"
_log = logging.getLogger("sealroom.room")
_TOGETHER, _LONGEST_SLEEP = timedelta(minutes=5), timedelta(hours=1)
_RANDOM = SystemRandom()
_ROOM_FOR_EVIDENCE = 1024 * 1024
"""Bytes of a bundle that are left to statement and evidence."""


class CollateralKeeper:
    """Keeps the collateral of one machine.

    Args:
        settings: whom to ask, and when.
        hardware: what it is for.
        patience: seconds that silicon is waited for, when it is asked what it is.
        clock: the time.
        transport: makes what one round of questions is asked through.
        jitter: from 0 to 1, drawn for each round.
    """

    def __init__(
        self,
        settings: FetchSettings,
        hardware: Hardware,
        *,
        patience: float = 60.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        transport: Callable[[], Transport] | None = None,
        jitter: Callable[[], float] = _RANDOM.random,
    ) -> None:
        self._settings, self._clock, self._jitter = settings, clock, jitter
        self._word = VendorsWord(settings)
        self._transport = transport or partial(OneRound, timeout=settings.timeout.total_seconds())
        self._cpu = Part(name=_CPU, silicon=hardware.cpu)
        self._devices = [Part(name=name, silicon=device) for name, device in hardware.devices.items()]
        self._parts = (self._cpu, *self._devices)
        self._silicon = OwnEvidence(len(self._parts), patience=patience)
        self._changed = threading.Condition()
        """Guards the parts, which requests read while the thread renews them."""
        self._closed = self._woken = False
        self._patient_until = 0.0
        self.hardware = Hardware(
            cpu=self._stapled(self._cpu, hardware.cpu),
            devices={
                part.name: self._stapled(part, device)
                for part, device in zip(self._devices, hardware.devices.values(), strict=True)
            },
        )
        """The same, with what is held stapled to all that it says."""

    def begin(self) -> None:
        """Start the thread: it fetches what is needed, and renews it until `close`."""
        self._patient_until = time.monotonic() + self._settings.wait.total_seconds()
        threading.Thread(target=self._run, name="collateral", daemon=True).start()

    def close(self) -> None:
        """Fetch no more. A service that is being asked is not waited for."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._silicon.close()

    def require(self, at: datetime) -> None:
        """Return if everything that callers need holds at ``at``.

        Raises:
            UnavailableError: ``room.collateral-missing``, ``-expired``, ``-revoked``.
        """
        with self._changed:
            for part in self._parts:
                if not part.holds(at):
                    raise part.refusal(at)

    async def ready_for_release(self) -> None:
        """Wait, for a while, until a broker that fetches nothing can verify all evidence.

        Raises:
            UnavailableError: as `require`: not even that of the CPU, with what came along with it. Of devices, for
                which not every key asks, the broker says so.
        """
        await asyncio.to_thread(self._wait_for, self._parts)
        await asyncio.to_thread(self._require_for_release)

    async def ready_for_callers(self) -> list[str]:
        """Wait, for a while, until callers can verify all evidence; the parts of which they can not."""
        await asyncio.to_thread(self._wait_for, self._parts)
        now = self._clock()
        return [part.name for part in self._parts if not part.holds(now)]

    def work(self) -> float:
        """Do what is due; seconds until there is more to do."""
        now = self._clock()
        if any(part.due <= now for part in self._parts):
            self._round([part for part in self._parts if part.due <= now + _TOGETHER])
        now = self._clock()
        self._tell(now)
        ends = [part.held.validity.not_after for part in self._parts if part.held is not None and part.holds(now)]
        return max(
            0.0, (min([*(part.due for part in self._parts), *ends, now + _LONGEST_SLEEP]) - now).total_seconds()
        )

    def _run(self) -> None:
        while not self._closed:
            try:
                pause = self.work()
            except Exception as error:  # noqa: BLE001 - whatever it is: a thread that ended would renew nothing more
                _log.error("collateral not renewed: %s; trying again", type(error).__name__)
                pause = 60.0
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._woken, timeout=pause)
                self._woken = False

    def _wait_for(self, parts: Sequence[Part]) -> None:
        """Until they can be proved, or this has been waited for since `begin` for as long as the operator wants."""
        left = max(0.0, self._patient_until - time.monotonic())
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or all(part.holds(self._clock()) for part in parts), timeout=left
            )

    def _require_for_release(self) -> None:
        at, collected = self._clock(), self._cpu.collected
        if self._cpu.holds(at) or collected is None:
            return  # of silicon that is silent, whoever asks it next is told
        try:
            self._word.tried(collected, {}, at=at, fetched_at=at)
        except SealroomError:
            raise self._cpu.refusal(at) from None

    def _round(self, due: Sequence[Part]) -> None:
        """The CPU first: a boot waits for it, and devices may take their time."""
        transport, jitter = self._transport(), self._jitter()
        try:
            for parts in (
                [part for part in due if part is self._cpu],
                [part for part in due if part is not self._cpu],
            ):
                self._ask([part for part in parts if part.collected is None], jitter)
                for part in parts:
                    if part.collected is not None and not part.exempt:
                        self._renew(part, transport, jitter)
        finally:
            transport.close()

    def _ask(self, parts: Sequence[Part], jitter: float) -> None:
        for part, answer in zip(parts, self._silicon.of(parts).values(), strict=True):
            try:
                if isinstance(answer, SealroomError):
                    raise answer
                self._note(part, answer)
            except SealroomError as error:
                self._failed(part, error, jitter)

    def _note(self, part: Part, collected: CollectedEvidence) -> bool:
        """Whether what is held, if anything is, is for what ``collected`` says."""
        try:
            needed = self._word.needed(collected)
        except MisuseError as error:
            if error.code != "collateral.nothing-to-fetch":
                raise
            with self._changed:
                part.exempt, part.collected, part.due = True, collected, datetime.max.replace(tzinfo=UTC)
                self._changed.notify_all()
            return True
        with self._changed:
            return part.speaks_of(needed, collected)

    def _renew(self, part: Part, transport: Transport, jitter: float) -> None:
        now, needed = self._clock(), part.needed
        try:
            held = self._word.kept(part, now) or self._word.fetched(part, transport, now)
            self._require_space(part, held)
        except SealroomError as error:
            self._failed(part, error, jitter)
            return
        with self._changed:
            if part.needed is not None and needed is not None and part.needed.name == needed.name:
                part.adopt(held, renew=self._settings.renew, at=now, jitter=jitter)
            self._changed.notify_all()
        _log.info("collateral of %s is here, and holds until %s", part.name, held.validity.not_after.isoformat())

    def _require_space(self, part: Part, held: Held) -> None:
        others = [other.held for other in self._parts if other.held is not None and other is not part]
        values = {value for one in (held, *others) for value in one.items.values()}
        if (size := sum(map(len, values))) > MAX_BUNDLE_SIZE - _ROOM_FOR_EVIDENCE:
            raise UnavailableError("collateral.too-large", "what came does not fit into a bundle", where=part.name,
                                   got=f"{size} bytes", expected=f"at most {MAX_BUNDLE_SIZE - _ROOM_FOR_EVIDENCE}",
                                   )  # fmt: skip

    def _failed(self, part: Part, error: SealroomError, jitter: float) -> None:
        now = self._clock()
        with self._changed:
            part.fail(error, at=now, jitter=jitter)
            self._changed.notify_all()
        _log.warning("collateral of %s can not be had: %s at %s: %s; asking again in %.0f s", part.name, error.code,
                     ascii(error.where)[:300], ascii(error.got)[:200],
                     (part.due - now).total_seconds())  # fmt: skip

    def _tell(self, now: datetime) -> None:
        """A part that can be proved no more, or again, is told once."""
        for part in self._parts:
            holds = part.holds(now)
            if holds is part.told:
                continue
            if holds:
                _log.info("%s can be proved to callers", part.name)
            else:
                _log.error("%s can not be proved to callers, who get no evidence: %s", part.name,
                           part.refusal(now).code)  # fmt: skip
            part.told = holds

    def _stapled(self, part: Part, silicon: Attester | DeviceAttester) -> Stapled:
        return Stapled(silicon, partial(self._staple, part))

    def _staple(self, part: Part, collected: CollectedEvidence) -> CollectedEvidence:
        if part.exempt:
            return collected
        if not self._note(part, collected):
            with self._changed:
                self._woken = True
                self._changed.notify_all()
                raise part.refusal(self._clock())
        held = part.held
        items = {**collected.collateral.items, **({} if held is None else held.items)}
        return replace(collected, collateral=Collateral(items=items))
