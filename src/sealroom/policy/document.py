"""A TOML document as typed tables: every key is asked for by name and type, and every other key is an error.

The errors name the key, the line where it stands, and the nearest key that is known.
"""

import difflib
import re
import tomllib
import unicodedata
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, TypeVar

from sealroom.errors import MalformedError
from sealroom.toml_keys import MOST_PARTS, has_long_key

__all__ = ["MAX_DOCUMENT_SIZE", "Table", "read_document"]

MAX_DOCUMENT_SIZE = 256 * 1024
_MAX_TEXT = 300
_MAX_EXPRESSION = 2000
_HEADER = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")

T = TypeVar("T")


def read_document(raw: bytes, *, source: str, known: Sequence[str]) -> "Table":
    """Read the top table of a document.

    Raises:
        MalformedError: ``policy.too-large``, ``policy.not-toml``, ``policy.empty``, ``policy.unknown-key``.
    """
    if len(raw) > MAX_DOCUMENT_SIZE:
        raise MalformedError("policy.too-large", "the policy is too large", where=source,
                             expected=f"at most {MAX_DOCUMENT_SIZE} bytes")  # fmt: skip
    try:
        text = raw.decode("utf-8")
        if has_long_key(text):
            raise MalformedError(
                "policy.not-toml", f"the policy has a key of more than {MOST_PARTS} parts", where=source
            )
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOML and UTF-8 errors are both a ValueError
        raise MalformedError("policy.not-toml", "the policy is not TOML", where=source, got=str(error)) from None
    if not values:
        raise MalformedError("policy.empty", "the policy is empty, and an empty policy accepts nothing", where=source,
                             hint="spec/policy.md section 2 shows a whole one")  # fmt: skip
    return Table(values, path="", place=_Places(text, source), known=known)


