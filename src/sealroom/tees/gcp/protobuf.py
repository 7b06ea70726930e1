"""As much of Protocol Buffers as an attestation needs: fields by number, of the two wire types that it uses; read
and, by collectors and minting, written.
"""

from collections.abc import Mapping

from sealroom.errors import MalformedError

__all__ = ["Message", "number_field", "octets_field", "read_message"]

_VARINT, _LENGTH = 0, 2
_MAX_FIELDS = 4096


class Message:
    """The fields of one message, each with all its values in their order."""

    def __init__(self, fields: Mapping[int, list[int | bytes]]) -> None:
        self._fields = fields

    @property
    def numbers(self) -> frozenset[int]:
        """Of the fields that are there."""
        return frozenset(self._fields)

    def octets(self, number: int) -> bytes:
        """The one byte string, text or message under ``number``; empty if there is none (as the format has it)."""
        found = self.all_octets(number)
        if len(found) > 1:
            raise _bad("a field stands more than once", number)
        return found[0] if found else b""

    def all_octets(self, number: int) -> list[bytes]:
        """Every byte string under ``number``."""
        found = [value for value in self._fields.get(number, []) if isinstance(value, bytes)]
        if len(found) != len(self._fields.get(number, [])):
            raise _bad("a field is of another type", number)
        return found

    def integer(self, number: int) -> int:
        """The number under ``number``; 0 if there is none."""
        found = self._fields.get(number, [])
        if len(found) > 1 or not all(isinstance(value, int) for value in found):
            raise _bad("a field is of another type, or stands more than once", number)
        return int(found[0]) if found else 0


def read_message(raw: bytes) -> Message:
    """Read a message that fills ``raw``.

    Raises:
        MalformedError: ``gcp.protobuf``.
    """
    fields: dict[int, list[int | bytes]] = {}
    at, count = 0, 0
    while at < len(raw):
        count += 1
        key, at = _varint(raw, at)
        number, wire = key >> 3, key & 7
        value: int | bytes
        value, at = _varint(raw, at)
        if wire == _LENGTH:
            size, start = int(value), at
            at += size
            if at > len(raw):
                raise _bad("a field is longer than the message", number)
            value = raw[start:at]
        elif wire != _VARINT:
            raise _bad("a field is of a wire type that is not used here", number)
        if not number or count > _MAX_FIELDS:
            raise _bad("a field has no number, or there are too many", number)
        fields.setdefault(number, []).append(value)
    return Message(fields)


def number_field(number: int, value: int) -> bytes:
    """An unsigned number; nothing for 0, as the format has it."""
    return _written(number << 3 | _VARINT) + _written(value) if value else b""


def octets_field(number: int, value: bytes) -> bytes:
    """A byte string, a text or a message, empty or not."""
    return _written(number << 3 | _LENGTH) + _written(len(value)) + value


def _written(value: int) -> bytes:
    octets = bytearray()
    while value > 0x7F:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*octets, value))


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(10):
        if at + index >= len(raw):
            raise _bad("the message ends inside a number", at)
        byte = raw[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise _bad("a number is too long", at)


def _bad(message: str, where: int) -> MalformedError:
    return MalformedError("gcp.protobuf", message, where=str(where))
