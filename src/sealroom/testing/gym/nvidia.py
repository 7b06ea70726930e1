"""All that can be done to the report of a GPU or switch, to its certificates and to its reference values."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

from sealroom.pem import as_pem, read_pem
from sealroom.testing.gym.byte_edits import Span, edits, flipped, length_edits, replaced
from sealroom.testing.gym.certificates import chain_edits, own_chain
from sealroom.testing.gym.mutation import Expectation, Level, Mutation, Sample
from sealroom.testing.gym.nvidia_rims import rim_edits
from sealroom.testing.gym.own_keys import PrivateKey, own_p384
from sealroom.testing.nvidia_report import raw_signature

__all__ = ["ITEMS", "nvidia_mutations", "own_keys"]

ITEMS = ("cert_chain", "driver_rim", "vbios_rim", "ocsp")
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
_SIGNATURE = 96
_RECORD = 45
_RANDOM_BITS = 64
_BLOCKS = (0, 1, 9)
"""Of which measurements every part is changed; and of the last."""


def nvidia_mutations(sample: Sample, others: Sequence[Sample], draw: random.Random) -> Iterator[Mutation]:
    """Every mutation of ``sample``; ``others`` lend what is true of them."""
    yield from _fields(sample, draw)
    yield from _ends(sample, draw)
    yield from _signatures(sample)
    yield from _certificates(sample, draw)
    yield from _reference_values(sample, draw)
    yield from _of_others(sample, others)


def own_keys() -> list[PrivateKey]:
    """A key of one's own for each certificate of a device, leaf first."""
    return [own_p384(f"nvidia {depth}") for depth in range(5)]


def _forgery(sample: Sample, raw: bytes, label: str, level: Level = Level.FIELD) -> Mutation:
    return Mutation(label=f"report: {label}", level=level, expectation=Expectation.FORGERY,
                    sample=replace(sample, raw=raw))  # fmt: skip


def _spans(raw: bytes) -> Iterator[Span]:
    """Every part of the report, where it stands."""
    for name, start, end in (("request head", 0, 4), ("nonce", 4, 36), ("slot", 36, 37), ("response head", 37, 41),
                             ("count", 41, 42)):  # fmt: skip
        yield Span(name, start, end)
    yield Span("record length", 42, _RECORD, is_length=True)
    count = raw[41]
    size = int.from_bytes(raw[42:_RECORD], "little") // count
    for block in (*_BLOCKS, count - 1):
        at = _RECORD + block * size
        yield Span(f"block {block} index", at, at + 1)
        yield Span(f"block {block} specification", at + 1, at + 2)
        yield Span(f"block {block} size", at + 2, at + 4, is_length=True)
        yield Span(f"block {block} kind", at + 4, at + 5)
        yield Span(f"block {block} value size", at + 5, at + 7, is_length=True)
        yield Span(f"block {block} value", at + 7, at + size)
    yield from _opaque_spans(raw, _RECORD + count * size)


def _opaque_spans(raw: bytes, at: int) -> Iterator[Span]:
    yield Span("responder's nonce", at, at + 32)
    yield Span("opaque length", at + 32, at + 34, is_length=True)
    place, end = at + 34, len(raw) - _SIGNATURE
    while place < end:
        kind, size = (int.from_bytes(raw[place + part : place + part + 2], "little") for part in (0, 2))
        yield Span(f"item {kind} type", place, place + 2)
        yield Span(f"item {kind} size", place + 2, place + 4, is_length=True)
        yield Span(f"item {kind} value", place + 4, place + 4 + size)
        place += 4 + size
    yield Span("r", end, end + 48)
    yield Span("s", end + 48, end + 96)


def _fields(sample: Sample, draw: random.Random) -> Iterator[Mutation]:
    raw = sample.raw
    for span in _spans(raw):
        for word, value in edits(span.of(raw), draw):
            yield _forgery(sample, replaced(raw, span, value), f"{span.name}: {word}")
        if span.is_length:
            for word, value in length_edits(span.of(raw), len(raw) - span.end):
                yield _forgery(sample, replaced(raw, span, value), f"{span.name}: is {word}", Level.LENGTH)
    for bit in sorted(draw.sample(range(8 * (len(raw) - _SIGNATURE)), _RANDOM_BITS)):
        yield _forgery(sample, flipped(raw, bit), f"signed bytes: bit {bit}")


def _ends(sample: Sample, draw: random.Random) -> Iterator[Mutation]:
    raw = sample.raw
    for cut in sorted({0, 36, 37, 41, 44, _RECORD, len(raw) - _SIGNATURE, len(raw) - 48, len(raw) - 1}):
        yield _forgery(sample, raw[:cut], f"cut off after {cut} bytes", Level.LENGTH)
    for word, tail in (("a zero byte", b"\0"), ("zeros", bytes(64)), ("random bytes", draw.randbytes(9)),
                       ("itself", raw)):  # fmt: skip
        yield _forgery(sample, raw + tail, f"followed by {word}", Level.LENGTH)
    yield _forgery(sample, b"\0" + raw, "one byte in front", Level.LENGTH)
    yield _forgery(sample, raw[37:], "answer without its request", Level.LENGTH)
    size = int.from_bytes(raw[42:_RECORD], "little") // raw[41]
    first, second = raw[_RECORD : _RECORD + size], raw[_RECORD + size : _RECORD + 2 * size]
    yield _forgery(sample, raw[:_RECORD] + second + first + raw[_RECORD + 2 * size :], "two blocks swapped")


