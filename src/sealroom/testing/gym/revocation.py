"""Forgeries of revocation lists, and the encodings in which a true one may come."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from sealroom.der import SEQUENCE, read_whole
from sealroom.pem import as_pem
from sealroom.testing import der
from sealroom.testing.gym.byte_edits import flipped
from sealroom.testing.gym.mutation import Expectation
from sealroom.testing.gym.own_keys import PrivateKey, signature_of

__all__ = ["CrlEdit", "crl_edits", "encodings"]

_RANDOM_BITS = 64


@dataclass(frozen=True, slots=True)
class CrlEdit:
    """One change to a list in DER."""

    label: str
    expectation: Expectation
    raw: bytes


def crl_edits(raw: bytes, draw: random.Random, key: PrivateKey) -> Iterator[CrlEdit]:
    """Changes to the list ``raw`` (DER); ``key`` is a forger's own."""
    outer = read_whole(raw, SEQUENCE).reader()
    signed, algorithm, signature = outer.take(SEQUENCE).whole, outer.take().whole, outer.take().whole
    covered = len(raw) - len(algorithm) - len(signature)
    for bit in sorted(draw.sample(range(8 * len(raw)), min(_RANDOM_BITS, 8 * len(raw)))):
        # the outer algorithm is not signed, and the outermost header only says where all this ends
        outside = covered <= bit // 8 < covered + len(algorithm)
        yield CrlEdit(f"bit {bit}", Expectation.NEUTRAL if outside else Expectation.FORGERY, flipped(raw, bit))
    again = der.bit_string(signature_of(key, signed))
    emptied = _emptied(signed)
    others = {
        "signed by a stranger": der.sequence(signed, algorithm, again),
        "its entries taken out": der.sequence(emptied, algorithm, signature),
        "its entries taken out, signed by a stranger": der.sequence(
            emptied, algorithm, der.bit_string(signature_of(key, emptied))),
        "no signature": der.sequence(signed, algorithm, der.bit_string(b"")),
        "cut off": raw[: len(raw) // 2],
        "the last byte missing": raw[:-1],
        "empty": b"",
        "no DER": b"not a list",
    }  # fmt: skip
    for label, changed in others.items():
        if changed != raw:
            yield CrlEdit(label, Expectation.FORGERY, changed)


def encodings(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """The same list as services send it: PEM, hexadecimal, each with what is met at its end."""
    pem, text = as_pem(raw, label="X509 CRL"), raw.hex().encode()
    yield "PEM", pem
    yield "PEM and a NUL", pem + b"\0"
    yield "hexadecimal", text
    yield "capital hexadecimal", text.upper()
    yield "hexadecimal and a line end", text + b"\n"
    yield "hexadecimal and a NUL", text + b"\0"


def _emptied(signed: bytes) -> bytes:
    """The signed part without its entries: the third SEQUENCE, after algorithm and issuer, if it holds any."""
    reader, kept, sequences = read_whole(signed, SEQUENCE).reader(), b"", 0
    while not reader.at_end():
        element = reader.take()
        sequences += element.tag == SEQUENCE
        kept += b"" if element.tag == SEQUENCE and sequences > 2 else element.whole
    return der.sequence(kept)
