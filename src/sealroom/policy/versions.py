"""Versions as vendors write them: numbers with dots, compared number by number and never as text."""

import re
from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Version", "at_least", "parse_decimal", "parse_hexadecimal", "written"]

Version: TypeAlias = tuple[str, tuple[int, ...]]
"""As it was written, and its numbers."""

_DECIMAL = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,7}")
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]{1,8}(?:\.[0-9A-Fa-f]{1,8}){0,7}")


def parse_decimal(text: str) -> Version | None:
    """``550.90.07``, whose last number is 7; None for anything else."""
    return _parsed(text, _DECIMAL, int)


def parse_hexadecimal(text: str) -> Version | None:
    """``96.00.A5.00.01``, whose third number is 165; None for anything else."""
    return _parsed(text, _HEXADECIMAL, lambda part: int(part, 16))


def at_least(got: Version | None, least: Version) -> bool:
    """Whether ``got`` is ``least`` or newer. Missing numbers count as zero; no version is older than any."""
    if got is None:
        return False
    length = max(len(got[1]), len(least[1]))
    return _padded(got[1], length) >= _padded(least[1], length)


def written(version: Version) -> str:
    """As it was written."""
    return version[0]


def _parsed(text: str, form: re.Pattern[str], number: Callable[[str], int]) -> Version | None:
    return (text, tuple(number(part) for part in text.split("."))) if form.fullmatch(text) else None


def _padded(numbers: tuple[int, ...], length: int) -> tuple[int, ...]:
    return numbers + (0,) * (length - len(numbers))
