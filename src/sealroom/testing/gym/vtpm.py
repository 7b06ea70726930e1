"""All that can be done to a TPM's quote: each field of what is signed, the signature, the registers beside it."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from sealroom.testing.gym.byte_edits import Span, edits, flipped, length_edits, replaced
from sealroom.testing.gym.mutation import Expectation, Level, Mutation, Sample
from sealroom.testing.tpm import SoftTpm

__all__ = ["QuoteParts", "attest_spans", "own_tpm", "public_spans", "quote_mutations", "structure_edits"]

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_RSA, _PSS, _ECDSA = 0x0014, 0x0016, 0x0018
_RANDOM_BITS = 32
_SCHEMES = {_RSA: "rsassa", _PSS: "rsapss", _ECDSA: "ecdsa"}
_HEAD = 4
_tpms: dict[str, SoftTpm] = {}


def own_tpm(kind: str = "rsassa") -> SoftTpm:
    """A TPM of the forger's own."""
    if kind not in _tpms:
        _tpms[kind] = SoftTpm.create(kind)
    return _tpms[kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteParts:
    """A quote as evidence carries it, and how to put another in its place."""

    message: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    """TPMT_SIGNATURE, or the bare bytes of RSASSA."""
    pcrs: Sequence[bytes] = field(repr=False)
    put: Callable[["QuoteParts"], Sample]
    name: str = "quote"

    def with_parts(
        self, *, message: bytes | None = None, signature: bytes | None = None, pcrs: Sequence[bytes] | None = None
    ) -> Sample:
        """The evidence with these parts in place of its own."""
        return self.put(QuoteParts(
            message=self.message if message is None else message, put=self.put, name=self.name,
            signature=self.signature if signature is None else signature, pcrs=self.pcrs if pcrs is None else pcrs,
        ))  # fmt: skip

    @property
    def kind(self) -> str:
        """The scheme of the signature, as `SoftTpm.create` has it."""
        is_bare = len(self.signature) in {256, 384, 512}
        return "rsassa" if is_bare else _SCHEMES[int.from_bytes(self.signature[:2], "big")]


def quote_mutations(quote: QuoteParts, draw: random.Random) -> Iterator[Mutation]:
    """Every mutation of one quote."""
    for label, level, changed in structure_edits(quote.message, attest_spans(quote.message), draw):
        yield _made(quote, f"message: {label}", level, quote.with_parts(message=changed))
    for bit in sorted(draw.sample(range(8 * len(quote.message)), _RANDOM_BITS)):
        changed = flipped(quote.message, bit)
        yield _made(quote, f"message: bit {bit}", Level.FIELD, quote.with_parts(message=changed))
    yield from _signatures(quote, draw)
    yield from _registers(quote, draw)


def structure_edits(
    raw: bytes, spans: Iterator[Span], draw: random.Random
) -> Iterator[tuple[str, Level, bytes]]:  # fmt: skip
    """Each field of a structure of the TPM's another, each length a lie, each end elsewhere."""
    seen = {raw}
    for span in spans:
        found = [(Level.FIELD, word, value) for word, value in edits(span.of(raw), draw)]
        if span.is_length:
            lies = length_edits(span.of(raw), len(raw) - span.end, "big")
            found += [(Level.LENGTH, f"is {word}", value) for word, value in lies]
        for level, word, value in found:
            changed = replaced(raw, span, value)
            if changed not in seen:
                seen.add(changed)
                yield f"{span.name}: {word}", level, changed
    for cut in sorted({0, 2, len(raw) // 2, len(raw) - 1}):
        yield f"cut off after {cut} bytes", Level.LENGTH, raw[:cut]
    for word, tail in (("a zero byte", b"\0"), ("random bytes", draw.randbytes(9)), ("itself", raw)):
        yield f"followed by {word}", Level.LENGTH, raw + tail


def attest_spans(raw: bytes) -> Iterator[Span]:
    """The fields of a TPMS_ATTEST of a quote."""
    yield Span("magic", 0, 4)
    yield Span("type", 4, 6)
    at = 6
    for name in ("signer", "extra data"):
        size = int.from_bytes(raw[at : at + 2], "big")
        yield Span(f"{name} size", at, at + 2, is_length=True)
        yield Span(name, at + 2, at + 2 + size)
        at += 2 + size
    for name, size in (("clock", 8), ("resets", 4), ("restarts", 4), ("safe", 1), ("firmware", 8)):
        yield Span(name, at, at + size)
        at += size
    yield Span("number of banks", at, at + 4, is_length=True)
    count = int.from_bytes(raw[at : at + 4], "big")
    at += 4
    for bank in range(count):
        size = raw[at + 2]
        yield Span(f"bank {bank}", at, at + 2)
        yield Span(f"bitmap size {bank}", at + 2, at + 3, is_length=True)
        yield Span(f"bitmap {bank}", at + 3, at + 3 + size)
        at += 3 + size
    yield Span("digest size", at, at + 2, is_length=True)
    yield Span("digest", at + 2, len(raw))


def public_spans(raw: bytes) -> Iterator[Span]:
    """The numbers of a TPMT_PUBLIC that are the key: all of them behind its head."""
    at = 8 + 2 + int.from_bytes(raw[8:10], "big")
    yield Span("kind", 0, 2)
    yield Span("policy size", 8, 10, is_length=True)
    yield Span("key", at + 6, len(raw))


def _signatures(quote: QuoteParts, draw: random.Random) -> Iterator[Mutation]:
    raw, kind = quote.signature, quote.kind
    is_bare = len(raw) in {256, 384, 512}
    head = [] if is_bare else [Span("scheme", 0, 2), Span("hash", 2, 4)]
    for label, level, changed in structure_edits(raw, iter([*head, *_numbers(raw, is_bare=is_bare)]), draw):
        yield _made(quote, f"signature: {label}", level, quote.with_parts(signature=changed))
    if kind == "ecdsa":
        yield from _twins(quote)
    stranger = own_tpm(kind)
    signed = stranger.sign(quote.message)
    yield _made(quote, "signed by a stranger", Level.SIGNATURE,
                quote.with_parts(signature=signed[6:] if is_bare else signed))  # fmt: skip


def _numbers(raw: bytes, *, is_bare: bool) -> Iterator[Span]:
    if is_bare:
        yield Span("value", 0, len(raw))
        return
    at, number = _HEAD, 0
    while at < len(raw):
        size = int.from_bytes(raw[at : at + 2], "big")
        yield Span(f"size {number}", at, at + 2, is_length=True)
        yield Span(f"value {number}", at + 2, at + 2 + size)
        at, number = at + 2 + size, number + 1


def _twins(quote: QuoteParts) -> Iterator[Mutation]:
    """Of ECDSA: what is another number, or another way to write the same."""
    raw = quote.signature
    r, s = (int.from_bytes(span.of(raw), "big") for span in _numbers(raw, is_bare=False) if not span.is_length)
    neutral = {"s negated": (r, _ORDER - s, 32), "numbers with zeros in front": (r, s, 40)}
    wrong = {"r and s swapped": (s, r, 32), "all zero": (0, 0, 32), "r zero": (0, s, 32), "s zero": (r, 0, 32),
             "r the order": (_ORDER, s, 32), "s plus the order": (r, s + _ORDER, 33)}  # fmt: skip
    for word, (one, other, size) in (neutral | wrong).items():
        numbers = b"".join(size.to_bytes(2, "big") + number.to_bytes(size, "big") for number in (one, other))
        expectation = Expectation.NEUTRAL if word in neutral else Expectation.FORGERY
        yield _made(quote, f"signature: {word}", Level.SIGNATURE,
                    quote.with_parts(signature=raw[:_HEAD] + numbers), expectation)  # fmt: skip


def _registers(quote: QuoteParts, draw: random.Random) -> Iterator[Mutation]:
    pcrs = list(quote.pcrs)
    for number, value in enumerate(pcrs):
        for word, other in edits(value, draw):
            if word in {"bit 0", "zeros", "ones", "random"}:
                changed = [*pcrs[:number], other, *pcrs[number + 1 :]]
                yield _made(quote, f"register {number}: {word}", Level.FIELD, quote.with_parts(pcrs=changed))
        less = [*pcrs[:number], *pcrs[number + 1 :]]
        yield _made(quote, f"without register {number}", Level.FIELD, quote.with_parts(pcrs=less))
        twice = [*pcrs[: number + 1], *pcrs[number:]]
        if any(one != two for one, two in zip(pcrs, twice, strict=False)):
            yield _made(quote, f"register {number} twice", Level.FIELD, quote.with_parts(pcrs=twice))
    if pcrs != pcrs[::-1]:
        yield _made(quote, "registers turned around", Level.FIELD, quote.with_parts(pcrs=pcrs[::-1]))
    yield _made(quote, "no register", Level.FIELD, quote.with_parts(pcrs=[]))
    yield _made(quote, "registers of another size", Level.FIELD, quote.with_parts(pcrs=[one + b"\0" for one in pcrs]))
    yield _made(quote, "one register more", Level.FIELD, quote.with_parts(pcrs=[*pcrs, bytes(len(pcrs[0]))]),
                Expectation.NEUTRAL)  # fmt: skip


def _made(
    quote: QuoteParts, label: str, level: Level, sample: Sample, expectation: Expectation = Expectation.FORGERY
) -> Mutation:
    return Mutation(label=f"{quote.name}: {label}", level=level, expectation=expectation, sample=sample)
