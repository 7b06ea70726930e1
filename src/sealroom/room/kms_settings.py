"""``[release.aws_kms]`` of a room's configuration: on Nitro, AWS KMS releases the model's key in place of a broker.

The encryption context is not the operator's to choose: it names the package, so that nothing that was encrypted for
another one can stand in for the key.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sealroom.clouds.aws import KmsKey
from sealroom.errors import MalformedError, SealroomError

__all__ = ["CONTEXT_NAME", "KmsSettings"]

CONTEXT_NAME = "sealroom:package"
"""Name in the encryption context; its value is the package's digest, as `sealroom seal` prints it."""
_REQUIRED = ("key", "ciphertext")
_KEYS = frozenset({*_REQUIRED, "endpoint"})


@dataclass(frozen=True, slots=True, kw_only=True)
class KmsSettings:
    """Checked."""

    key: KmsKey
    ciphertext: Path
    """The model's key file, encrypted under `key`."""
    endpoint: str | None = None
    """In place of the region's own address."""

    @classmethod
    def parse(cls, table: object, *, source: str, folder: Path) -> "KmsSettings":
        """Read the table.

        Raises:
            MalformedError: ``room.config``.
        """
        if not isinstance(table, Mapping):
            raise _wrong(source, "", table, "a table")
        for name in table:
            if name not in _KEYS:
                raise _wrong(source, name, "an unknown key", f"one of {', '.join(sorted(_KEYS))}")
        for name in sorted(_KEYS):
            value = table.get(name)
            if (value is None and name in _REQUIRED) or (
                value is not None and (not isinstance(value, str) or not value)
            ):
                raise _wrong(source, name, "nothing" if value is None else value, "text")
        return cls(key=_key(table["key"], source), ciphertext=folder / table["ciphertext"],
                   endpoint=_endpoint(table.get("endpoint"), source))  # fmt: skip


def _key(text: str, source: str) -> KmsKey:
    try:
        return KmsKey.parse(text)
    except SealroomError as error:
        raise _wrong(source, "key", text, str(error.expected)) from None


def _endpoint(text: str | None, source: str) -> str | None:
    """The rest is for `KmsTransport` to check."""
    if text is not None and urlsplit(text).scheme not in {"http", "https"}:
        raise _wrong(source, "endpoint", text, "https://HOST:PORT, or http on a loopback address")
    return text


def _wrong(source: str, name: str, got: object, expected: str) -> MalformedError:
    return MalformedError("room.config", "the room's configuration can not be used",
                          where=f"{source}: [release.aws_kms] {name}".rstrip(), got=str(got)[:100],
                          expected=expected)  # fmt: skip
