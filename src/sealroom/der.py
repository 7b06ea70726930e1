"""A reader of DER (ITU-T X.690), as much of it as certificates and revocation lists need.

Why not the one of a library: real VCEK and VLEK certificates carry the serial number 0, about which `cryptography`
warns today and which it will refuse one day. Signatures and keys still go through `cryptography`; only the bytes of
the certificate are read here.

Strict: definite lengths in their shortest form, tags of one byte, no element longer than what holds it, and nothing
left over where a structure ends. Every error is a `MalformedError` with the code ``x509.der``.
"""

from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from sealroom.errors import MalformedError

__all__ = [
    "BIT_STRING",
    "BOOLEAN",
    "CONTEXT_0",
    "CONTEXT_3",
    "ENUMERATED",
    "GENERALIZED_TIME",
    "IA5_STRING",
    "INTEGER",
    "NULL",
    "OBJECT_IDENTIFIER",
    "OCTET_STRING",
    "SEQUENCE",
    "SET",
    "UTC_TIME",
    "DerReader",
    "Element",
    "dotted",
    "read_all",
    "read_parts",
    "read_whole",
]

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
NULL = 0x05
OBJECT_IDENTIFIER = 0x06
ENUMERATED = 0x0A
IA5_STRING = 0x16
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30
SET = 0x31
CONTEXT_0 = 0xA0
CONTEXT_3 = 0xA3

_MAX_INTEGER = 32
"""Bytes; serial numbers have 20 at most (RFC 5280 section 4.1.2.2), and keys are read by the library."""
_MAX_OID = 64
"""Bytes."""


class Element(NamedTuple):
    """One element: its tag, its content, and all of its bytes including the header."""

    tag: int
    content: bytes
    whole: bytes

    def reader(self) -> "DerReader":
        """A reader of what is inside."""
        return DerReader(self.content)

    def integer(self) -> int:
        """The value of an INTEGER, in the shortest two's complement form."""
        content = self.content
        redundant = len(content) > 1 and (
            (content[0] == 0x00 and content[1] < 0x80) or (content[0] == 0xFF and content[1] >= 0x80)
        )
        if not content or redundant:
            raise _malformed("an INTEGER is empty or not in its shortest form", got=content[:8].hex())
        if len(content) > _MAX_INTEGER:
            raise _malformed("an INTEGER is larger than any that we read", got=f"{len(content)} bytes")
        return int.from_bytes(content, "big", signed=True)

    def boolean(self) -> bool:
        """The value of a BOOLEAN: 00 or FF."""
        if self.content not in {b"\x00", b"\xff"}:
            raise _malformed("a BOOLEAN is neither 00 nor FF", got=self.content[:8].hex())
        return self.content == b"\xff"

    def bits(self) -> bytes:
        """The bytes of a BIT STRING whose length is a multiple of eight."""
        if not self.content or self.content[0] != 0:
            raise _malformed("a BIT STRING has unused bits where whole bytes belong", got=self.content[:1].hex())
        return self.content[1:]

    def flags(self) -> int:
        """The named bits of a BIT STRING, bit 0 (the first) as the lowest bit of the result."""
        if not self.content or self.content[0] > 7 or (len(self.content) == 1 and self.content[0]):
            raise _malformed("a BIT STRING has no count of unused bits, or a wrong one", got=self.content[:1].hex())
        unused, octets = self.content[0], self.content[1:]
        if octets and octets[-1] & ((1 << unused) - 1):
            raise _malformed("unused bits of a BIT STRING are set", got=self.content.hex())
        return sum(1 << (8 * i + bit) for i, octet in enumerate(octets) for bit in range(8) if octet & (0x80 >> bit))

    def oid(self) -> str:
        """The value of an OBJECT IDENTIFIER in dotted form."""
        return dotted(self.content)

    def time(self) -> datetime:
        """The value of a UTCTime or GeneralizedTime in the only forms that RFC 5280 section 4.1.2.5 allows."""
        if self.tag == UTC_TIME and len(self.content) == 13:
            # RFC 5280: two-digit years from 50 on are of the twentieth century
            century = b"19" if self.content[:2] >= b"50" else b"20"
            text = century + self.content
        elif self.tag == GENERALIZED_TIME and len(self.content) == 15:
            text = self.content
        else:
            raise _malformed("a time is in no form that a certificate may have", got=self.content[:20].hex())
        digits = text[:14]
        # a day has no hour 24 here, whatever a newer reader of ISO 8601 makes of it
        if not digits.isdigit() or text[14:] != b"Z" or digits[8:10] > b"23":
            raise _malformed("a time is in no form that a certificate may have", got=self.content.hex())
        try:
            return datetime.fromisoformat(f"{digits[:8].decode()}T{digits[8:].decode()}+00:00")
        except ValueError:
            raise _malformed("a time names no moment", got=text.decode("ascii")) from None


_element = tuple.__new__
"""Makes an `Element` without the function that a named tuple puts before it: this is done for every byte or two."""


