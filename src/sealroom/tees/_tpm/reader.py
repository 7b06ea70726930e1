"""Reads TPM structures: numbers most significant byte first, sized buffers, and nothing left over (part 2, 4.1)."""

from sealroom.errors import MalformedError

__all__ = ["TpmReader"]


class TpmReader:
    """Reads forward; a length is checked against what is left before anything is taken.

    Args:
        raw: untrusted.
        what: for messages.
    """

    def __init__(self, raw: bytes, what: str) -> None:
        self._raw = raw
        self._at = 0
        self._what = what

    def number(self, size: int) -> int:
        """An unsigned number of ``size`` bytes."""
        return int.from_bytes(self.octets(size), "big")

    def sized(self) -> bytes:
        """A TPM2B: a length of two bytes and as many bytes."""
        return self.octets(self.number(2))

    def octets(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        if size > len(self._raw) - self._at:
            raise MalformedError("tpm.truncated", f"{self._what} ends early", where=f"0x{self._at:x}",
                                 got=f"{len(self._raw) - self._at} bytes", expected=f"{size} bytes")  # fmt: skip
        value = self._raw[self._at : self._at + size]
        self._at += size
        return value

    def end(self) -> None:
        """Raise unless everything was read."""
        if self._at != len(self._raw):
            raise MalformedError("tpm.trailing", f"bytes follow {self._what}", where=f"0x{self._at:x}",
                                 got=f"{len(self._raw) - self._at} bytes", expected="the end")  # fmt: skip
