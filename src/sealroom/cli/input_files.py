"""Files that a command reads: bounded, and a missing one is the caller's mistake rather than a stack trace."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from string import hexdigits

from sealroom.errors import MalformedError, MisuseError, SealroomError

__all__ = [
    "MAX_INPUT",
    "expand_home",
    "naming",
    "parse_fingerprints_option",
    "parse_hex_option",
    "parse_time_option",
    "read_input",
    "read_policy_bytes",
]

MAX_INPUT = 16 * 1024 * 1024
_FINGERPRINT = 32
_STDIN = Path("-")


def read_input(path: Path, *, limit: int = MAX_INPUT) -> bytes:
    """The bytes of ``path``, or of stdin for ``-``.

    Raises:
        MisuseError: ``cli.cannot-read``.
        MalformedError: ``cli.too-large``.
    """
    try:
        if path == _STDIN:
            raw = sys.stdin.buffer.read(limit + 1)
        else:
            with path.open("rb") as file:
                raw = file.read(limit + 1)
    except OSError as error:
        raise MisuseError("cli.cannot-read", "the file can not be read", where=str(path),
                          got=error.strerror or type(error).__name__) from None  # fmt: skip
    if len(raw) > limit:
        raise MalformedError("cli.too-large", "the file is too large", where=str(path),
                             expected=f"at most {limit} bytes")  # fmt: skip
    return raw


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error about the bytes of ``path`` name the file, where it names no place itself."""
    try:
        yield
    except SealroomError as error:
        if error.where is None:
            error.where = str(path)
        raise


def expand_home(path: Path, *, option: str) -> Path:
    """``path`` without its ``~``.

    Raises:
        MisuseError: ``cli.no-home``.
    """
    try:
        return path.expanduser()
    except RuntimeError:
        raise MisuseError("cli.no-home", "this user has no home folder", where=str(path),
                          hint=f"{option} names another place") from None  # fmt: skip


def read_policy_bytes(path: Path) -> bytes:
    """A policy document; its reader knows the limit."""
    return read_input(path, limit=1024 * 1024)


def parse_time_option(text: str | None, *, option: str = "--at") -> datetime:
    """RFC 3339 with a timezone; without ``text``, now.

    Raises:
        MisuseError: ``cli.bad-time``.
    """
    if text is None:
        return datetime.now(UTC)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise MisuseError("cli.bad-time", f"{option} is no time with a timezone", got=repr(text),
                          expected="such as 2026-11-23T12:00:00Z")  # fmt: skip
    return at


def parse_hex_option(text: str | None, *, option: str, size: int, least: int | None = None) -> bytes | None:
    """``size`` bytes in hexadecimal, or from ``least`` to so many; None for None.

    Raises:
        MisuseError: ``cli.bad-hex``.
    """
    if text is None:
        return None
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    least = size if least is None else least
    if not least <= len(value) <= size or len(text) != 2 * len(value):
        digits, octets = (f"{low} to {high}" if low != high else f"{high}" for low, high in
                          ((2 * least, 2 * size), (least, size)))  # fmt: skip
        foreign = next((letter for letter in text if letter not in hexdigits), None)
        raise MisuseError("cli.bad-hex", f"{option} takes {digits} hexadecimal digits",
                          got=f"{len(text)} characters" + (f", {foreign!r} among them" if foreign else ""),
                          expected=f"{octets} bytes")  # fmt: skip
    return value


def parse_fingerprints_option(texts: Sequence[str] | None, *, option: str) -> frozenset[bytes]:
    """SHA-256 of roots or keys, each 64 hexadecimal digits, with ``sha256:`` before them or without.

    Raises:
        MisuseError: ``cli.bad-hex``.
    """
    digits = [text.removeprefix("sha256:") for text in texts or ()]
    return frozenset(parse_hex_option(one, option=option, size=_FINGERPRINT) or b"" for one in digits)
