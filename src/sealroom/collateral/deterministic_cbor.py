"""The part of CBOR that our own formats use, read strictly: one value has one encoding.

Maps with text keys, arrays, text, bytes and unsigned integers; definite lengths in shortest form, keys in bytewise
order (RFC 8949 section 4.2.1). A general decoder would first build whatever a stranger wrote, tags and huge numbers
included, and judge it afterwards; this one stops at the first byte that can not be ours.
"""

from typing import TypeAlias, cast

from sealroom.cbor import CborValue as AnyCborValue
from sealroom.cbor import cbor_head, encode_cbor
from sealroom.errors import MalformedError

__all__ = ["MAX_DEPTH", "CborValue", "decode", "encode"]

CborValue: TypeAlias = "int | bytes | str | list[CborValue] | dict[str, CborValue]"

MAX_DEPTH = 3
"""Nested maps and arrays: the collection, a member, a record."""

_LEAST = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}
"""The least number that each longer form of a head is for."""
_UINT, _BYTES, _TEXT, _ARRAY, _MAP = 0, 2, 3, 4, 5


def encode(value: CborValue) -> bytes:
    """The one encoding of ``value``."""
    return encode_cbor(cast("AnyCborValue", value))


def decode(raw: bytes) -> CborValue:
    """Read one value that fills ``raw``.

    Raises:
        MalformedError: ``cbor.*``, with the offset, for anything that `encode` could not have written.
    """
    reader = _Reader(raw)
    value = reader.value(depth=0)
    if reader.offset != len(raw):
        raise MalformedError("cbor.trailing", "bytes follow the value", where=hex(reader.offset),
                             got=f"{len(raw) - reader.offset} bytes", expected="the end")  # fmt: skip
    return value


class _Reader:
    """Reads forward; every length is checked against what is left before anything is built."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.offset = 0

    def value(self, depth: int) -> CborValue:
        start = self.offset
        major, number = self._read_head()
        if major in (_ARRAY, _MAP) and depth >= MAX_DEPTH:
            raise MalformedError("cbor.too-deep", "the value is nested too deeply", where=hex(start),
                                 expected=f"at most {MAX_DEPTH} levels")  # fmt: skip
        match major:
            case 0:
                return number
            case 2:
                return self._take(number)
            case 3:
                return self._text(number, start)
            case 4:
                self._must_hold(number, start)
                return [self.value(depth + 1) for _ in range(number)]
            case 5:
                self._must_hold(number, start)
                return self._map(number, depth)
        raise MalformedError("cbor.unexpected-type", "a CBOR type that this format does not use", where=hex(start),
                             got=f"initial byte {self.raw[start]:#04x}",
                             expected="an unsigned integer, bytes, text, an array or a map")  # fmt: skip

    def _read_head(self) -> tuple[int, int]:
        start = self.offset
        initial = self._take(1)[0]
        major, info = initial >> 5, initial & 0x1F
        if info > 27:
            raise MalformedError("cbor.unexpected-type", "an indefinite or reserved length", where=hex(start),
                                 got=f"initial byte {initial:#04x}", expected="a definite length")  # fmt: skip
        if info < 24:
            return major, info
        number = int.from_bytes(self._take(1 << (info - 24)), "big")
        if number < _LEAST[info] and major <= _MAP:
            raise MalformedError("cbor.not-shortest", "a number or length is not in its shortest form",
                                 where=hex(start), got=self.raw[start : self.offset].hex(),
                                 expected=cbor_head(major, number).hex())  # fmt: skip
        return major, number

    def _map(self, count: int, depth: int) -> dict[str, CborValue]:
        found: dict[str, CborValue] = {}
        last = b""
        for _ in range(count):
            start = self.offset
            key = self.value(depth + 1)
            encoded = self.raw[start : self.offset]
            if not isinstance(key, str):
                raise MalformedError("cbor.key-type", "a map key is not text", where=hex(start))
            if encoded <= last:
                raise MalformedError("cbor.key-order", "map keys are out of order or repeated", where=hex(start),
                                     got=repr(key), expected="strictly ascending encodings")  # fmt: skip
            last = encoded
            found[key] = self.value(depth + 1)
        return found

    def _text(self, size: int, start: int) -> str:
        try:
            return self._take(size).decode("utf-8")
        except UnicodeDecodeError:
            raise MalformedError("cbor.not-utf8", "text is not UTF-8", where=hex(start)) from None

    def _must_hold(self, count: int, start: int) -> None:
        """An element takes a byte at least: a count beyond what is left is a lie, found before the loop."""
        if count > len(self.raw) - self.offset:
            raise _truncated(start, count, len(self.raw) - self.offset)

    def _take(self, size: int) -> bytes:
        if size > len(self.raw) - self.offset:
            raise _truncated(self.offset, size, len(self.raw) - self.offset)
        taken = self.raw[self.offset : self.offset + size]
        self.offset += size
        return taken


def _truncated(offset: int, wanted: int, left: int) -> MalformedError:
    return MalformedError("cbor.truncated", "the input ends early", where=hex(offset),
                          got=f"{left} bytes", expected=f"{wanted} at least")  # fmt: skip
