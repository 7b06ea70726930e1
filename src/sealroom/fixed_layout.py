"""A binary format declared once, as a table, that is the parser, the error text and the reference page.

    Field("host_data", 0x0C0, 32, Kind.BYTES, "table 23", "chosen by the host at launch")

A `Layout` takes exactly as many bytes as it has, no fewer and no more; every byte belongs to exactly one field;
what is reserved is zero. What a later version of the format added carries ``since``: to an older version those bytes
are reserved. A table that leaves a byte out, or claims one twice, is refused when it is made, so that no byte of a
signed structure goes unread.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType

from sealroom.errors import MalformedError, MisuseError

__all__ = ["Field", "Kind", "Layout", "Values"]


class Kind(Enum):
    """How the bytes of a field are read. Integers are little-endian, as in every format that we read with this."""

    U8 = "u8"
    U16 = "u16"
    U32 = "u32"
    U64 = "u64"
    BYTES = "bytes"
    RESERVED = "reserved"
    """Must be zero."""


_INTEGER_CODES = {Kind.U8: ("B", 1), Kind.U16: ("H", 2), Kind.U32: ("I", 4), Kind.U64: ("Q", 8)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One row of the table.

    Args:
        name: the vendor's own field name.
        offset: bytes from the start of the structure.
        size: bytes.
        section: where the standard defines it.
        meaning: one line for the reference page.
        since: the first version of the format that has the field.
    """

    name: str
    offset: int
    size: int
    kind: Kind
    section: str
    meaning: str
    since: int = 0

    @property
    def end(self) -> int:
        """Offset of the first byte after the field."""
        return self.offset + self.size


class Values(Mapping[str, int | bytes]):
    """What a layout read: integers and octet strings by field name, each asked for as what it is."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, int | bytes]) -> None:
        self._values = MappingProxyType(dict(values))

    def integer(self, name: str) -> int:
        """The integer field ``name``."""
        value = self._values[name]
        if not isinstance(value, int):
            raise MisuseError("layout.not-an-integer", f"{name} is an octet string")
        return value

    def octets(self, name: str) -> bytes:
        """The octet string field ``name``."""
        value = self._values[name]
        if not isinstance(value, bytes):
            raise MisuseError("layout.not-octets", f"{name} is an integer")
        return value

    def __getitem__(self, name: str) -> int | bytes:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class Layout:
    """A structure of a fixed size.

    Args:
        name: what the structure is called in errors and on the reference page.
        area: the first word of the error codes: ``snp`` gives ``snp.wrong-length``.
        size: bytes in all.
        fields: rows in the order of their offsets, without gap or overlap.
    """

    def __init__(self, name: str, *, area: str, size: int, fields: tuple[Field, ...]) -> None:
        self.name = name
        self.area = area
        self.size = size
        self.fields = fields
        self._require_tiling()
        self._struct = struct.Struct("<" + "".join(_code(field) for field in fields))
        self._zeros = {field.name: bytes(field.size) for field in fields if field.kind is Kind.RESERVED}

    def at_version(self, version: int) -> "Layout":
        """The same table as ``version`` of the format has it: what came later is reserved."""
        rows = tuple(replace(field, kind=Kind.RESERVED) if field.since > version else field for field in self.fields)
        return Layout(self.name, area=self.area, size=self.size, fields=rows)

    def parse(self, raw: bytes) -> Values:
        """Read ``raw``.

        Raises:
            MalformedError: ``AREA.wrong-length`` or ``AREA.reserved-not-zero``.
        """
        self.require_size(raw)
        values: dict[str, int | bytes] = {}
        for field, value in zip(self.fields, self._struct.unpack(raw), strict=True):
            if field.kind is Kind.RESERVED:
                if value != self._zeros[field.name]:
                    raise self._not_zero(field, value)
            else:
                values[field.name] = value
        return Values(values)

    def pack(self, values: Mapping[str, int | bytes]) -> bytes:
        """The inverse of `parse`: reserved bytes are written as zero.

        Raises:
            MisuseError: a field is missing, unknown or does not fit.
        """
        wanted = {field.name for field in self.fields if field.kind is not Kind.RESERVED}
        if set(values) != wanted:
            raise MisuseError("layout.fields", f"{self.name}: other fields than the layout has",
                              got=", ".join(sorted(set(values) ^ wanted)))  # fmt: skip
        for field in self.fields:
            value = values.get(field.name)
            if isinstance(value, bytes) and len(value) != field.size:
                raise MisuseError("layout.field-size", f"{self.name}: {field.name} has the wrong size",
                                  got=len(value), expected=field.size)  # fmt: skip
        try:
            return self._struct.pack(*(values.get(field.name, bytes(field.size)) for field in self.fields))
        except struct.error as reason:
            raise MisuseError("layout.value", f"{self.name}: {reason}") from None

    def require_size(self, raw: bytes) -> None:
        """Raise `MalformedError` unless ``raw`` has exactly the size of the structure."""
        if len(raw) != self.size:
            raise MalformedError(
                f"{self.area}.wrong-length",
                f"{self.name} is {self.size} bytes, no fewer and no more",
                got=f"{len(raw)} bytes",
                expected=f"{self.size} bytes",
                hint="the evidence was cut off, or something follows it" if len(raw) else "there is no evidence",
            )

    def field(self, name: str) -> Field:
        """The row called ``name``."""
        for field in self.fields:
            if field.name == name:
                return field
        raise MisuseError("layout.no-such-field", f"{self.name} has no field {name}")

    def where(self, name: str) -> str:
        """A field's name and offset as errors give it: ``policy at 0x008``."""
        return f"{name} at 0x{self.field(name).offset:03x}"

    def markdown(self) -> str:
        """The table of the reference page."""
        lines = ["| offset | size | field | kind | since | section | meaning |", "|---|---|---|---|---|---|---|"]
        for field in self.fields:
            name = "" if field.kind is Kind.RESERVED else f"`{field.name}`"
            since = f"v{field.since}" if field.since else ""
            lines.append(
                f"| 0x{field.offset:03X} | {field.size} | {name} | {field.kind.value} | {since} "
                f"| {field.section} | {field.meaning} |"
            )
        return "\n".join(lines) + "\n"

    def _require_tiling(self) -> None:
        end = 0
        for field in self.fields:
            expected_size = _INTEGER_CODES[field.kind][1] if field.kind in _INTEGER_CODES else field.size
            if field.offset != end or field.size < 1 or field.size != expected_size:
                raise MisuseError(
                    "layout.table",
                    f"{self.name}: {field.name} leaves a gap, overlaps or has a wrong size",
                    got=f"{field.size} bytes at 0x{field.offset:x}",
                    expected=f"offset 0x{end:x}",
                )
            end = field.end
        if end != self.size or len({field.name for field in self.fields}) != len(self.fields):
            raise MisuseError("layout.table", f"{self.name}: the fields do not fill the structure, each once")

    def _not_zero(self, field: Field, value: bytes) -> MalformedError:
        index = next(index for index, byte in enumerate(value) if byte)
        return MalformedError(
            f"{self.area}.reserved-not-zero",
            f"{self.name}: a reserved byte is not zero",
            where=f"0x{field.offset + index:03x} ({field.name}, {field.section})",
            got=f"0x{value[index]:02x}",
            expected="0x00",
            hint="the evidence is of a newer version than this release reads, or it was damaged",
        )


def _code(field: Field) -> str:
    return _INTEGER_CODES[field.kind][0] if field.kind in _INTEGER_CODES else f"{field.size}s"
