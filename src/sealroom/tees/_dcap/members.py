"""Members of Intel's JSON objects, each taken as what it must be. Members that nobody asks for are Intel's to add."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sealroom.errors import MalformedError

__all__ = ["Members"]

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})*")


class Members:
    """One object. ``where`` is its path, for errors; ``area`` their code."""

    __slots__ = ("_area", "_values", "_where")

    def __init__(self, values: object, *, area: str, where: str) -> None:
        self._area = area
        self._where = where
        if not isinstance(values, Mapping):
            raise self._malformed("is no object", "", type(values).__name__, "an object")
        self._values = values

    def has(self, name: str) -> bool:
        """Whether there is such a member."""
        return name in self._values

    def text(self, name: str) -> str:
        """A string of printable ASCII: all that Intel writes, and all that a terminal or a log should get."""
        value = self._values.get(name)
        if not _is_text(value):
            raise self._malformed("is no string of printable ASCII", name, _kind(value), "a string")
        return str(value)

    def integer(self, name: str, high: int) -> int:
        """A whole number from 0 to ``high``."""
        value = self._values.get(name)
        if type(value) is not int or not 0 <= value <= high:
            raise self._malformed("is no number in its range", name, _kind(value), f"0 to {high}")
        return value

    def octets(self, name: str, size: int) -> bytes:
        """``size`` bytes in hexadecimal, either case."""
        text = self.text(name)
        if len(text) != 2 * size or not _HEX.fullmatch(text):
            raise self._malformed("is not as many bytes in hexadecimal", name, text[:40], f"{2 * size} digits")
        return bytes.fromhex(text)

    def time(self, name: str) -> datetime:
        """A time in UTC, to the second."""
        text = self.text(name)
        try:
            moment = datetime.fromisoformat(text) if _TIME.fullmatch(text) else None
        except ValueError:
            moment = None
        if moment is None:
            raise self._malformed("is no time", name, text[:40], "2026-01-31T12:00:00Z")
        return moment

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings; empty if there is none."""
        values = self._values.get(name, ())
        if not isinstance(values, list | tuple) or not all(map(_is_text, values)):
            raise self._malformed(
                "is no list of strings of printable ASCII", name, _kind(values), "a list of strings"
            )
        return tuple(values)

    def inner(self, name: str) -> "Members":
        """The object inside."""
        return Members(self._values.get(name), area=self._area, where=f"{self._where}.{name}")

    def objects(self, name: str) -> Sequence["Members"]:
        """The objects of a list."""
        return [Members(value, area=self._area, where=f"{self._where}.{name}[{index}]")
                for index, value in enumerate(self.list(name))]  # fmt: skip

    def list(self, name: str) -> list[Any]:
        """A list."""
        values = self._values.get(name)
        if not isinstance(values, list):
            raise self._malformed("is no list", name, _kind(values), "a list")
        return values

    def malformed(self, what: str, name: str, got: object, expected: str) -> MalformedError:
        """The error for a member that has the right type and is not acceptable."""
        return self._malformed(what, name, str(got)[:100], expected)

    def _malformed(self, what: str, name: str, got: str, expected: str) -> MalformedError:
        place = f"{self._where}.{name}" if name else self._where
        return MalformedError(self._area, f"{place} {what}", where=place, got=got, expected=expected)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable()


def _kind(value: object) -> str:
    """A value for an error: of what can be deep or long only its type, or its beginning."""
    if isinstance(value, str):
        return ascii(value[:40])
    return "nothing" if value is None else str(value) if type(value) in {int, bool} else type(value).__name__
