"""An event log beside a verdict: replayed against the registers of the quote, every event with what proves it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sealroom.errors import MisuseError, SealroomError
from sealroom.evidence import Claims, Tee
from sealroom.measure.boot_facts import boot_facts, remarks
from sealroom.measure.dstack import replay_dstack
from sealroom.measure.event_names import describe, type_name
from sealroom.measure.replay import RTMRS, NamedEvent, replay_rtmrs, require_equal
from sealroom.measure.uefi_variable import readable

__all__ = ["LARGEST_LOG", "LogVerdict", "event_lines", "judge_log"]

LARGEST_LOG = 4 * 1024 * 1024
"""Bytes; a log of a machine is some ten KB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogVerdict:
    """What came of a log."""

    refusal: SealroomError | None
    """None: it leads to the quote's registers."""
    lines: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """For a program."""
        refusal = None if self.refusal is None else self.refusal.as_dict()
        return {"accepted": self.refusal is None, "refusal": refusal, "lines": list(self.lines)}


def judge_log(raw: bytes, claims: Claims) -> LogVerdict:
    """Replay ``raw`` (CCEL, or dstack's JSON) against the registers in ``claims``.

    Raises:
        MisuseError: ``cli.event-log``: the evidence has no run-time registers.
    """
    if claims.tee is not Tee.TDX:
        raise MisuseError("cli.event-log", "only TDX evidence has registers that an event log leads to",
                          got=claims.tee.value)  # fmt: skip
    try:
        if raw.lstrip()[:1] == b"[":
            return _dstack(raw, claims)
        replay = replay_rtmrs(raw)
        require_equal(replay.registers, replay.extended, claims.measurements)
    except SealroomError as refusal:
        return LogVerdict(refusal=refusal, lines=())
    lines = (*event_lines(replay.events), *remarks(replay.events, boot_facts(replay.events)))
    return LogVerdict(refusal=None, lines=(*lines, *_untold(replay.extended)))


def event_lines(events: Sequence[NamedEvent]) -> list[str]:
    """One line for each event: register, type, whether the digest proves the text, the text."""
    lines = []
    for named in events:
        mark = "verified" if named.verified else named.digest_of.replace("opaque", "digest only")
        lines.append(f"{named.register:<6} {type_name(named.event):<34} {mark:<13} {describe(named.event)}")
    return lines


def _dstack(raw: bytes, claims: Claims) -> LogVerdict:
    replay = replay_dstack(raw)
    if replay.dishonest is not None:
        raise replay.dishonest
    require_equal(replay.registers, replay.extended, claims.measurements)
    lines = [f"rtmr3  {readable(event.name.encode()):<34} verified      {readable(event.payload)}"
             for event in replay.runtime_events]  # fmt: skip
    return LogVerdict(refusal=None, lines=(*lines, *_untold(replay.extended)))


def _untold(extended: frozenset[str]) -> tuple[str, ...]:
    """Registers of which the log says nothing."""
    return tuple(f"{name} has no entries in the log: it is pinned by the quote alone" for name in RTMRS
                 if name not in extended)  # fmt: skip
