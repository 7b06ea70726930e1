"""The extensions by which a chain is judged, as they are read (RFC 5280, 4.2.1): pure functions of their bytes."""

from functools import lru_cache

from sealroom.der import BIT_STRING, BOOLEAN, INTEGER, SEQUENCE, read_whole
from sealroom.errors import MalformedError

__all__ = ["forget", "read_basic_constraints", "read_key_usage"]


@lru_cache(maxsize=256)
def read_basic_constraints(value: bytes) -> tuple[bool, int | None]:
    """Whether it is a CA's, and how many CAs may stand between it and a leaf (section 4.2.1.9); None: any number.

    Raises:
        MalformedError: ``x509.der``, ``x509.path-length``.
    """
    reader = read_whole(value, SEQUENCE).reader()
    is_ca = reader.take_if(BOOLEAN)
    path_length = reader.take_if(INTEGER)
    reader.end()
    length = None if path_length is None else path_length.integer()
    if length is not None and length < 0:
        raise MalformedError("x509.path-length", "a path length is negative", got=length)
    return is_ca is not None and is_ca.boolean(), length


@lru_cache(maxsize=256)
def read_key_usage(value: bytes) -> int:
    """What the key may do (section 4.2.1.3): bit 0 is the first of the list.

    Raises:
        MalformedError: ``x509.der``.
    """
    return read_whole(value, BIT_STRING).flags()


def forget() -> None:
    """Drop what is remembered of extensions read before: for measurements of the cold case."""
    read_basic_constraints.cache_clear()
    read_key_usage.cache_clear()
