"""Each request once, and only while it is fresh."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.channel.replay import ReplayWindow, format_date
from sealroom.errors import MisuseError, UnavailableError, UnverifiedError

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def dated(at: datetime) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"accept", b"*/*"), (b"date", format_date(at)))


def code_of_date(window: ReplayWindow, headers: tuple[tuple[bytes, bytes], ...], at: datetime = NOON) -> str:
    try:
        window.check_date(headers, at)
    except UnverifiedError as error:
        return error.code
    return "fresh"


class TestMemory:
    def test_a_repeated_key_is_refused_throughout_the_window(self) -> None:
        window = ReplayWindow()
        window.admit(b"enc", NOON)
        for later in range(0, 121, 10):
            with pytest.raises(UnverifiedError) as caught:
                window.refuse_if_seen(b"enc", NOON + later * SECOND)
            assert caught.value.code == "channel.replayed"
            with pytest.raises(UnverifiedError):
                window.admit(b"enc", NOON + later * SECOND)

    def test_whatever_is_forgotten_has_a_date_that_is_refused(self) -> None:
        """The latest date that was acceptable when the key was admitted is too old once the key is forgotten."""
        window = ReplayWindow()
        headers = dated(NOON + 60 * SECOND)
        assert code_of_date(window, headers) == "fresh"
        window.admit(b"enc", NOON)
        forgotten = NOON + 121 * SECOND
        window.refuse_if_seen(b"enc", forgotten)
        assert window.remembered == 0
        assert code_of_date(window, headers, forgotten) == "channel.date-outside-window"

    def test_a_full_memory_refuses_newcomers_and_forgets_nobody(self) -> None:
        window = ReplayWindow(capacity=3)
        for number in range(3):
            window.admit(b"%d" % number, NOON + number * SECOND)
        with pytest.raises(UnavailableError) as caught:
            window.admit(b"newcomer", NOON + 3 * SECOND)
        assert caught.value.code == "channel.replay-window-full"
        for number in range(3):
            with pytest.raises(UnverifiedError):
                window.refuse_if_seen(b"%d" % number, NOON + 3 * SECOND)
        window.admit(b"newcomer", NOON + 121 * SECOND)
        assert window.remembered == 3

    def test_a_clock_that_goes_back_does_not_reopen_the_window(self) -> None:
        window = ReplayWindow()
        window.admit(b"enc", NOON)
        window.refuse_if_seen(b"other", NOON + 3600 * SECOND)  # the clock jumps ahead; the key is forgotten
        assert code_of_date(window, dated(NOON), NOON) == "channel.date-outside-window"

    @given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 40)), max_size=60))
    def test_no_key_is_admitted_twice_within_its_window(self, steps: list[tuple[int, int]]) -> None:
        window, admitted, at = ReplayWindow(capacity=8), {}, NOON
        for key, pause in steps:
            at += pause * SECOND
            recent = key in admitted and at - admitted[key] <= 120 * SECOND
            try:
                window.admit(bytes([key]), at)
            except UnverifiedError:
                assert recent
            except UnavailableError:
                assert window.remembered == 8
            else:
                assert not recent
                admitted[key] = at
            assert window.remembered <= 8

    def test_a_time_without_a_zone_is_a_misuse(self) -> None:
        with pytest.raises(MisuseError):
            ReplayWindow().admit(b"enc", NOON.replace(tzinfo=None))


class TestDate:
    @pytest.mark.parametrize("seconds", [-60, -1, 0, 1, 60])
    def test_a_date_within_the_tolerance_is_fresh(self, seconds: int) -> None:
        assert code_of_date(ReplayWindow(), dated(NOON + seconds * SECOND)) == "fresh"

    @pytest.mark.parametrize("seconds", [-3600, -61, 61, 86400])
    def test_a_date_outside_the_tolerance_is_refused(self, seconds: int) -> None:
        assert code_of_date(ReplayWindow(), dated(NOON + seconds * SECOND)) == "channel.date-outside-window"

    @pytest.mark.parametrize(
        "value",
        [
            b"",
            b"now",
            b"Mon, 23 Nov 2026 12:00:00",
            b"Mon, 23 Nov 2026 12:00:00 +0000",
            b"Monday, 23-Nov-26 12:00:00 GMT",
            b"Mon Nov 23 12:00:00 2026",
            b"Tue, 23 Nov 2026 12:00:00 GMT",
            b"Mon, 23 nov 2026 12:00:00 GMT",
            b"Mon, 31 Feb 2026 12:00:00 GMT",
            b"Mon, 23 Nov 2026 24:00:00 GMT",
            b"Mon, 23 Nov 2026 12:00:60 GMT",
            b"Mon, 23 Nov 0000 12:00:00 GMT",
            b" Mon, 23 Nov 2026 12:00:00 GMT",
            b"2026-11-23T12:00:00Z",
            "Mon, 2\u0663 Nov 2026 12:00:00 GMT".encode(),
        ],
    )
    def test_anything_but_an_imf_fixdate_counts_as_missing(self, value: bytes) -> None:
        assert code_of_date(ReplayWindow(), ((b"date", value),)) == "channel.date-missing"

    def test_no_date_and_two_dates_are_refused(self) -> None:
        assert code_of_date(ReplayWindow(), ()) == "channel.date-missing"
        assert code_of_date(ReplayWindow(), dated(NOON) + dated(NOON)) == "channel.date-missing"

    def test_the_example_of_rfc_9110_is_written_as_printed(self) -> None:
        assert format_date(datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)) == b"Sun, 06 Nov 1994 08:49:37 GMT"
        east = timezone(timedelta(hours=5))
        assert format_date(datetime(1994, 11, 6, 13, 49, 37, tzinfo=east)) == b"Sun, 06 Nov 1994 08:49:37 GMT"

    @given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2999, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
    def test_every_date_that_is_written_is_read(self, at: datetime) -> None:
        assert code_of_date(ReplayWindow(), dated(at), at) == "fresh"
