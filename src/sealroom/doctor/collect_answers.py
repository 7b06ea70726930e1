"""Asks the silicon for one piece of evidence, and has it verified: the one question that is not for free."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sealroom.binding import REPORT_DATA_SIZE, carried
from sealroom.collect import collateral_in, devices_of_this_machine, this_machine
from sealroom.doctor.finding import Area, Diagnosis, Finding, State, missing, ok
from sealroom.errors import SealroomError, UnavailableError
from sealroom.evidence import Attester, Collateral, CollectedEvidence, DeviceAttester, Tee
from sealroom.policy import default_policy
from sealroom.tees.registry import for_tee
from sealroom.verifier import appraise_evidence

__all__ = ["Answer", "ask", "ask_this_machine"]

_CPU, _DEVICES = "CPU", "devices"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a question."""

    finding: Finding
    made: bool
    """Whether there was evidence, whatever a verifier says of it."""


def ask(asked: Mapping[str, Attester | DeviceAttester]) -> tuple[Answer, ...]:
    """Ask each, by the name that it is told by, for evidence over data drawn at random."""
    return tuple(_asked(name, attester) for name, attester in asked.items())


def ask_this_machine(diagnosis: Diagnosis, folder: Path | None, *, tee: Tee | None = None) -> tuple[Answer, ...]:
    """Ask all of this machine that ``diagnosis`` says can answer.

    Args:
        diagnosis: what was found.
        folder: where what goes along with evidence lies, as a room's configuration names it.
        tee: which of several kinds of evidence; the first unless given.

    Raises:
        UnavailableError: ``collect.collateral``.
    """
    if not diagnosis.proves:
        return ()
    along = None if folder is None else collateral_in(folder)
    answers = _of(_CPU, lambda: {_CPU: this_machine(tee=tee, collateral=along)})
    if any(one.tee is Tee.NVIDIA and one.state is State.OK for one in diagnosis.of(Area.DEVICES)):
        answers += _of(_DEVICES, lambda: devices_of_this_machine(folder))
    return answers


def _of(name: str, found: Callable[[], Mapping[str, Attester | DeviceAttester]]) -> tuple[Answer, ...]:
    try:
        asked = found()
    except UnavailableError as error:
        return (_none(name, None, error),)
    return ask(asked)


def _none(name: str, tee: Tee | None, error: SealroomError) -> Answer:
    got = f" ({error.got})" if error.got else ""
    return Answer(made=False, finding=missing(name, f"no evidence [{error.code}]: {error.message}{got}", error.hint,
                                              tee=tee, area=Area.ANSWERS))  # fmt: skip


def _asked(name: str, attester: Attester | DeviceAttester) -> Answer:
    tee = attester.tee
    bound, began = carried(tee, os.urandom(REPORT_DATA_SIZE)), time.monotonic()
    try:
        collected = attester.collect(bound)
    except SealroomError as error:
        return _none(name, tee, error)
    made = f"{len(collected.raw)} bytes of {tee.value} evidence in {time.monotonic() - began:.1f} s"
    if attester.simulated:
        for_tee(tee).parse(collected.raw)
        return Answer(made=True, finding=ok(name, f"{made}; SIMULATED: no vendor vouches for it", tee=tee,
                                            area=Area.ANSWERS))  # fmt: skip
    return Answer(made=True, finding=_judged(name, made, tee, collected, bound))


def _judged(name: str, made: str, tee: Tee, collected: CollectedEvidence, bound: bytes) -> Finding:
    try:
        appraisal = appraise_evidence(
            tee=tee, raw=collected.raw, collateral=Collateral(items=dict(collected.collateral.items)),
            policy=default_policy(), at=datetime.now(UTC), expected_report_data=bound,
        )  # fmt: skip
    except SealroomError as error:
        return missing(name, f"{made}; not verified [{error.code}]: {error.message}", error.hint or
                       "sealroom collateral fetch gets what verification needs", tee=tee,
                       area=Area.ANSWERS)  # fmt: skip
    refused = [check for check in appraisal.checks if not check.passed]
    if refused:
        return missing(name, f"{made}; genuine, and the built-in policy refuses it: "
                       f"{', '.join(check.code for check in refused)}", refused[0].fix, tee=tee,
                       area=Area.ANSWERS)  # fmt: skip
    return ok(name, f"{made}; genuine, and accepted by the built-in policy", tee=tee, area=Area.ANSWERS)
