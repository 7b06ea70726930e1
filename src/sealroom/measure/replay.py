"""Replay: the registers that a log leads to, and whether they are those of a quote.

A register starts as zeros and takes every event: new = H(old ‖ digest). Events of type EV_NO_ACTION are never
extended, whatever digest they carry. CC measurement registers (UEFI 2.10 section 38.4.1): index 0 is MRTD, which no
guest extends, 1 to 4 are RTMR0 to RTMR3.

RTMR3 is seldom in a firmware's log, because what extends it at run time writes no entry: without entries for it, it
is pinned by the quote alone. The other three must equal.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.measure.event_digests import NOT_EXTENDED, OPAQUE, digest_of, require_honest
from sealroom.measure.tcg2 import EV_NO_ACTION, Event, EventLog, read_event_log

__all__ = [
    "REGISTERS",
    "NamedEvent",
    "RtmrReplay",
    "extend",
    "matches",
    "name_events",
    "register_name",
    "replay_rtmrs",
    "require_equal",
]

REGISTERS = ("mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3")
RTMRS = REGISTERS[1:]
_BANK = "sha384"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedEvent:
    """An event, where it went, and what its digest proves."""

    event: Event
    register: str
    digest_of: str

    @property
    def verified(self) -> bool:
        """Whether the digest proves the text."""
        return self.digest_of not in {OPAQUE, NOT_EXTENDED}


@dataclass(frozen=True, slots=True, kw_only=True)
class RtmrReplay:
    """What a log of a TD leads to."""

    log: EventLog
    events: tuple[NamedEvent, ...]
    registers: Mapping[str, bytes]
    """``rtmr0`` to ``rtmr3``."""
    extended: frozenset[str]
    """The registers that have entries."""


def replay_rtmrs(raw: bytes) -> RtmrReplay:
    """Read a CCEL log area and replay it. Proves nothing until the registers equal a quote's.

    Raises:
        MalformedError: ``eventlog.*``: no such log.
        UnverifiedError: ``eventlog.*``: a text that is not what was measured, or a failure of the firmware.
    """
    log = read_event_log(raw)
    if not log.crypto_agile:
        raise MalformedError("eventlog.no-spec-id", "the event log does not begin with its Spec ID",
                             where="byte 0x0", hint="a CCEL log has one; this may be a TPM's")  # fmt: skip
    if _BANK not in log.algorithms:
        raise MalformedError("eventlog.algorithm", "the event log has no SHA-384 digests, as TDX registers take",
                             got=", ".join(log.algorithms), expected=_BANK)  # fmt: skip
    events = name_events(log.events, register_name)
    registers = dict.fromkeys(RTMRS, bytes(48))
    extended = set()
    for named in events:
        if named.event.type == EV_NO_ACTION or named.register not in registers:
            continue
        extended.add(named.register)
        registers[named.register] = extend(registers[named.register], named.event.digests[_BANK])
    return RtmrReplay(log=log, events=events, registers=registers, extended=frozenset(extended))


def name_events(events: Sequence[Event], register: Callable[[Event], str]) -> tuple[NamedEvent, ...]:
    """Every event with its register and what its digest covers.

    Raises:
        UnverifiedError: as `require_honest`.
        MalformedError: as ``register``.
    """
    for event in events:
        require_honest(event)
    return tuple(NamedEvent(event=event, register=register(event), digest_of=digest_of(event)) for event in events)


def register_name(event: Event) -> str:
    """The CC measurement register of an event.

    Raises:
        MalformedError: ``eventlog.register``.
    """
    if event.index >= len(REGISTERS):
        raise MalformedError("eventlog.register", "an event is for a register that TDX does not have",
                             where=f"event {event.number} at byte 0x{event.offset:x}", got=event.index,
                             expected="0 (MRTD), 1 to 4 (RTMR0 to RTMR3)",
                             hint="this may be a TPM's log")  # fmt: skip
    return REGISTERS[event.index]


def extend(register: bytes, digest: bytes, algorithm: str = _BANK) -> bytes:
    """The register after ``digest``."""
    return hashlib.new(algorithm, register + digest, usedforsecurity=False).digest()


def matches(replay: RtmrReplay, quoted: Mapping[str, bytes]) -> dict[str, bool]:
    """Whether each register equals the quoted one."""
    return {name: replay.registers[name] == quoted[name] for name in RTMRS}


def require_equal(replayed: Mapping[str, bytes], extended: frozenset[str], quoted: Mapping[str, bytes]) -> None:
    """Refuse a log that does not lead to the registers of ``quoted``: a quote, or a TDREPORT.

    Raises:
        UnverifiedError: ``eventlog.register-mismatch``.
    """
    for name in RTMRS:
        if name == "rtmr3" and name not in extended:
            continue  # no entries: nothing is claimed of it
        if replayed[name] != quoted[name]:
            raise UnverifiedError(
                "eventlog.register-mismatch",
                f"the event log does not lead to the {name} of the quote",
                where=name,
                got=replayed[name].hex(),
                expected=quoted[name].hex(),
                hint="the log is of another boot or machine, incomplete, or was changed",
            )
