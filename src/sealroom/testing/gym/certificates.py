"""Forgeries of certificate chains: bits, order, gaps, and the vendor's names under keys of one's own."""

import base64
import itertools
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sealroom.der import CONTEXT_3, SEQUENCE, DerReader, Element, read_whole
from sealroom.pem import as_pem, read_pem
from sealroom.testing.gym.byte_edits import Span, edits, flipped, replaced
from sealroom.testing.gym.mutation import Expectation, Level
from sealroom.testing.gym.own_keys import PrivateKey, reissued

__all__ = ["ChainEdit", "certificate_spans", "chain_edits", "der_edits", "own_chain", "same_certificates"]

_RANDOM_BITS = 24
_TEXT_BITS = 24


@dataclass(frozen=True, slots=True)
class ChainEdit:
    """One change to a chain in PEM."""

    label: str
    level: Level
    expectation: Expectation
    chain: bytes


def chain_edits(chain: bytes, draw: random.Random, keys: Sequence[PrivateKey]) -> Iterator[ChainEdit]:
    """Changes to ``chain`` (PEM, leaf first, root last). ``keys``: one of one's own for each, of the right kind."""
    blocks = read_pem(chain, "CERTIFICATE")
    yield from _bits(blocks, draw)
    yield from _text(chain, blocks, draw)
    yield from _order(blocks)
    yield from _reissues(blocks, keys)


def own_chain(blocks: Sequence[bytes], keys: Sequence[PrivateKey], *, upto: int) -> list[bytes]:
    """The lowest ``upto`` certificates with keys of one's own, each signed by the own key of the one above it."""
    found = list(blocks)
    for depth in range(upto):
        signer = keys[min(depth + 1, len(keys) - 1)]
        found[depth] = reissued(blocks[depth], key=keys[depth], signer=signer)
    return found


def same_certificates(text: bytes, blocks: Sequence[bytes]) -> bool:
    """Whether a reader that forgives everything still finds just these certificates in ``text``."""
    found = re.findall(rb"-----BEGIN[^-]*-----(.*?)-----END[^-]*-----", text, re.DOTALL)
    alphabet = [re.sub(rb"[^A-Za-z0-9+/]", b"", body) for body in found]
    return [base64.b64decode(body + b"=" * (-len(body) % 4)) for body in alphabet if len(body) % 4 != 1] == [*blocks]


def certificate_spans(certificate: bytes) -> Iterator[Span]:
    """The fields of a certificate (DER) and each of its extensions' values, where they stand."""
    outer = read_whole(certificate, SEQUENCE).reader()
    signed, algorithm, signature = outer.take(SEQUENCE), outer.take(), outer.take()
    names = ("version", "serial", "algorithm", "issuer", "validity", "subject", "public key")
    reader = signed.reader()
    for name in names:
        yield _span(certificate, name, reader.take())
    while not reader.at_end():
        element = reader.take()
        if element.tag == CONTEXT_3:
            yield from _extension_spans(certificate, read_whole(element.content, SEQUENCE).reader())
    yield _span(certificate, "outer algorithm", algorithm)
    yield _span(certificate, "signature", signature)


def _extension_spans(certificate: bytes, reader: DerReader) -> Iterator[Span]:
    while not reader.at_end():
        extension = reader.take(SEQUENCE)
        parts = extension.reader()
        name = parts.take().oid()
        yield _span(certificate, f"extension {name}", extension)


def _span(certificate: bytes, name: str, element: Element) -> Span:
    # the last place where these very bytes stand: of the two algorithms, the outer; a tie is harmless
    places = certificate.rfind if name.startswith("outer") else certificate.find
    start = places(element.whole)
    return Span(name, start + len(element.whole) - len(element.content), start + len(element.whole))


