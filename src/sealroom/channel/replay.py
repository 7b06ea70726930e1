"""Each request once, and only while it is fresh (spec/channel.md section 8).

The Date check bounds how long a request may be repeated; the memory of encapsulated keys covers that time. Neither is
enough alone. For one event loop: it takes no lock.
"""

import hashlib
import re
from collections import OrderedDict
from datetime import UTC, datetime, timedelta

from sealroom.channel.messages import Fields, find_field
from sealroom.errors import MisuseError, UnavailableError, UnverifiedError

__all__ = ["DEFAULT_CAPACITY", "DEFAULT_TOLERANCE", "ReplayWindow", "format_date"]

DEFAULT_TOLERANCE = timedelta(seconds=60)
"""How far a request's Date may be from the server's clock, either way."""
DEFAULT_CAPACITY = 1 << 17
"""Exchanges remembered: about 1,090 a second at the default tolerance, some 20 MB when full."""

_DIGEST_SIZE = 16
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_IMF_FIXDATE = re.compile(rb"[A-Z][a-z]{2}, (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT")


class ReplayWindow:
    """The memory of one generation of channel keys. Bounded; when full it refuses rather than forgets.

    Its clock is the latest time that it was shown: were it to go back with the machine's, an entry already dropped
    could be replayed under a Date that counts as fresh again.
    """

    def __init__(self, *, tolerance: timedelta = DEFAULT_TOLERANCE, capacity: int = DEFAULT_CAPACITY) -> None:
        self._tolerance = tolerance
        self._capacity = capacity
        self._expiry: OrderedDict[bytes, datetime] = OrderedDict()
        self._latest = datetime.min.replace(tzinfo=UTC)

    @property
    def remembered(self) -> int:
        """How many exchanges are in memory. No ``__len__``: an empty window must not count as none."""
        return len(self._expiry)

    def refuse_if_seen(self, enc: bytes, at: datetime) -> None:
        """Raise ``channel.replayed`` if ``enc`` was admitted within the window; cheap, before any decryption."""
        self._advance(at)
        if _digest(enc) in self._expiry:
            raise UnverifiedError(
                "channel.replayed",
                "this request was received before",
                hint="a client seals each request anew; somebody in between has sent this one again",
            )

    def admit(self, enc: bytes, at: datetime) -> None:
        """Remember ``enc``, whose first chunk has proved authentic.

        Raises ``channel.replayed``, or `UnavailableError` ``channel.replay-window-full``.
        """
        self.refuse_if_seen(enc, at)
        if len(self._expiry) >= self._capacity:
            raise UnavailableError(
                "channel.replay-window-full",
                "the room has as many exchanges in memory as it may",
                got=len(self._expiry),
                hint=f"try again; the oldest is forgotten after {2 * self._tolerance.total_seconds():.0f} s",
            )
        self._expiry[_digest(enc)] = self._latest + 2 * self._tolerance

    def check_date(self, headers: Fields, at: datetime) -> None:
        """Raise ``channel.date-missing`` or ``channel.date-outside-window`` unless the request is fresh."""
        self._advance(at)
        values = find_field(headers, b"date")
        date = _parse_date(values[0]) if len(values) == 1 else None
        if date is None:
            raise UnverifiedError(
                "channel.date-missing",
                "the request carries no Date that we can read",
                got=f"{len(values)} date fields",
                expected="one date field as RFC 9110 section 5.6.7 writes it",
            )
        if abs(date - self._latest) > self._tolerance:
            raise UnverifiedError(
                "channel.date-outside-window",
                "the request's Date is too far from the room's clock",
                got=date.isoformat(),
                expected=f"{self._latest.isoformat()}, give or take {self._tolerance.total_seconds():.0f} s",
                hint="set the clock of the machine that sent it",
            )

    def _advance(self, at: datetime) -> None:
        if at.tzinfo is None:
            raise MisuseError(
                "channel.naive-time", "a time without its zone tells nothing", hint="pass datetime.now(UTC)"
            )
        self._latest = max(self._latest, at)
        while self._expiry and next(iter(self._expiry.values())) < self._latest:
            self._expiry.popitem(last=False)


def format_date(at: datetime) -> bytes:
    """``at`` as an IMF-fixdate (RFC 9110 section 5.6.7); strftime would write the names in the locale's language."""
    at = at.astimezone(UTC)
    day, month = _DAYS[at.weekday()], _MONTHS[at.month - 1]
    return f"{day}, {at.day:02} {month} {at.year:04} {at.hour:02}:{at.minute:02}:{at.second:02} GMT".encode()


def _parse_date(value: bytes) -> datetime | None:
    match = _IMF_FIXDATE.fullmatch(value)
    if match is None or (month := match[2].decode()) not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(match[i]) for i in (1, 3, 4, 5, 6))
    try:
        date = datetime(year, _MONTHS.index(month) + 1, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return date if format_date(date) == value else None  # the day of the week must be right too


def _digest(enc: bytes) -> bytes:
    return hashlib.sha256(enc).digest()[:_DIGEST_SIZE]
