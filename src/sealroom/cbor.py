"""CBOR (RFC 8949) as other people's evidence is written in, read strictly, with limits.

Vendors do not write canonical CBOR: maps of indefinite length, and integers in any width, are in real attestation
documents. What is refused is what two readers could read differently, or what only costs time: a key twice, bytes
after the value, text that is not UTF-8, reserved forms, simple values that stand for nothing, too deep, too many.

Our own formats are read by `collateral.deterministic_cbor`, which takes one encoding only.
"""

import math
import struct
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import TypeAlias

from sealroom.errors import MalformedError, MisuseError

__all__ = [
    "CborKey",
    "CborValue",
    "Tagged",
    "cbor_head",
    "encode_cbor",
    "is_encoding",
    "read_cbor",
    "read_cbor_prefix",
]

MAX_DEPTH = 16
MAX_ITEMS = 4096
_SHORT = 80
"""Characters of a text whose encoding is kept."""

CborKey: TypeAlias = int | str | bytes
CborValue: TypeAlias = "int | float | bytes | str | bool | list[CborValue] | dict[CborKey, CborValue] | Tagged | None"

_UINT, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_INDEFINITE = 31
_BREAK = 0xFF
_FALSE, _TRUE, _NULL = 20, 21, 22


@dataclass(frozen=True, slots=True)
class Tagged:
    """A value under a tag (RFC 8949 section 3.4). The tag means what the reader of the format says."""

    tag: int
    value: "CborValue"


def read_cbor(raw: bytes, *, area: str = "cbor", max_depth: int = MAX_DEPTH, max_items: int = MAX_ITEMS) -> CborValue:
    """Read one value that fills ``raw``.

    Args:
        raw: untrusted.
        area: first word of the error codes.
        max_depth: of nested arrays, maps and tags.
        max_items: values in all.

    Raises:
        MalformedError: ``AREA.cbor-*``, with the offset.
    """
    value, rest = read_cbor_prefix(raw, area=area, max_depth=max_depth, max_items=max_items)
    if rest:
        raise MalformedError(f"{area}.cbor-trailing", "bytes follow the CBOR value", where=hex(len(raw) - len(rest)),
                             got=f"{len(rest)} bytes", expected="the end")  # fmt: skip
    return value


def read_cbor_prefix(
    raw: bytes, *, area: str = "cbor", max_depth: int = MAX_DEPTH, max_items: int = MAX_ITEMS
) -> tuple[CborValue, bytes]:
    """As `read_cbor`, for a value with something behind it: returns that too."""
    reader = _Reader(raw, area, max_depth, max_items)
    value = reader.value(depth=0)
    return value, raw[reader.offset :]


def encode_cbor(value: CborValue) -> bytes:
    """The deterministic encoding of ``value`` (RFC 8949 section 4.2.1); floats are not written."""
    parts: list[bytes] = []
    _write(value, parts)
    return b"".join(parts)


def is_encoding(raw: bytes, value: CborValue) -> bool:
    """Whether ``raw`` is what `encode_cbor` writes for ``value``; compared part by part, nothing large is made."""
    parts: list[bytes] = []
    _write(value, parts)
    at = 0
    for part in parts:
        if not raw.startswith(part, at):
            return False
        at += len(part)
    return at == len(raw)


def _write(value: CborValue, parts: list[bytes]) -> None:
    """Add the encoding of ``value`` to ``parts``: what is large is copied once, when they are joined."""
    if isinstance(value, bytes):
        parts += (cbor_head(_BYTES, len(value)), value)
    elif isinstance(value, str):
        parts.append(_short_text(value) if len(value) <= _SHORT else _text(value))
    elif value is None or isinstance(value, bool):
        parts.append(bytes([_SIMPLE << 5 | (_NULL if value is None else _TRUE if value else _FALSE)]))
    elif isinstance(value, int):
        parts.append(cbor_head(_UINT, value) if value >= 0 else cbor_head(_NEGATIVE, -1 - value))
    elif isinstance(value, list):
        parts.append(cbor_head(_ARRAY, len(value)))
        for item in value:
            _write(item, parts)
    elif isinstance(value, dict):
        parts.append(cbor_head(_MAP, len(value)))
        for name, item in sorted([(_key(key), item) for key, item in value.items()], key=itemgetter(0)):
            parts.append(name)
            _write(item, parts)
    elif isinstance(value, Tagged):
        parts.append(cbor_head(_TAG, value.tag))
        _write(value.value, parts)
    else:
        raise MisuseError("cbor.not-written", "a value of this type is not written", got=type(value).__name__)


def _key(value: CborKey) -> bytes:
    return _short_text(value) if isinstance(value, str) and len(value) <= _SHORT else encode_cbor(value)


def _text(value: str) -> bytes:
    text = value.encode()
    return cbor_head(_TEXT, len(text)) + text


_short_text = lru_cache(maxsize=512)(_text)
"""Of names and media types, which are few and come again and again."""


