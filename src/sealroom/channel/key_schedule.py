"""HKDF-SHA256 with HPKE's labels (RFC 9180 section 4), and the extract and expand that OHTTP uses bare."""

import hmac

__all__ = ["expand", "extract", "labeled_expand", "labeled_extract"]

_VERSION = b"HPKE-v1"
_HASH_SIZE = 32


def extract(salt: bytes, secret: bytes) -> bytes:
    """HKDF-Extract (RFC 5869 section 2.2)."""
    return hmac.digest(salt or bytes(_HASH_SIZE), secret, "sha256")


def expand(prk: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand (RFC 5869 section 2.3)."""
    output = block = b""
    counter = 0
    while len(output) < length:
        counter += 1
        block = hmac.digest(prk, block + info + counter.to_bytes(1, "big"), "sha256")
        output += block
    return output[:length]


def labeled_extract(suite_id: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    """LabeledExtract."""
    return extract(salt, _VERSION + suite_id + label + ikm)


def labeled_expand(suite_id: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    """LabeledExpand."""
    return expand(prk, length.to_bytes(2, "big") + _VERSION + suite_id + label + info, length)
