"""Small GGUF files, right unless told otherwise."""

import struct

Pair = tuple[bytes, int, bytes]
Tensor = tuple[bytes, tuple[int, ...], int, int | None]

STRING, ARRAY, UINT32, FLOAT32 = 8, 9, 4, 6
F32, Q4_0 = 0, 2


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def array(kind: int, count: int, content: bytes) -> bytes:
    return struct.pack("<IQ", kind, count) + content


ARCHITECTURE: Pair = (b"general.architecture", STRING, text(b"llama"))


def gguf(
    pairs: tuple[Pair, ...] = (ARCHITECTURE,),
    tensors: tuple[Tensor, ...] = ((b"a", (8, 2), F32, None), (b"b", (32,), Q4_0, None)),
    *,
    version: int = 3,
    data: int | None = None,
) -> bytes:
    """A tensor's offset is put where it belongs if it is None; ``data`` bytes follow, as many as needed if None."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs))
    for key, kind, value in pairs:
        head += text(key) + struct.pack("<I", kind) + value
    end = 0
    for name, shape, kind, offset in tensors:
        at = -(-end // 32) * 32
        head += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        head += struct.pack("<IQ", kind, at if offset is None else offset)
        count = 1
        for length in shape:
            count *= length
        end = at + (count * 4 if kind == F32 else count // 32 * 18)
    start = -(-len(head) // 32) * 32
    return head.ljust(start, b"\0") + bytes(end if data is None else data)