def _signatures(sample: Sample) -> Iterator[Mutation]:
    raw = sample.raw
    body = raw[:-_SIGNATURE]
    r, s = (int.from_bytes(raw[at : at + 48], "big") for at in (len(body), len(body) + 48))
    others = {"r and s swapped": (s, r), "all zero": (0, 0), "r zero": (0, s), "s zero": (r, 0), "r one": (1, s),
              "s one": (r, 1), "r the order": (_ORDER, s), "s the order": (r, _ORDER)}  # fmt: skip
    for word, (one, other) in others.items():
        yield _forgery(sample, body + one.to_bytes(48, "big") + other.to_bytes(48, "big"), f"signature: {word}",
                       Level.SIGNATURE)  # fmt: skip
    little = b"".join(number.to_bytes(48, "little") for number in (r, s))
    yield _forgery(sample, body + little, "signature: little-endian", Level.SIGNATURE)
    negated = body + r.to_bytes(48, "big") + (_ORDER - s).to_bytes(48, "big")
    yield replace(_forgery(sample, negated, "signature: s negated", Level.SIGNATURE),
                  expectation=Expectation.NEUTRAL)  # fmt: skip
    stranger = own_p384("nvidia 0")
    yield _forgery(sample, body + raw_signature(stranger, body), "signed by a stranger", Level.SIGNATURE)


def _certificates(sample: Sample, draw: random.Random) -> Iterator[Mutation]:
    chain = sample.collateral["cert_chain"]
    blocks = read_pem(chain.rstrip(b"\0"), "CERTIFICATE")
    for edit in chain_edits(as_pem(*blocks), draw, own_keys()):
        yield Mutation(label=f"certificates: {edit.label}", level=edit.level, expectation=edit.expectation,
                       sample=sample.with_item("cert_chain", edit.chain))  # fmt: skip
    body = sample.raw[:-_SIGNATURE]
    signed = body + raw_signature(own_p384("nvidia 0"), body)
    for upto in range(1, len(blocks) + 1):
        own = sample.with_item("cert_chain", as_pem(*own_chain(blocks, own_keys(), upto=upto)))
        yield _forgery(own, signed, f"re-made under {upto} own certificates", Level.CERTIFICATE)
    for word, text in (("in the driver's buffer", as_pem(*blocks).ljust(0x1400, b"\0")),
                       ("without a line end at the end", as_pem(*blocks).rstrip())):  # fmt: skip
        yield Mutation(label=f"certificates: {word}", level=Level.CERTIFICATE, expectation=Expectation.BENIGN,
                       sample=sample.with_item("cert_chain", text))  # fmt: skip
    for word, changed in (("without", sample.without_item("cert_chain")),
                          ("empty", sample.with_item("cert_chain", b""))):  # fmt: skip
        yield Mutation(label=f"{word} cert_chain", level=Level.COLLATERAL, expectation=Expectation.FORGERY,
                       sample=changed)  # fmt: skip


def _reference_values(sample: Sample, draw: random.Random) -> Iterator[Mutation]:
    for name in ("driver_rim", "vbios_rim"):
        if name in sample.collateral:
            for label, expectation, document in rim_edits(sample.collateral[name], draw):
                yield Mutation(label=f"{name}: {label}", level=Level.COLLATERAL, expectation=expectation,
                               sample=sample.with_item(name, document))  # fmt: skip
    if {"driver_rim", "vbios_rim"} <= set(sample.collateral):
        swapped = sample.with_item("driver_rim", sample.collateral["vbios_rim"])
        yield Mutation(label="the VBIOS's reference values in the place of the driver's", level=Level.COLLATERAL,
                       expectation=Expectation.FORGERY, sample=swapped)  # fmt: skip


def _of_others(sample: Sample, others: Sequence[Sample]) -> Iterator[Mutation]:
    for other in others:
        if other.collateral["cert_chain"] != sample.collateral["cert_chain"]:
            yield _borrowed(sample, other, "cert_chain")
        for name in ("driver_rim", "vbios_rim"):
            theirs, mine = other.collateral.get(name), sample.collateral.get(name)
            if theirs is not None and mine is not None and _version(theirs) != _version(mine):
                yield _borrowed(sample, other, name)


def _version(rim: bytes) -> bytes:
    return rim.partition(b'colloquialVersion="')[2].partition(b'"')[0]


def _borrowed(sample: Sample, other: Sample, name: str) -> Mutation:
    return Mutation(label=f"{name} of {other.name}", level=Level.PLATFORM, expectation=Expectation.FORGERY,
                    sample=sample.with_item(name, other.collateral[name]))  # fmt: skip
