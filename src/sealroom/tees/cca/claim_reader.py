"""One claim at a time, by its number, with the type and size that it must have."""

from collections.abc import Iterable

from sealroom.cbor import CborKey, CborValue
from sealroom.errors import MalformedError

__all__ = ["HASHES", "ClaimReader"]

HASHES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
"""Names of the IANA registry of hash algorithms, and sizes in bytes."""
_DIGEST_SIZES = frozenset(HASHES.values())
_MAX_TEXT = 512
_MAX_BYTES = 4096


class ClaimReader:
    """The claims of one token, each of which is taken once; what is left over is not known here.

    Args:
        claims: a CBOR map.
        what: ``platform``, ``realm``, ``psa``: for messages.
    """

    def __init__(self, claims: CborValue, what: str) -> None:
        if not isinstance(claims, dict):
            raise MalformedError("cca.claims", f"the claims of the {what} token are not a map")
        self._claims: dict[CborKey, CborValue] = dict(claims)
        self._what = what

    def __contains__(self, number: int) -> bool:
        return number in self._claims

    @property
    def left_over(self) -> tuple[str, ...]:
        """The names of the claims that nobody took."""
        return tuple(sorted(ascii(key)[:40] for key in self._claims))

    def octets(self, number: int, sizes: Iterable[int] | None = None) -> bytes:
        """A byte string, of one of ``sizes``, or of 1 to 4096 bytes."""
        value = self._take(number)
        accepted = range(1, _MAX_BYTES + 1) if sizes is None else tuple(sizes)
        if not isinstance(value, bytes) or len(value) not in accepted:
            got = f"{len(value)} bytes" if isinstance(value, bytes) else type(value).__name__
            raise self._bad(number, got, "a byte string" if sizes is None else f"{sorted(accepted)} bytes")
        return value

    def digest(self, number: int) -> bytes:
        """A SHA-256, SHA-384 or SHA-512 value."""
        return self.octets(number, _DIGEST_SIZES)

    def text(self, number: int, *, may_be_empty: bool = False) -> str:
        """A text of 1 to 512 characters, or of none."""
        value = self._take(number)
        shortest = 0 if may_be_empty else 1
        if not isinstance(value, str) or not shortest <= len(value) <= _MAX_TEXT or not value.isprintable():
            raise self._bad(number, type(value).__name__, "a text")
        return value

    def integer(self, number: int, *, low: int, high: int) -> int:
        """An integer in a range, both ends included."""
        value = self._take(number)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._bad(number, ascii(value)[:40], f"{low} to {high}")
        return value

    def flag(self, number: int) -> bool:
        """True or false."""
        value = self._take(number)
        if not isinstance(value, bool):
            raise self._bad(number, type(value).__name__, "true or false")
        return value

    def list_of(self, number: int, most: int) -> list[CborValue]:
        """An array of 1 to ``most`` values."""
        value = self._take(number)
        if not isinstance(value, list) or not 1 <= len(value) <= most:
            raise self._bad(number, type(value).__name__, f"an array of 1 to {most}")
        return value

    def hash_name(self, number: int) -> str:
        """The name of a hash algorithm that is known here."""
        name = self.text(number).lower()
        if name not in HASHES:
            raise self._bad(number, name[:40], ", ".join(HASHES))
        return name

    def profile(self, number: int, known: Iterable[str]) -> str:
        """One of the profiles that are known here."""
        name = self.text(number)
        if name not in known:
            raise self._bad(number, name[:80], ", ".join(known))
        return name

    def _take(self, number: int) -> CborValue:
        if number not in self._claims:
            raise MalformedError("cca.claim-missing", f"the {self._what} token lacks a claim", expected=number)
        return self._claims.pop(number)

    def _bad(self, number: int, got: object, expected: object) -> MalformedError:
        return MalformedError("cca.claim", f"a claim of the {self._what} token has a value that it can not have",
                              where=f"claim {number}", got=got, expected=expected)  # fmt: skip
