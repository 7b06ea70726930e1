"""A bundle made small for its way: gzip (RFC 1952), as HTTP's content coding of that name (RFC 9110 section 8.4.1.3).

``spec/evidence-bundle.md`` section 1. Certificates and reference values of several devices say much of the same. What
is unpacked comes from anybody: it is bounded before it is built, one member, and nothing behind it.
"""

import zlib

from sealroom.collateral.bundle import MAX_BUNDLE_SIZE
from sealroom.errors import MalformedError

__all__ = ["CODING", "pack", "unpack"]

CODING = "gzip"
_GZIP = 16 + zlib.MAX_WBITS
_LEVEL = 6


def pack(bundle: bytes) -> bytes:
    """``bundle`` in gzip form; the same bytes for the same bundle."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    return packer.compress(bundle) + packer.flush()


def unpack(raw: bytes) -> bytes:
    """What was packed. Never builds more than a bundle can have, whatever ``raw`` would grow to.

    Raises:
        MalformedError: ``bundle.too-large``: packed or unpacked, it is more than a bundle can be;
            ``bundle.compression``: it is damaged, cut off, or something follows it.
    """
    if len(raw) > MAX_BUNDLE_SIZE:
        raise _too_large()
    unpacker = zlib.decompressobj(_GZIP)
    try:
        bundle = unpacker.decompress(raw, MAX_BUNDLE_SIZE + 1)
    except zlib.error:
        raise _damaged("it is no gzip") from None
    if len(bundle) > MAX_BUNDLE_SIZE:
        raise _too_large()
    if not unpacker.eof or unpacker.unused_data:
        raise _damaged("bytes follow it" if unpacker.eof else "it ends early")
    return bundle


def _too_large() -> MalformedError:
    return MalformedError("bundle.too-large", "a compressed bundle is larger than any",
                          expected=f"at most {MAX_BUNDLE_SIZE} bytes, packed and unpacked")  # fmt: skip


def _damaged(got: str) -> MalformedError:
    return MalformedError("bundle.compression", "a compressed bundle can not be unpacked", got=got,
                          expected="one gzip member (RFC 1952)")  # fmt: skip
