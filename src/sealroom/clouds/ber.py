"""BER (ITU-T X.690) brought to DER, as much of it as other people's envelopes need.

What a writer that streams may do is undone: lengths that are not known in advance (indefinite, ended by two zero
bytes), and octet strings in chunks, whose chunks may be in chunks. The result is read by `sealroom.der`. All else is
as strict as there: tags of one byte, definite lengths in their shortest form, nothing left over.
"""

from sealroom.errors import MalformedError

__all__ = ["MAX_DEPTH", "definite"]

MAX_DEPTH = 12
"""Of elements in elements; an envelope of KMS has 7."""
_CONSTRUCTED = 0x20
_LONG_TAG = 0x1F
_STRING, _CHUNKED_STRING = 0x04, 0x24
_INDEFINITE = 0x80
_END = b"\x00\x00"

_Element = tuple[int, bytes]
"""Tag and content; what is inside is definite already."""


def definite(raw: bytes) -> bytes:
    """The one element that fills ``raw``, with definite lengths and whole octet strings. The caller bounds its size.

    Raises:
        MalformedError: ``ber.encoding``, with the offset.
    """
    reader = _Reader(raw)
    element = reader.element(len(raw), depth=0)
    if reader.offset != len(raw):
        raise reader.bad("bytes follow the end of the element", got=f"{len(raw) - reader.offset} bytes")
    return _written(element)


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.offset = 0

    def element(self, limit: int, *, depth: int) -> _Element:
        """The next element, which ends at ``limit`` or before."""
        if depth > MAX_DEPTH:
            raise self.bad("the elements are nested too deep", expected=f"at most {MAX_DEPTH}")
        tag = self._tag(limit)
        size = self._length(limit)
        if not tag & _CONSTRUCTED:
            if size is None:
                raise self.bad("an element with nothing inside has no length", got=f"0x{tag:02x}")
            return tag, self._octets(size, limit)
        return self._whole(tag, self._children(size, limit, depth))

    def _children(self, size: int | None, limit: int, depth: int) -> list[_Element]:
        if size is not None and size > limit - self.offset:
            raise self.bad("an element is longer than what holds it", got=f"{size} bytes")
        end = limit if size is None else self.offset + size
        children = []
        while not self._at_end(size, end):
            children.append(self.element(end, depth=depth + 1))
        return children

    def _at_end(self, size: int | None, end: int) -> bool:
        if size is not None:
            return self.offset == end
        if self.raw[self.offset : min(self.offset + 2, end)] == _END:
            self.offset += 2
            return True
        return False

    def _whole(self, tag: int, children: list[_Element]) -> _Element:
        if tag != _CHUNKED_STRING:
            return tag, b"".join(map(_written, children))
        if any(child != _STRING for child, _ in children):
            raise self.bad("a chunk of an octet string is of another kind")
        return _STRING, b"".join(content for _, content in children)

    def _tag(self, limit: int) -> int:
        tag = self._octets(1, limit)[0]
        if tag & _LONG_TAG == _LONG_TAG or tag in {0, _CONSTRUCTED}:
            raise self.bad("an element has a tag that has no place here", got=f"0x{tag:02x}")
        return tag

    def _length(self, limit: int) -> int | None:
        first = self._octets(1, limit)[0]
        if first < 0x80 or first == _INDEFINITE:
            return None if first == _INDEFINITE else first
        octets = self._octets(first & 0x7F, limit)
        size = int.from_bytes(octets, "big")
        if len(octets) > 4 or octets[0] == 0 or size < 0x80:
            raise self.bad("a length is not in its shortest form", got=f"{len(octets)} octets")
        return size

    def _octets(self, size: int, limit: int) -> bytes:
        if size > limit - self.offset:
            raise self.bad("an element is cut off, or longer than what holds it", got=f"{limit - self.offset} bytes",
                           expected=f"{size} bytes")  # fmt: skip
        octets = self.raw[self.offset : self.offset + size]
        self.offset += size
        return octets

    def bad(self, message: str, *, got: str | None = None, expected: str | None = None) -> MalformedError:
        return MalformedError("ber.encoding", message, where=f"byte 0x{self.offset:x}", got=got, expected=expected)


def _written(element: _Element) -> bytes:
    tag, content = element
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content