class _Places:
    """Where keys stand, found by looking: good enough for a message, never used for a decision."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self.lines: dict[str, int] = {}
        path = ""
        for number, line in enumerate(text.splitlines(), start=1):
            if header := _HEADER.match(line):
                path = _plain(header[1])
                self.lines.setdefault(path, number)
            elif key := _KEY.match(line):
                self.lines.setdefault(f"{path}.{_plain(key[1])}".lstrip("."), number)

    def of(self, path: str) -> str:
        """``FILE:LINE: [table] key``, without the line where it is not known."""
        line = self.lines.get(path)
        table, _, key = path.rpartition(".")
        shown = f"[{table}] {key}" if table else key or "the top level"
        return f"{self.source}:{line}: {shown}" if line else f"{self.source}: {shown}"


def _counted(value: str) -> str:
    """What can be wrong with hexadecimal digits that look right: their number, and one letter among them."""
    foreign = re.search("[^0-9a-f]", value)
    count = "1 character" if len(value) == 1 else f"{len(value)} characters"
    return f"it has {count}" + (f", and {foreign[0]!r} as the {foreign.start() + 1}th is no digit" if foreign else "")


def _plain(dotted: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in dotted.split("."))


class Table:
    """One table, whose keys are taken by name and type. What is absent reads as the default."""

    def __init__(self, values: dict[str, Any], *, path: str, place: _Places, known: Sequence[str]) -> None:
        self._values = values
        self._path = path
        self._place = place
        for key in values:
            if known and key not in known:
                close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
                raise MalformedError("policy.unknown-key", f"the policy has an unknown key {key!r:.80}",
                                     where=self.where(key), expected=", ".join(known),
                                     hint=f"did you mean {close[0]!r}?" if close else None)  # fmt: skip

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __iter__(self) -> Any:
        return iter(self._values)

    def where(self, key: str) -> str:
        """Where ``key`` stands, or would stand."""
        return self._place.of(f"{self._path}.{key}" if self._path else key)

    def must_have(self, *keys: str) -> None:
        """Refuse the document if one of ``keys`` is absent."""
        for key in keys:
            if key not in self._values:
                raise MalformedError("policy.missing-key", f"the policy lacks {key!r}", where=self.where(key))

    def table(self, key: str, known: Sequence[str] = ()) -> "Table":
        """The table ``key``, empty if absent. Without ``known`` any key may stand in it."""
        values = self._typed(key, dict, "a table", {})
        path = f"{self._path}.{key}" if self._path else key
        return Table(values, path=path, place=self._place, known=known)

    def is_table(self, key: str) -> bool:
        """Whether ``key`` is there and is a table, where it may be something else as well."""
        return isinstance(self._values.get(key), dict)

    def tables(self, key: str, known: Sequence[str]) -> tuple["Table", ...]:
        """The array of tables ``key``."""
        found: list[Any] = self._typed(key, list, f"an array of tables, [[{key}]]", [])
        if key in self._values and (not found or not all(isinstance(item, dict) for item in found)):
            raise self._wrong_type(key, "other things", f"an array of tables, [[{key}]]")
        return tuple(Table(item, path=key, place=self._place, known=known) for item in found)

    def text(self, key: str, *, default: str = "", limit: int = _MAX_TEXT) -> str:
        """A line of text without control characters."""
        value: str = self._typed(key, str, "text", default)
        return self._checked_text(key, value, limit) if key in self._values else default

    def day(self, key: str) -> date | None:
        """A date, as TOML writes one or as the same ten characters of text; None if absent."""
        if key not in self._values or type(self._values[key]) is date:
            return self._values.get(key)
        text = self.text(key)
        try:
            found = date.fromisoformat(text)
        except ValueError:
            found = None
        if found is None or found.isoformat() != text:  # the library reads further spellings
            raise self.bad_value(key, text, "a day such as 2026-02-11")
        return found

    def expression(self, key: str) -> str:
        """An expression: like text, longer, line breaks allowed."""
        value: str = self._typed(key, str, "an expression", "")
        self._checked_text(key, re.sub(r"[\n\t]", " ", value), _MAX_EXPRESSION)
        return value

    def integer(self, key: str, *, low: int, high: int, default: int) -> int:
        """An integer from ``low`` to ``high``."""
        value = self._typed(key, int, "an integer", default)
        return self._in_range(key, value, low, high)

    def integers(self, key: str, *, low: int, high: int) -> tuple[int, ...]:
        """A list of integers from ``low`` to ``high``."""
        return self._list(key, int, "integers", lambda value: self._in_range(key, value, low, high))

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        return self._list(key, str, "texts", lambda value: self._checked_text(key, value, _MAX_TEXT))

    def flag(self, key: str) -> bool:
        """True or false; false if absent."""
        return self._typed(key, bool, "true or false", False)

    def choices(self, key: str, among: Sequence[str]) -> tuple[str, ...]:
        """A list of words of a fixed vocabulary."""
        return self._list(key, str, "texts", lambda value: self._chosen(key, value, among))

    def hexes(self, key: str, *sizes: int) -> tuple[bytes, ...]:
        """A list of as many bytes each as one of ``sizes``, in lower-case hexadecimal."""
        return self._list(key, str, "texts", lambda value: self._from_hex(key, value, *sizes))

    def digests(self, key: str) -> tuple[bytes, ...]:
        """A list of SHA-256 digests, each ``sha256:`` and 64 hexadecimal digits."""
        return self._list(key, str, "texts", lambda value: self._digest(key, value))

    def bad_value(self, key: str, got: object, expected: str, hint: str | None = None) -> MalformedError:
        """The error for a value of ``key`` that has the right type and is not acceptable."""
        return MalformedError("policy.bad-value", f"the policy has a value that {key!r} can not have",
                              where=self.where(key), got=f"{got!r:.120}", expected=expected, hint=hint)  # fmt: skip

    def _typed(self, key: str, kind: type[T], words: str, default: T) -> T:
        value = self._values.get(key, default)
        if type(value) is not kind:  # not isinstance: true is no integer here
            raise self._wrong_type(key, type(value).__name__, words)
        return value

    def _wrong_type(self, key: str, got: str, expected: str) -> MalformedError:
        return MalformedError("policy.wrong-type", f"the policy has a value of the wrong type for {key!r:.80}",
                              where=self.where(key), got=got, expected=expected)  # fmt: skip

    def _list(self, key: str, kind: type, words: str, read: Callable[[Any], T]) -> tuple[T, ...]:
        values: list[Any] = self._typed(key, list, f"a list of {words}", [])
        if key not in self._values:
            return ()
        if not values:
            raise self.bad_value(key, [], "at least one value", "leave the key out, or name what is accepted")
        for value in values:
            if type(value) is not kind:
                raise self._wrong_type(key, f"a list with {type(value).__name__}", f"a list of {words}")
        found = tuple(read(value) for value in values)
        if len(set(found)) != len(found):
            raise self.bad_value(key, values, "no value twice")
        return found

    def _in_range(self, key: str, value: int, low: int, high: int) -> int:
        if not low <= value <= high:
            raise self.bad_value(key, value, f"an integer from {low} to {high}")
        return value

    def _checked_text(self, key: str, value: str, limit: int) -> str:
        if not value.strip() or len(value) > limit:
            raise self.bad_value(key, value, f"text of 1 to {limit} characters")
        if any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") for letter in value):
            raise self.bad_value(key, ascii(value), "text without control characters")
        return value

    def _chosen(self, key: str, value: str, among: Sequence[str]) -> str:
        if value not in among:
            close = difflib.get_close_matches(value, among, n=1, cutoff=0.5)
            raise self.bad_value(key, value, "one of " + ", ".join(among),
                                 f"did you mean {close[0]!r}?" if close else None)  # fmt: skip
        return value

    def _from_hex(self, key: str, value: str, *sizes: int) -> bytes:
        if not re.fullmatch("[0-9a-f]*", value) or len(value) not in {2 * size for size in sizes}:
            wanted = " or ".join(str(2 * size) for size in sizes)
            raise self.bad_value(key, value, f"{wanted} hexadecimal digits in lower case",
                                 _counted(value))  # fmt: skip
        return bytes.fromhex(value)

    def _digest(self, key: str, value: str) -> bytes:
        if not value.startswith("sha256:"):
            raise self.bad_value(key, value, "sha256: and 64 hexadecimal digits in lower case")
        return self._from_hex(key, value.removeprefix("sha256:"), 32)