@lru_cache(maxsize=1024)
def cbor_head(major: int, number: int) -> bytes:
    """The shortest head for ``number`` under a major type (RFC 8949 section 3)."""
    if number < 24:
        return bytes((major << 5 | number,))
    for size, info in ((1, 24), (2, 25), (4, 26), (8, 27)):
        if number < 1 << (8 * size):
            return bytes((major << 5 | info,)) + number.to_bytes(size, "big")
    raise MisuseError("cbor.not-written", "the number does not fit 64 bits", got=number)


class _Reader:
    """Reads forward; every length is checked against what is left before anything is built."""

    def __init__(self, raw: bytes, area: str, max_depth: int, max_items: int) -> None:
        self.raw = raw
        self.offset = 0
        self._area = area
        self._max_depth = max_depth
        self._items_left = max_items

    def value(self, *, depth: int) -> CborValue:  # noqa: PLR0911 - one row for each major type
        if depth > self._max_depth:
            raise self._bad("too-deep", "the value is nested too deep", expected=f"at most {self._max_depth}")
        self._items_left -= 1
        if self._items_left < 0:
            raise self._bad("too-many", "there are too many values")
        start = self.offset
        first = self._octets(1)[0]
        major, info = first >> 5, first & 0x1F
        match major:
            case 0:
                return self._number(info)
            case 1:
                return -1 - self._number(info)
            case 2 | 3:
                return self._string(major, info, start)
            case 4:
                return self._array(info, depth)
            case 5:
                return self._map(info, depth)
            case 6:
                return Tagged(self._number(info), self.value(depth=depth + 1))
        return self._simple(info, start)

    def _string(self, major: int, info: int, start: int) -> bytes | str:
        if info == _INDEFINITE:
            chunks = []
            while not self._at_break():
                first = self._octets(1)[0]
                if first >> 5 != major or first & 0x1F == _INDEFINITE:
                    raise self._bad("chunk", "a chunk of a string is of another kind than the string")
                chunks.append(self._chunk(major, first & 0x1F, start))
            return b"".join(chunks) if major == _BYTES else "".join(str(chunk, "utf-8") for chunk in chunks)
        content = self._chunk(major, info, start)
        return content if major == _BYTES else str(content, "utf-8")

    def _chunk(self, major: int, info: int, start: int) -> bytes:
        content = self._octets(self._number(info))
        if major == _TEXT:
            try:
                content.decode("utf-8")
            except UnicodeDecodeError:
                self.offset = start
                raise self._bad("not-utf8", "a text is not UTF-8") from None
        return content

    def _array(self, info: int, depth: int) -> list[CborValue]:
        if info == _INDEFINITE:
            items: list[CborValue] = []
            while not self._at_break():
                items.append(self.value(depth=depth + 1))
            return items
        return [self.value(depth=depth + 1) for _ in range(self._count(info))]

    def _map(self, info: int, depth: int) -> dict[CborKey, CborValue]:
        pairs: dict[CborKey, CborValue] = {}
        if info == _INDEFINITE:
            while not self._at_break():
                self._pair(pairs, depth)
        else:
            for _ in range(self._count(info)):
                self._pair(pairs, depth)
        return pairs

    def _pair(self, pairs: dict[CborKey, CborValue], depth: int) -> None:
        start = self.offset
        key = self.value(depth=depth + 1)
        if isinstance(key, bool) or not isinstance(key, int | str | bytes):
            self.offset = start
            raise self._bad("key-type", "a map key is neither integer, text nor bytes", got=type(key).__name__)
        if key in pairs:
            self.offset = start
            raise self._bad("duplicate-key", "a map key stands twice", got=ascii(key)[:80])
        pairs[key] = self.value(depth=depth + 1)

    def _simple(self, info: int, start: int) -> bool | float | None:
        if info in {_FALSE, _TRUE, _NULL}:
            return None if info == _NULL else info == _TRUE
        sizes = {25: ">e", 26: ">f", 27: ">d"}
        if info in sizes:
            number: float = struct.unpack(sizes[info], self._octets(struct.calcsize(sizes[info])))[0]
            if math.isfinite(number):
                return number
        self.offset = start
        raise self._bad("simple-value", "a simple value that stands for nothing here", got=info)

    def _count(self, info: int) -> int:
        count = self._number(info)
        if count > self._items_left:
            raise self._bad("too-many", "there are more values than are read", got=count)
        return count

    def _number(self, info: int) -> int:
        if info < 24:
            return info
        if info > 27:
            raise self._bad("reserved", "a reserved form of a length or number", got=info)
        return int.from_bytes(self._octets(1 << (info - 24)), "big")

    def _octets(self, size: int) -> bytes:
        end = self.offset + size
        if end > len(self.raw):
            raise self._bad("truncated", "the CBOR value ends early", got=f"{len(self.raw) - self.offset} bytes",
                            expected=f"{size} bytes")  # fmt: skip
        octets = self.raw[self.offset : end]
        self.offset = end
        return octets

    def _at_break(self) -> bool:
        if self.offset < len(self.raw) and self.raw[self.offset] == _BREAK:
            self.offset += 1
            return True
        return False

    def _bad(self, what: str, message: str, *, got: object = None, expected: object = None) -> MalformedError:
        return MalformedError(f"{self._area}.cbor-{what}", message, where=hex(self.offset), got=got,
                              expected=expected)  # fmt: skip
