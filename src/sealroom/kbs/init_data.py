"""Init data: what the guest was started with, bound by the hardware through HOST_DATA. Section 5."""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sealroom.errors import MalformedError
from sealroom.kbs.binding import fit
from sealroom.toml_keys import MOST_PARTS, has_long_key

__all__ = ["HOST_DATA_SIZE", "MODEL_KEY", "InitData", "parse_init_data", "write_init_data"]

HOST_DATA_SIZE = 32
"""Bytes of HOST_DATA in an SNP report."""
MODEL_KEY = "sealroom.model"
"""The entry in which a room names its model."""
MAX_SIZE = 256 * 1024

_ALGORITHMS = frozenset({"sha256", "sha384", "sha512"})
_ENTRY = re.compile(r"[A-Za-z0-9_.-]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class InitData:
    """A parsed document and its digest."""

    algorithm: str
    data: Mapping[str, str] = field(repr=False)
    digest: bytes
    """Over the exact bytes of the document."""

    def fitted(self, size: int = HOST_DATA_SIZE) -> bytes:
        """The digest as the hardware's field of ``size`` bytes holds it."""
        return fit(self.digest, size)


def parse_init_data(document: bytes) -> InitData:
    """Read the TOML document.

    Raises:
        MalformedError: ``kbs.init-data``.
    """
    if len(document) > MAX_SIZE:
        raise _malformed(f"it is longer than {MAX_SIZE} bytes")
    try:
        text = document.decode("utf-8")
        if has_long_key(text):
            raise _malformed(f"it has a key of more than {MOST_PARTS} parts")
        toml = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise _malformed("it is not TOML") from error
    data, algorithm = toml.get("data"), toml.get("algorithm")
    if toml.keys() != {"version", "algorithm", "data"} or toml["version"] != "0.1.0":
        raise _malformed('it has other members than version = "0.1.0", algorithm and [data]')
    if not isinstance(algorithm, str) or algorithm not in _ALGORITHMS:
        raise _malformed("its algorithm is none of sha256, sha384, sha512")
    if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
        raise _malformed("its [data] holds other things than strings")
    digest = hashlib.new(algorithm, document).digest()
    return InitData(algorithm=algorithm, data=MappingProxyType(dict(data)), digest=digest)


def write_init_data(data: Mapping[str, str]) -> bytes:
    """The document for ``data``, by SHA-256; the same mapping always gives the same bytes."""
    lines = ['version = "0.1.0"', 'algorithm = "sha256"', "", "[data]"]
    for name, value in sorted(data.items()):
        if not _ENTRY.fullmatch(name):
            raise _malformed("a name in its [data] has other characters than letters, digits and _ . -")
        lines.append(f'"{name}" = "{_escaped(value)}"')
    return ("\n".join(lines) + "\n").encode("utf-8")


def _escaped(value: str) -> str:
    return "".join(char if char.isprintable() and char not in '"\\' else f"\\U{ord(char):08X}" for char in value)


def _malformed(why: str) -> MalformedError:
    return MalformedError("kbs.init-data", f"the init data can not be used: {why}",
                          hint="spec/key-release.md section 5 has an example")  # fmt: skip
