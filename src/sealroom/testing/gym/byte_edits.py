"""Changes to a stretch of bytes, each with a word for it."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["Span", "edits", "flipped", "length_edits", "replaced"]


@dataclass(frozen=True, slots=True)
class Span:
    """A named stretch of bytes. ``is_length``: it says how long something else is."""

    name: str
    start: int
    end: int
    is_length: bool = False

    def of(self, raw: bytes) -> bytes:
        """What stands there."""
        return raw[self.start : self.end]


def replaced(raw: bytes, span: Span, value: bytes) -> bytes:
    """``raw`` with ``value`` in place of what stands in ``span``."""
    return raw[: span.start] + value + raw[span.end :]


def flipped(raw: bytes, bit: int) -> bytes:
    """``raw`` with one bit changed; bit 0 is the lowest of the first byte."""
    changed = bytearray(raw)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def edits(value: bytes, draw: random.Random) -> Iterator[tuple[str, bytes]]:
    """Other values of the same length, each with a word; none equals ``value``, none comes twice."""
    bits = 8 * len(value)
    found = [(f"bit {bit}", flipped(value, bit)) for bit in {0, bits - 1, draw.randrange(bits)}] if bits else []
    number = int.from_bytes(value, "little")
    found += [
        ("zeros", bytes(len(value))),
        ("ones", b"\xff" * len(value)),
        ("plus 1", ((number + 1) % (1 << bits)).to_bytes(len(value), "little")),
        ("minus 1", ((number - 1) % (1 << bits)).to_bytes(len(value), "little")),
        ("reversed", value[::-1]),
        ("random", draw.randbytes(len(value))),
    ]
    seen = {value}
    for word, other in found:
        if other not in seen:
            seen.add(other)
            yield word, other


def length_edits(value: bytes, rest: int, order: Literal["little", "big"] = "little") -> Iterator[tuple[str, bytes]]:
    """Lies about a length of which ``rest`` bytes are really there; ``order``: of its own bytes."""
    size, top = len(value), (1 << 8 * len(value)) - 1
    true = int.from_bytes(value, order)
    lies = {"0": 0, "1": 1, "one less": true - 1, "one more": true + 1, "half": true // 2, "double": true * 2,
            "all that is there": rest, "one more than is there": rest + 1, "2 to the 15": 1 << 15, "max": top,
            "half of max": top // 2 + 1}  # fmt: skip
    seen = {true}
    for word, lie in lies.items():
        if 0 <= lie <= top and lie not in seen:
            seen.add(lie)
            yield word, lie.to_bytes(size, order)