def der_edits(certificate: bytes, draw: random.Random) -> Iterator[tuple[str, bytes, bool]]:
    """Label, changed certificate, and whether the change is to bytes that the signature covers, or is one of it."""
    for span in certificate_spans(certificate):
        for word, value in edits(span.of(certificate), draw):
            if word in {"bit 0", "zeros", "plus 1", "reversed", "random"}:
                yield f"{span.name}: {word}", replaced(certificate, span, value), span.name != "outer algorithm"
    for bit in sorted(draw.sample(range(8 * len(certificate)), _RANDOM_BITS)):
        yield f"bit {bit}", flipped(certificate, bit), not _in_outer_algorithm(certificate, bit // 8)
    yield "a byte taken out", certificate[:100] + certificate[101:], True
    yield "the last byte missing", certificate[:-1], True
    yield "a byte after it", certificate + b"\0", False


def _in_outer_algorithm(certificate: bytes, place: int) -> bool:
    span = next(span for span in certificate_spans(certificate) if span.name == "outer algorithm")
    return span.start - 2 <= place < span.end


def _bits(blocks: Sequence[bytes], draw: random.Random) -> Iterator[ChainEdit]:
    for depth, block in enumerate(blocks):
        root = depth == len(blocks) - 1
        for word, changed, covered in der_edits(block, draw):
            # who keeps a root of its own may pass over the one that came along
            expectation = Expectation.FORGERY if covered and not root else Expectation.NEUTRAL
            yield ChainEdit(f"certificate {depth}: {word}", Level.CERTIFICATE, expectation,
                            _with(blocks, depth, changed))  # fmt: skip


def _text(chain: bytes, blocks: Sequence[bytes], draw: random.Random) -> Iterator[ChainEdit]:
    for bit in sorted(draw.sample(range(8 * len(chain)), _TEXT_BITS)):
        text = flipped(chain, bit)
        same = same_certificates(text, blocks) or _only_root_differs(text, blocks)
        yield ChainEdit(f"text: bit {bit}", Level.CERTIFICATE, Expectation.NEUTRAL if same else Expectation.FORGERY,
                        text)  # fmt: skip
    others = {"line ends of two characters": chain.replace(b"\n", b"\r\n"), "words in front": b"Subject: x\n" + chain,
              "a NUL in the middle": chain.replace(b"-----\n-----BEGIN", b"-----\n\0-----BEGIN"),
              "another label": chain.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE")}  # fmt: skip
    for word, text in others.items():
        yield ChainEdit(f"text: {word}", Level.CERTIFICATE, Expectation.NEUTRAL, text)
    for word, text in (("empty", b""), ("blank", b"\n"), ("no PEM", b"\x30\x03\x02\x01\x00")):
        yield ChainEdit(f"text: {word}", Level.CERTIFICATE, Expectation.FORGERY, text)


def _only_root_differs(text: bytes, blocks: Sequence[bytes]) -> bool:
    """Whether all but the last certificate are still there."""
    end = [match.end() for match in re.finditer(rb"-----END[^-]*-----", text)]
    return len(end) >= len(blocks) - 1 and same_certificates(text[: end[len(blocks) - 2]], blocks[:-1])


def _order(blocks: Sequence[bytes]) -> Iterator[ChainEdit]:
    numbers = range(len(blocks))
    for order in list(itertools.permutations(numbers))[1:]:
        # a verifier that sorts by name may accept these
        yield ChainEdit(f"order {' '.join(map(str, order))}", Level.CHAIN, Expectation.NEUTRAL,
                        as_pem(*(blocks[number] for number in order)))  # fmt: skip
    for number in numbers:
        less = [block for place, block in enumerate(blocks) if place != number]
        is_root = number == len(blocks) - 1
        yield ChainEdit(f"without certificate {number}", Level.CHAIN,
                        Expectation.NEUTRAL if is_root else Expectation.FORGERY, as_pem(*less))  # fmt: skip
        twice = [*blocks[: number + 1], *blocks[number:]]
        yield ChainEdit(f"certificate {number} twice", Level.CHAIN, Expectation.NEUTRAL, as_pem(*twice))
        alone = Expectation.NEUTRAL if number == 0 and len(blocks) == 2 else Expectation.FORGERY
        yield ChainEdit(f"certificate {number} alone", Level.CHAIN, alone, as_pem(blocks[number]))
    for number in numbers[1:]:
        yield ChainEdit(f"the leaf in the place of certificate {number}", Level.CHAIN,
                        Expectation.NEUTRAL if number == len(blocks) - 1 else Expectation.FORGERY,
                        _with(blocks, number, blocks[0]))  # fmt: skip


def _reissues(blocks: Sequence[bytes], keys: Sequence[PrivateKey]) -> Iterator[ChainEdit]:
    for depth, block in enumerate(blocks):
        words = {"a stranger's signature": reissued(block, key=None, signer=keys[-1]),
                 "a stranger's key and signature": reissued(block, key=keys[depth], signer=keys[-1]),
                 "signed by itself": reissued(block, key=keys[depth], signer=keys[depth])}  # fmt: skip
        for word, changed in words.items():
            root = depth == len(blocks) - 1
            yield ChainEdit(f"certificate {depth}: {word}", Level.CERTIFICATE,
                            Expectation.NEUTRAL if root else Expectation.FORGERY,
                            _with(blocks, depth, changed))  # fmt: skip
    for upto in range(1, len(blocks) + 1):
        yield ChainEdit(f"the lowest {upto} re-issued under own keys", Level.CERTIFICATE, Expectation.FORGERY,
                        as_pem(*own_chain(blocks, keys, upto=upto)))  # fmt: skip


def _with(blocks: Sequence[bytes], depth: int, changed: bytes) -> bytes:
    return as_pem(*blocks[:depth], changed, *blocks[depth + 1 :])
