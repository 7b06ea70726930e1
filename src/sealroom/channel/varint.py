"""QUIC variable-length integers (RFC 9000 section 16): 1, 2, 4 or 8 bytes, the width in the two top bits.

Any width may carry any value that fits; neither Binary HTTP nor chunked OHTTP asks for the shortest.
"""

from sealroom.errors import MisuseError

__all__ = ["VARINT_LIMIT", "decode_varint", "encode_varint"]

VARINT_LIMIT = 1 << 62
"""The first integer that does not fit."""


def encode_varint(value: int) -> bytes:
    """``value`` in the fewest bytes."""
    if 0 <= value < 1 << 6:
        return value.to_bytes(1, "big")
    if 0 <= value < 1 << 14:
        return (value | 0x4000).to_bytes(2, "big")
    if 0 <= value < 1 << 30:
        return (value | 0x8000_0000).to_bytes(4, "big")
    if 0 <= value < VARINT_LIMIT:
        return (value | 0xC000_0000_0000_0000).to_bytes(8, "big")
    raise MisuseError("channel.integer-too-large", "the value does not fit a QUIC integer", got=value)


def decode_varint(data: bytes | bytearray, offset: int) -> tuple[int, int] | None:
    """The integer at ``offset`` and the offset behind it, or None while bytes of it are missing."""
    if offset >= len(data):
        return None
    first = data[offset]
    width = 1 << (first >> 6)
    end = offset + width
    if end > len(data):
        return None
    if width == 1:
        return first, end
    return int.from_bytes(data[offset:end], "big") & ((1 << (8 * width - 2)) - 1), end