class DerReader:
    """Takes one element after the other out of ``data``."""

    __slots__ = ("_data", "_offset")

    def __init__(self, data: bytes, offset: int = 0) -> None:
        self._data = data
        self._offset = offset

    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self._offset == len(self._data)

    def next_is(self, tag: int) -> bool:
        """Whether the next element has this tag."""
        return self._offset < len(self._data) and self._data[self._offset] == tag

    def take(self, *tags: int) -> Element:
        """The next element, which must have one of ``tags`` (any, if none is given)."""
        start = self._offset
        data = self._data
        if len(data) - start < 2:
            raise _malformed("an element is cut off", where=start, got=data[start : start + 2].hex())
        tag = data[start]
        if tag & 0x1F == 0x1F or (tags and tag not in tags):
            wanted = " or ".join(f"0x{tag:02x}" for tag in tags) or "a tag of one byte"
            raise _malformed(
                "an element of another kind is expected", where=start, got=f"0x{tag:02x}", expected=wanted
            )
        size, begin = data[start + 1], start + 2
        if size >= 0x80:  # most lengths are of one byte or of two, and are not worth a call
            if size == 0x82 and len(data) - start > 3 and data[start + 2]:
                size, begin = data[start + 2] << 8 | data[start + 3], start + 4
            else:
                size, begin = self._length(start + 1)
        end = begin + size
        if end > len(data):
            raise _malformed("an element is longer than what holds it", where=start, got=f"{size} bytes",
                             expected=f"at most {len(data) - begin}")  # fmt: skip
        self._offset = end
        return _element(Element, (tag, data[begin:end], data[start:end]))

    def take_if(self, tag: int) -> Element | None:
        """The next element if it has this tag."""
        return self.take(tag) if self.next_is(tag) else None

    def end(self) -> None:
        """Raise unless nothing is left."""
        if not self.at_end():
            raise _malformed("bytes follow the end of a structure", where=self._offset,
                             got=f"{len(self._data) - self._offset} bytes", expected="none")  # fmt: skip

    def _length(self, at: int) -> tuple[int, int]:
        """The length that is written at ``at`` in the long form, and where the content begins."""
        count = self._data[at] & 0x7F
        octets = self._data[at + 1 : at + 1 + count]
        # four bytes of length are 4 GiB; 0x80 is the indefinite form, which DER does not have
        if not 1 <= count <= 4 or len(octets) != count or octets[0] == 0 or (count == 1 and octets[0] < 0x80):
            raise _malformed(
                "a length is not in its shortest definite form", where=at, got=self._data[at : at + 5].hex()
            )
        return int.from_bytes(octets, "big"), at + 1 + count


def read_whole(data: bytes, tag: int) -> Element:
    """The one element that fills ``data``."""
    reader = DerReader(data)
    element = reader.take(tag)
    reader.end()
    return element


def read_all(data: bytes) -> list[Element]:
    """The elements that fill ``data``: as a reader takes them one by one, in one go."""
    found = []
    start, size_of_all = 0, len(data)
    while start < size_of_all:
        begin = start + 2
        end = begin + (data[start + 1] if begin <= size_of_all else 0)
        if end > size_of_all or data[start] & 0x1F == 0x1F or end - begin >= 0x80:  # refused, or of a long form
            element = DerReader(data, start).take()
            end = start + len(element.whole)
        else:
            element = _element(Element, (data[start], data[begin:end], data[start:end]))
        found.append(element)
        start = end
    return found


def read_parts(data: bytes) -> list[tuple[int, bytes]]:
    """As `read_all`: tag and content alone."""
    found = []
    start, size_of_all = 0, len(data)
    while start < size_of_all:
        begin = start + 2
        end = begin + (data[start + 1] if begin <= size_of_all else 0)
        if end > size_of_all or data[start] & 0x1F == 0x1F or end - begin >= 0x80:
            element = DerReader(data, start).take()
            found.append((element.tag, element.content))
            start += len(element.whole)
        else:
            found.append((data[start], data[begin:end]))
            start = end
    return found


@lru_cache(maxsize=256)
def dotted(content: bytes) -> str:
    """An OBJECT IDENTIFIER in dotted form, from its content."""
    if not content or content[-1] & 0x80 or len(content) > _MAX_OID:
        raise _malformed("an OBJECT IDENTIFIER is empty, cut off or too long", got=content[:16].hex())
    arcs: list[int] = []
    value, fresh = 0, True
    for octet in content:
        if fresh and octet == 0x80:
            raise _malformed("an OBJECT IDENTIFIER is not in its shortest form", got=content[:16].hex())
        value = value << 7 | octet & 0x7F
        fresh = octet < 0x80
        if fresh:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(str(arc) for arc in (first, arcs[0] - 40 * first, *arcs[1:]))


def _malformed(message: str, *, where: int | None = None, got: str, expected: str | None = None) -> MalformedError:
    place = None if where is None else f"byte 0x{where:x} of its structure"
    return MalformedError("x509.der", message, where=place, got=got, expected=expected)
