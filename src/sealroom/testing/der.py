"""A writer of DER, as much of it as minting certificates needs; the counterpart of `sealroom.der`."""

from datetime import datetime

__all__ = [
    "bit_string",
    "boolean",
    "element",
    "enumerated",
    "generalized_time",
    "integer",
    "named_bits",
    "octet_string",
    "oid",
    "sequence",
    "time",
    "utf8",
]


def element(tag: int, content: bytes) -> bytes:
    """One element with a definite length in its shortest form."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def sequence(*parts: bytes) -> bytes:
    """SEQUENCE."""
    return element(0x30, b"".join(parts))


def integer(value: int) -> bytes:
    """INTEGER; 219 takes a leading zero byte, as in AMD's own certificates."""
    return element(0x02, value.to_bytes((value + (value < 0)).bit_length() // 8 + 1, "big", signed=True))


def boolean(value: bool) -> bytes:
    """BOOLEAN."""
    return element(0x01, b"\xff" if value else b"\x00")


def enumerated(value: int) -> bytes:
    """ENUMERATED, below 128."""
    return element(0x0A, bytes((value,)))


def octet_string(content: bytes) -> bytes:
    """OCTET STRING."""
    return element(0x04, content)


def bit_string(content: bytes) -> bytes:
    """BIT STRING of whole bytes."""
    return element(0x03, b"\x00" + content)


def named_bits(*bits: int) -> bytes:
    """BIT STRING with these bits set, 0 the first, no trailing zero bits; all below 8."""
    octet = sum(0x80 >> bit for bit in bits)
    return element(0x03, bytes((7 - max(bits), octet)))


def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    return element(0x06, b"".join(_base128(arc) for arc in (40 * first + second, *rest)))


def utf8(text: str) -> bytes:
    """UTF8String."""
    return element(0x0C, text.encode())


def time(moment: datetime) -> bytes:
    """UTCTime up to 2049, GeneralizedTime from 2050 on (RFC 5280 section 4.1.2.5); ``moment`` is in UTC."""
    if moment.year < 2050:
        return element(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())
    return generalized_time(moment)


def generalized_time(moment: datetime) -> bytes:
    """GeneralizedTime to the second; ``moment`` is in UTC."""
    return element(0x18, moment.strftime("%Y%m%d%H%M%SZ").encode())


def _base128(arc: int) -> bytes:
    octets = [arc & 0x7F]
    while arc := arc >> 7:
        octets.append(arc & 0x7F | 0x80)
    return bytes(reversed(octets))
