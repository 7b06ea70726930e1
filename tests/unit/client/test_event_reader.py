"""Server-sent events come out the same however they were cut on the way."""

import pytest

from sealroom.client.conversation import printable
from sealroom.client.sse import EventReader

STREAM = b': comment\n\ndata: {"a": 1}\n\ndata: first\ndata: second\n\nevent: x\r\ndata:tight\r\n\r\ndata: [DONE]\n\n'
EVENTS = ['{"a": 1}', "first\nsecond", "tight", "[DONE]"]


@pytest.mark.parametrize("size", range(1, len(STREAM) + 1))
def test_events_in_pieces_of_any_size(size: int) -> None:
    reader = EventReader()
    pieces = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    assert [event for piece in pieces for event in reader.receive(piece)] == EVENTS


def test_an_event_without_its_end_never_comes_out() -> None:
    assert EventReader().receive(b"data: half") == []


def test_a_models_words_can_not_steer_the_terminal() -> None:
    assert printable("a\x1b]0;owned\x07b\r\n\tc\u202e") == "a]0;ownedb\n\tc"
