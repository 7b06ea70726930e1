"""The header of a GGUF file, read in Python before any C++ sees it.

Model files are hostile until proven otherwise, and the engine's own parser has a history of overflows. So everything
that its parser will count, multiply or seek to is checked here first: counts, lengths, types, shapes, offsets, and
that each tensor lies where the one before it ends. The bytes are those of a sealed memfd: what was checked is what
will be loaded.

Format: GGUF versions 2 and 3, little-endian, as written by llama.cpp's ``gguf`` package.
"""

import mmap
import struct
from dataclasses import dataclass, field
from typing import NoReturn

from sealroom.errors import MalformedError

__all__ = ["GgufFacts", "GgufLimits", "read_gguf"]

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_SCALAR_SIZES = {kind: struct.calcsize(form) for kind, form in _SCALARS.items()}
_MOST_DIMENSIONS = 4
_LONGEST_TENSOR_NAME = 63  # GGML_MAX_NAME, less the terminator
_U64 = struct.Struct("<Q")

# ggml type: (values in a block, bytes of a block); ggml-common.h and ggml.c
_TENSOR_TYPES = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 10: (256, 84),
    11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66), 17: (256, 74),
    18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2),
    26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufLimits:
    """What no honest model exceeds. Sizes in bytes."""

    keys: int = 4096
    tensors: int = 65_536
    key_length: int = 256
    string_length: int = 1 << 20
    array_length: int = 1 << 22
    template_length: int = 1 << 18
    """The chat template is a program that the engine runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufFacts:
    """What the header says, as far as anybody here asks."""

    version: int
    architecture: str
    tensors: int
    data_offset: int
    data_size: int
    metadata: dict[str, object] = field(repr=False)
    """Scalars and strings by key; arrays are checked and left out."""


def read_gguf(raw: bytes | mmap.mmap, limits: GgufLimits | None = None) -> GgufFacts:
    """Check the whole header and every tensor's place.

    Raises:
        MalformedError: ``gguf.*``, with the offset.
    """
    with memoryview(raw) as view:
        return _Reader(view, limits or GgufLimits()).read()


def _refuse(code: str, message: str, *, at: int, got: object = None, expected: object = None) -> NoReturn:
    raise MalformedError(f"gguf.{code}", message, where=f"offset {at:#x}", got=got, expected=expected,
                         hint="the model file is damaged, or of a kind that this engine is not given")  # fmt: skip


class _Reader:
    """A cursor over the header; every step checks before it moves."""

    def __init__(self, raw: memoryview, limits: GgufLimits) -> None:
        self._raw = raw
        self._limits = limits
        self._at = 0

    def read(self) -> GgufFacts:
        version, tensors, keys = self._preamble()
        metadata = self._metadata(keys)
        architecture = metadata.get("general.architecture")
        if not isinstance(architecture, str) or not architecture:
            _refuse("no-architecture", "the file names no architecture", at=self._at)
        alignment = self._alignment(metadata)
        end = self._tensors(tensors, alignment)
        start = _aligned(self._at, alignment)
        if start + end > len(self._raw):
            _refuse(
                "truncated", "the tensors reach beyond the file", at=start, got=len(self._raw), expected=start + end
            )
        return GgufFacts(version=version, architecture=architecture, tensors=tensors, data_offset=start,
                         data_size=end, metadata=metadata)  # fmt: skip

    def _preamble(self) -> tuple[int, int, int]:
        if self._take(4) != _MAGIC:
            _refuse("magic", "this is no GGUF file", at=0, expected="GGUF")
        version = self._u32()
        if version not in _VERSIONS:
            _refuse("version", "unknown GGUF version or byte order", at=4, got=version, expected="2 or 3")
        tensors = self._count("tensors", self._limits.tensors)
        return version, tensors, self._count("keys", self._limits.keys)

    def _metadata(self, keys: int) -> dict[str, object]:
        seen: set[str] = set()
        kept: dict[str, object] = {}
        for _ in range(keys):
            at = self._at
            key = self._text(self._limits.key_length, "key-length")
            if key in seen:
                _refuse("duplicate-key", "a key stands twice", at=at)
            seen.add(key)
            value = self._value(self._u32(), template=key.startswith("tokenizer.chat_template"))
            if value is not None:
                kept[key] = value
        return kept

    def _value(self, kind: int, *, template: bool) -> object:
        if kind == _STRING:
            most = self._limits.template_length if template else self._limits.string_length
            return self._text(most, "template-length" if template else "string-length")
        if kind == _ARRAY:
            self._skip_array()
            return None
        if kind not in _SCALARS:
            _refuse("value-type", "unknown type of value", at=self._at, got=kind)
        return struct.unpack(_SCALARS[kind], self._take(_SCALAR_SIZES[kind]))[0]

    def _skip_array(self) -> None:
        kind = self._u32()
        length = self._count("array elements", self._limits.array_length)
        if kind == _STRING:
            self._skip_strings(length)
        elif kind in _SCALARS:
            self._skip(length * _SCALAR_SIZES[kind])
        else:
            _refuse("array-type", "unknown type of array", at=self._at, got=kind, expected="scalars or strings")

    def _skip_strings(self, count: int) -> None:
        # a vocabulary has 10^5 of them: one tight loop over locals
        raw, at, most, size = self._raw, self._at, self._limits.string_length, len(self._raw)
        unpack = _U64.unpack_from
        for _ in range(count):
            if at + 8 > size:
                _refuse("truncated", "the file ends inside its header", at=at)
            length = unpack(raw, at)[0]
            if length > most:
                _refuse("string-length", "a string is too long", at=at, got=length, expected=f"at most {most}")
            at += 8 + length
        if at > size:
            _refuse("truncated", "the file ends inside its header", at=size)
        self._at = at

    def _alignment(self, metadata: dict[str, object]) -> int:
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment not in (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096):
            _refuse("alignment", "the alignment is no usable power of two", at=self._at, got=alignment)
        return alignment

    def _tensors(self, count: int, alignment: int) -> int:
        names: set[str] = set()
        end = 0
        for _ in range(count):
            at = self._at
            name = self._text(_LONGEST_TENSOR_NAME, "tensor-name")
            if name in names:
                _refuse("duplicate-tensor", "a tensor stands twice", at=at)
            names.add(name)
            size = self._tensor_size()
            offset = self._u64()
            if offset != _aligned(end, alignment):
                _refuse("tensor-offset", "a tensor does not begin where the one before it ends", at=at, got=offset,
                        expected=_aligned(end, alignment))  # fmt: skip
            end = offset + size
        return end

    def _tensor_size(self) -> int:
        at = self._at
        dimensions = self._u32()
        if not 1 <= dimensions <= _MOST_DIMENSIONS:
            _refuse("tensor-dimensions", "a tensor has an impossible number of dimensions", at=at, got=dimensions)
        shape = [self._u64() for _ in range(dimensions)]
        kind = self._u32()
        if kind not in _TENSOR_TYPES:
            _refuse("tensor-type", "unknown type of tensor", at=at, got=kind)
        per_block, block_size = _TENSOR_TYPES[kind]
        values = 1
        for length in shape:
            values *= length
        if min(shape) < 1 or values > len(self._raw) * per_block:
            _refuse("tensor-shape", "a tensor is larger than its file", at=at, got=shape)
        if shape[0] % per_block:
            _refuse("tensor-shape", "a row is no whole number of blocks", at=at, got=shape[0])
        return values // per_block * block_size

    def _count(self, what: str, most: int) -> int:
        at = self._at
        value = self._u64()
        if value > most:
            _refuse("count", f"too many {what}", at=at, got=value, expected=f"at most {most}")
        return value

    def _text(self, most: int, code: str) -> str:
        at = self._at
        length = self._u64()
        if length > most:
            _refuse(code, "a string is too long", at=at, got=length, expected=f"at most {most}")
        try:
            return str(self._take(length), "utf-8")
        except UnicodeDecodeError:
            _refuse("text", "a string is not UTF-8", at=at)

    def _u32(self) -> int:
        return int.from_bytes(self._take(4), "little")

    def _u64(self) -> int:
        return int.from_bytes(self._take(8), "little")

    def _skip(self, size: int) -> None:
        if self._at + size > len(self._raw):
            _refuse("truncated", "the file ends inside its header", at=self._at, got=len(self._raw))
        self._at += size

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._raw):
            _refuse("truncated", "the file ends inside its header", at=self._at, got=len(self._raw), expected=end)
        taken = bytes(self._raw[self._at : end])
        self._at = end
        return taken


def _aligned(offset: int, alignment: int) -> int:
    return (offset + alignment - 1) // alignment * alignment
