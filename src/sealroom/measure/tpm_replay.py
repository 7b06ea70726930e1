"""Replay of a TPM's event log: platform configuration registers, bank by bank (TCG PC Client Platform Firmware
Profile, section 10.4; TPM 2.0 Library part 1, section 11.4).

PCRs 0 to 16 and 23 start as zeros, 17 to 22 as ones. An event StartupLocality says with which locality the TPM was
started, which PCR 0 then begins with; it is itself not extended, so that PCR 0's replay is its only proof.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.measure.replay import NamedEvent, extend, name_events
from sealroom.measure.tcg2 import ALGORITHMS, EV_NO_ACTION, Event, EventLog, read_event_log

__all__ = ["TpmReplay", "replay_pcrs", "require_pcrs"]

_PCRS = 24
_DYNAMIC = range(17, 23)
_LOCALITY = b"StartupLocality\x00"
_LOCALITIES = (0, 3, 4)
_SIZES = dict(ALGORITHMS.values())
_HASHED = ("sha1", "sha256", "sha384", "sha512")


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmReplay:
    """What a TPM's log leads to."""

    log: EventLog
    events: tuple[NamedEvent, ...]
    pcrs: Mapping[str, Mapping[int, bytes]]
    """Bank, then PCR; the PCRs that have events."""
    startup_locality: int | None
    """None: the log does not say, and PCR 0 starts as zeros."""


def replay_pcrs(raw: bytes) -> TpmReplay:
    """Read a TPM's log and replay it. Proves nothing until the PCRs equal a quote's.

    Raises:
        MalformedError, UnverifiedError: ``eventlog.*``, as `read_event_log` and `require_honest`.
    """
    log = read_event_log(raw)
    events = name_events(log.events, _register)
    locality = _startup_locality(log.events)
    banks: dict[str, dict[int, bytes]] = {name: {} for name in log.algorithms if name in _HASHED}
    for event in log.events:
        if event.type == EV_NO_ACTION:
            continue
        for bank, pcrs in banks.items():
            start = pcrs.get(event.index) or _start(bank, event.index, locality or 0)
            pcrs[event.index] = extend(start, event.digests[bank], bank)
    return TpmReplay(log=log, events=events, pcrs=banks, startup_locality=locality)


def require_pcrs(replay: TpmReplay, quoted: Mapping[str, Mapping[int, bytes]]) -> tuple[str, ...]:
    """Refuse a log that does not lead to the ``quoted`` PCRs.

    Returns:
        The quoted banks that the log lacks: unverified, which is not the same as zero.

    Raises:
        UnverifiedError: ``eventlog.register-mismatch``.
    """
    for bank, pcrs in quoted.items():
        if bank not in replay.pcrs:
            continue
        for index, value in pcrs.items():
            got = replay.pcrs[bank].get(index) or _start(bank, index, replay.startup_locality or 0)
            if got != value:
                raise UnverifiedError("eventlog.register-mismatch", f"the event log does not lead to PCR {index}",
                                      where=f"pcr{index}, {bank}", got=got.hex(), expected=value.hex(),
                                      hint="the log is of another boot or machine, incomplete, or was changed",
                                      )  # fmt: skip
    return tuple(bank for bank in quoted if bank not in replay.pcrs)


def _start(bank: str, index: int, locality: int) -> bytes:
    size = _SIZES[bank]
    if index in _DYNAMIC:
        return b"\xff" * size
    return bytes(size - 1) + bytes((locality if index == 0 else 0,))


def _startup_locality(events: tuple[Event, ...]) -> int | None:
    for event in events:
        if event.index != 0:
            continue
        if event.type != EV_NO_ACTION:
            return None  # it counts before the first extend of PCR 0 alone
        if event.data.startswith(_LOCALITY) and len(event.data) == len(_LOCALITY) + 1:
            locality = event.data[-1]
            if locality not in _LOCALITIES:
                raise MalformedError("eventlog.locality", "the TPM was started at a locality that can not be",
                                     where=f"event {event.number}", got=locality, expected="0, 3 or 4")  # fmt: skip
            return locality
    return None


def _register(event: Event) -> str:
    if event.index >= _PCRS and event.type != EV_NO_ACTION:
        raise MalformedError("eventlog.register", "an event is for a PCR that TPMs do not have",
                             where=f"event {event.number} at byte 0x{event.offset:x}", got=event.index,
                             expected="0 to 23")  # fmt: skip
    return f"pcr{event.index}"
