"""How far a message is padded, so that its length tells little (spec/channel.md section 7)."""

__all__ = ["CHUNK_SIZE", "padded_size"]

CHUNK_SIZE = 16384
"""The largest plaintext chunk that every receiver takes (draft-ietf-ohai-chunked-ohttp-08 section 3)."""

_SMALLEST = 1024


def padded_size(size: int) -> int:
    """The bucket of ``size`` bytes: a power of two up to 16 KiB, Padmé above."""
    if size <= CHUNK_SIZE:
        return max(_SMALLEST, 1 << (size - 1).bit_length())
    exponent = size.bit_length() - 1
    step = 1 << (exponent - exponent.bit_length())  # bit_length of E is floor(log2 E) + 1
    return -(-size // step) * step
