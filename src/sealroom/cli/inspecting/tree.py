"""The shape of what `inspect` shows."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

__all__ = ["Description", "Tree", "fields_of", "key_digest", "shown_bytes", "tree_of"]

Tree: TypeAlias = "dict[str, Tree] | list[Tree] | str | int | bool | None"


@dataclass(frozen=True, slots=True)
class Description:
    """What something is, and what it says."""

    kind: str
    content: Tree


def shown_bytes(raw: bytes) -> str:
    """Bytes for a reader; a run of one value is said and not drawn."""
    if len(raw) > 8 and len(set(raw)) == 1:
        return f"{len(raw)} bytes of {raw[0]:#04x}"
    return raw.hex()


def key_digest(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> str:
    """What a policy names a key by: SHA-256 of its SubjectPublicKeyInfo."""
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(spki).hexdigest()}"


def fields_of(structure: Any, *, without: Collection[str] = ()) -> dict[str, Tree]:
    """The fields of a parsed structure (a dataclass) by name, as plain values; those of ``without`` are left out."""
    names = [field.name for field in fields(structure) if field.name not in without]
    return {name: tree_of(getattr(structure, name)) for name in names}


def tree_of(value: Any) -> Tree:  # noqa: PLR0911 - one row for each kind of value
    """Any value of a parsed structure as plain values."""
    if isinstance(value, bytes):
        return shown_bytes(value)
    if isinstance(value, Enum):
        return str(value.value) if isinstance(value.value, str) else value.name
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return key_digest(value)
    if is_dataclass(value):
        return fields_of(value)
    if isinstance(value, Mapping):
        return {str(tree_of(name)): tree_of(one) for name, one in value.items()}
    return [tree_of(one) for one in value]
