"""A line of a derived policy, with the comment that says what it pins.

Three kinds. What is *pinned* counts as it stands. What has to be *decided* weakens the policy, and what is *optional*
makes it narrower: both are written as comments, and count when somebody takes the ``#`` away.
"""

import json
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Entry", "Notes", "decide", "heading", "hexes", "note", "option", "pin", "quoted", "rendered", "texts"]

_WIDTH = 118

Notes: TypeAlias = Mapping[str, Sequence[str]]
"""By measurement: what an event log that leads to it says."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Comment, then the line itself."""

    why: str
    line: str
    counts: bool = True
    """False: the line is written as a comment."""
    question: str | None = None
    """What somebody has to decide before the policy accepts the evidence, or should know of what it accepts."""
    details: Sequence[str] = ()
    """Further lines of comment, not wrapped."""


def pin(key: str, value: str, why: str, *, question: str | None = None, details: Sequence[str] = ()) -> Entry:
    """``key`` counts as it stands."""
    return Entry(why, f"{key} = {value}", question=question, details=details)


def decide(key: str, value: str, why: str, question: str) -> Entry:
    """``key`` would let pass what is refused without it."""
    return Entry(f"DECIDE: {why}", f"{key} = {value}", counts=False, question=question)


def option(key: str, value: str, why: str) -> Entry:
    """``key`` would narrow what is accepted."""
    return Entry(f"OPTION: {why}", f"{key} = {value}", counts=False)


def heading(table: str, why: str) -> Entry:
    """The beginning of ``table``."""
    return Entry(why, f"[{table}]")


def note(why: str, *, question: str | None = None) -> Entry:
    """A comment alone."""
    return Entry(why, "", question=question)


def rendered(entries: Iterable[Entry]) -> Iterator[str]:
    """The lines of the document."""
    for entry in entries:
        if entry.line.startswith("["):
            yield ""
        yield from (f"# {line}" for line in textwrap.wrap(_plain(entry.why), _WIDTH - 2, break_on_hyphens=False))
        yield from (f"#   {_plain(line)}"[:_WIDTH] for line in entry.details)
        if entry.line:
            yield entry.line if entry.counts else f"# {entry.line}"


def quoted(text: str) -> str:
    """A TOML string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def texts(values: Iterable[str]) -> str:
    """A list of TOML strings."""
    return f"[{', '.join(map(quoted, values))}]"


def hexes(value: bytes) -> str:
    """A list of one value in hexadecimal."""
    return texts([value.hex()])


def _plain(text: str) -> str:
    """What a stranger wrote can end no comment."""
    return "".join(
        letter if unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Zl", "Zp") else ascii(letter)[1:-1]
        for letter in text
    )
