"""A room can not reach a state before what it rests on is done."""

import pytest

from sealroom.errors import MisuseError
from sealroom.room.boot import BootEvent, BootLog, BootState

ORDER = [state for state in BootState if state is not BootState.FAILED]


def test_the_states_are_told_in_order_with_their_times() -> None:
    told: list[BootEvent] = []
    log = BootLog(told.append)
    for ms, state in enumerate(ORDER):
        log.reach(state, float(ms), model="m")
    assert [event.state for event in told] == ORDER
    assert told[3].as_dict() == {"event": "state", "state": "verification", "ms": 3.0, "model": "m"}
    assert log.state is BootState.SERVING


@pytest.mark.parametrize("done", range(len(ORDER)))
def test_no_state_is_skipped_or_entered_twice(done: int) -> None:
    log = BootLog(lambda _: None)
    for state in ORDER[:done]:
        log.reach(state, 0.0)
    for state in set(ORDER) - {ORDER[done]}:
        with pytest.raises(MisuseError):
            log.reach(state, 0.0)


def test_failure_can_be_reached_from_anywhere_and_is_final() -> None:
    log = BootLog(lambda _: None)
    log.reach(BootState.FAILED, 0.0, code="x")
    with pytest.raises(MisuseError):
        log.reach(BootState.BORN, 0.0)
    with pytest.raises(MisuseError):
        log.reach(BootState.FAILED, 0.0)
