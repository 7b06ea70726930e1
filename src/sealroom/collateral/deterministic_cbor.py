"""The part of CBOR that our own formats use, read strictly: one value has one encoding.

Maps with text keys, arrays, text, bytes and unsigned integers; definite lengths in shortest form, keys in bytewise
order (RFC 8949 section 4.2.1). A general decoder would first build whatever a stranger wrote, tags and huge numbers
included, and judge it afterwards; this one stops at the first byte that can not be ours.
"""

from typing import TypeAlias, cast

from sealroom.cbor import CborValue as AnyCborValue
from sealroom.cbor import cbor_head, encode_cbor, is_encoding
from sealroom.errors import MalformedError

__all__ = ["MAX_DEPTH", "CborValue", "decode", "encode", "is_encoding_of"]

CborValue: TypeAlias = "int | bytes | str | list[CborValue] | dict[str, CborValue]"

MAX_DEPTH = 3
"""Nested maps and arrays: the collection, a member, a record."""

_LEAST = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}
"""The least number that each longer form of a head is for."""
_BYTES, _MAP = 2, 5


def encode(value: CborValue) -> bytes:
    """The one encoding of ``value``."""
    return encode_cbor(cast("AnyCborValue", value))


def is_encoding_of(raw: bytes, value: CborValue) -> bool:
    """Whether ``raw`` is the one encoding of ``value``."""
    return is_encoding(raw, cast("AnyCborValue", value))


def decode(raw: bytes) -> CborValue:
    """Read one value that fills ``raw``.

    Raises:
        MalformedError: ``cbor.*``, with the offset, for anything that `encode` could not have written.
    """
    value, end = _value(raw, 0, 0)
    if end != len(raw):
        raise MalformedError("cbor.trailing", "bytes follow the value", where=hex(end),
                             got=f"{len(raw) - end} bytes", expected="the end")  # fmt: skip
    return value


def _value(raw: bytes, start: int, depth: int) -> tuple[CborValue, int]:
    """The value that begins at ``start``, and where it ends; every length is checked against what is left before
    anything is built."""
    if start < len(raw) and (number := raw[start] & 0x1F) < 24:  # as most heads are
        major, at = raw[start] >> 5, start + 1
    else:
        major, number, at = _head(raw, start)
    match major:
        case 0:
            return number, at
        case 2 | 3:
            end = at + number
            if end > len(raw):
                raise _truncated(at, number, len(raw) - at)
            return (raw[at:end] if major == _BYTES else _text(raw[at:end], start)), end
        case 4 | 5:
            return _nested(raw, start, (major, number, at), depth)
    raise MalformedError("cbor.unexpected-type", "a CBOR type that this format does not use", where=hex(start),
                         got=f"initial byte {raw[start]:#04x}",
                         expected="an unsigned integer, bytes, text, an array or a map")  # fmt: skip


def _nested(raw: bytes, start: int, head: tuple[int, int, int], depth: int) -> tuple[CborValue, int]:
    """The array or map whose ``head`` stands at ``start``."""
    major, number, at = head
    if depth >= MAX_DEPTH:
        raise MalformedError("cbor.too-deep", "the value is nested too deeply", where=hex(start),
                             expected=f"at most {MAX_DEPTH} levels")  # fmt: skip
    if number > len(raw) - at:  # an element takes a byte at least: a lie is found before the loop
        raise _truncated(start, number, len(raw) - at)
    if major == _MAP:
        return _map(raw, at, number, depth)
    items: list[CborValue] = []
    for _ in range(number):
        item, at = _value(raw, at, depth + 1)
        items.append(item)
    return items, at


def _head(raw: bytes, start: int) -> tuple[int, int, int]:
    """Major type and number of the head at ``start``, and where it ends."""
    if start >= len(raw):
        raise _truncated(start, 1, 0)
    initial = raw[start]
    major, info, at = initial >> 5, initial & 0x1F, start + 1
    if info < 24:
        return major, info, at
    if info > 27:
        raise MalformedError("cbor.unexpected-type", "an indefinite or reserved length", where=hex(start),
                             got=f"initial byte {initial:#04x}", expected="a definite length")  # fmt: skip
    end = at + (1 << (info - 24))
    if end > len(raw):
        raise _truncated(at, end - at, len(raw) - at)
    number = int.from_bytes(raw[at:end], "big")
    if number < _LEAST[info] and major <= _MAP:
        raise MalformedError("cbor.not-shortest", "a number or length is not in its shortest form",
                             where=hex(start), got=raw[start:end].hex(),
                             expected=cbor_head(major, number).hex())  # fmt: skip
    return major, number, end


def _map(raw: bytes, at: int, count: int, depth: int) -> tuple[dict[str, CborValue], int]:
    found: dict[str, CborValue] = {}
    last = b""
    for _ in range(count):
        start = at
        key, at = _value(raw, start, depth + 1)
        encoded = raw[start:at]
        if not isinstance(key, str):
            raise MalformedError("cbor.key-type", "a map key is not text", where=hex(start))
        if encoded <= last:
            raise MalformedError("cbor.key-order", "map keys are out of order or repeated", where=hex(start),
                                 got=repr(key), expected="strictly ascending encodings")  # fmt: skip
        last = encoded
        found[key], at = _value(raw, at, depth + 1)
    return found, at


def _text(content: bytes, start: int) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedError("cbor.not-utf8", "text is not UTF-8", where=hex(start)) from None


def _truncated(offset: int, wanted: int, left: int) -> MalformedError:
    return MalformedError("cbor.truncated", "the input ends early", where=hex(offset),
                          got=f"{left} bytes", expected=f"{wanted} at least")  # fmt: skip
