"""Forgeries of a DCAP quote's own bytes: fields, lengths, ends, signatures and keys."""

import hashlib
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import replace

from sealroom.testing.gym.byte_edits import edits, length_edits, replaced
from sealroom.testing.gym.mutation import Expectation, Level, Mutation, Sample
from sealroom.testing.gym.own_keys import own_p256, raw_point, raw_signature
from sealroom.testing.gym.quote_parts import HEADER, QuoteParts, spans, split

__all__ = ["quote_mutations", "rebound"]

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_RANDOM_BITS = 64
_REPORT_DATA = 320


def quote_mutations(sample: Sample, draw: random.Random) -> Iterator[Mutation]:
    """Everything that can be done to the quote without a look at its certificates."""
    yield from _fields(sample, draw)
    yield from _swaps(sample)
    yield from _lengths(sample)
    yield from _ends(sample, draw)
    yield from _signatures(sample)
    yield from _own_keys(sample)


def _mutation(sample: Sample, raw: bytes, label: str, level: Level, expectation: Expectation) -> Mutation:
    return Mutation(label=f"quote: {label}", level=level, expectation=expectation, sample=replace(sample, raw=raw))


def _forgery(sample: Sample, raw: bytes, label: str, level: Level = Level.FIELD) -> Mutation:
    return _mutation(sample, raw, label, level, Expectation.FORGERY)


def _fields(sample: Sample, draw: random.Random) -> Iterator[Mutation]:
    raw = sample.raw
    for span in spans(raw):
        if not span.is_length and span.name != "certification data":  # those have edits of their own
            for word, value in edits(span.of(raw), draw):
                yield _forgery(sample, replaced(raw, span, value), f"{span.name}: {word}")
    signed = len(split(raw).signed)
    for bit in sorted(draw.sample(range(8 * signed), _RANDOM_BITS)):
        raw_bit = bytearray(raw)
        raw_bit[bit // 8] ^= 1 << bit % 8
        yield _forgery(sample, bytes(raw_bit), f"signed bytes: bit {bit}")


def _swaps(sample: Sample) -> Iterator[Mutation]:
    """Neighbours of one size exchange what they hold: right bytes in wrong places."""
    raw, fields = sample.raw, list(spans(sample.raw))
    for one, other in itertools.pairwise(fields):
        if one.end - one.start == other.end - other.start and one.of(raw) != other.of(raw):
            swapped = replaced(replaced(raw, one, other.of(raw)), other, one.of(raw))
            yield _forgery(sample, swapped, f"{one.name} and {other.name} swapped")


def _lengths(sample: Sample) -> Iterator[Mutation]:
    raw = sample.raw
    for span in spans(raw):
        if span.is_length:
            for word, value in length_edits(span.of(raw), len(raw) - span.end):
                yield _forgery(sample, replaced(raw, span, value), f"{span.name}: {word}", Level.LENGTH)


def _ends(sample: Sample, draw: random.Random) -> Iterator[Mutation]:
    raw, fields = sample.raw, list(spans(sample.raw))
    end = fields[-1].end
    cuts = {cut for span in fields for cut in (span.start, span.start + 1, span.end - 1)} | {end - 1, end // 2, 0}
    for cut in sorted(cut for cut in cuts if cut < end):
        yield _forgery(sample, raw[:cut], f"cut off after {cut} bytes", Level.LENGTH)
    tails = {"one zero byte": b"\0", "zeros": bytes(1000), "random bytes": draw.randbytes(100), "itself": raw}
    for word, tail in tails.items():
        yield _mutation(sample, raw[:end] + tail, f"followed by {word}", Level.LENGTH, Expectation.BENIGN)
    yield _mutation(sample, raw[:end], "nothing after its end", Level.LENGTH, Expectation.BENIGN)
    yield _forgery(sample, b"\0" + raw, "one byte in front", Level.LENGTH)
    for span in fields:
        if span.end - span.start > 1 and not span.is_length:
            shifted = raw[: span.start] + raw[span.start + 1 :]
            yield _forgery(sample, shifted, f"{span.name}: a byte taken out", Level.LENGTH)


def _signatures(sample: Sample) -> Iterator[Mutation]:
    parts = split(sample.raw)
    for which, value, put in (
        ("signature", parts.signature, lambda new: replace(parts, signature=new)),
        ("qe report signature", parts.qe_report_signature, lambda new: replace(parts, qe_report_signature=new)),
    ):
        yield from _one_signature(sample, which, value, put)


def _one_signature(
    sample: Sample, which: str, value: bytes, put: Callable[[bytes], QuoteParts]
) -> Iterator[Mutation]:
    r, s = value[:32], value[32:]
    low, order = int.from_bytes(s, "big"), _ORDER.to_bytes(32, "big")
    others = {
        "r and s swapped": s + r,
        "little-endian": r[::-1] + s[::-1],
        "all zero": bytes(64),
        "r zero": bytes(32) + s,
        "s zero": r + bytes(32),
        "r the order": order + s,
        "s the order": r + order,
        "r plus the order": ((int.from_bytes(r, "big") + _ORDER) % (1 << 256)).to_bytes(32, "big") + s,
        "r and s one": (b"\0" * 31 + b"\1") * 2,
    }
    for word, other in others.items():
        yield _forgery(sample, put(other).joined(), f"{which}: {word}", Level.SIGNATURE)
    # either of s and n - s is a signature by the same key over the same bytes
    twin = r + (_ORDER - low).to_bytes(32, "big")
    yield _mutation(sample, put(twin).joined(), f"{which}: s negated", Level.SIGNATURE, Expectation.NEUTRAL)


def _own_keys(sample: Sample) -> Iterator[Mutation]:
    """Signatures re-made with keys of one's own, as far up as one gets without a certificate."""
    parts, key, qe_key = split(sample.raw), own_p256("attestation key"), own_p256("pck")
    point = raw_point(key)
    other_body = replace(parts, body=bytes(byte ^ 0x5A for byte in parts.body[:16]) + parts.body[16:])
    for what, base in (("", parts), (" over another body", other_body)):
        signed = replace(base, attestation_key=point, signature=raw_signature(key, base.signed))
        bound = replace(signed, qe_report=rebound(base.qe_report, point, base.auth_data))
        yield _signed(sample, replace(signed, attestation_key=parts.attestation_key), f"signed by a stranger{what}")
        yield _signed(sample, signed, f"own attestation key, not bound{what}")
        yield _signed(sample, bound, f"own attestation key, bound in an unsigned report{what}")
        re_signed = replace(bound, qe_report_signature=raw_signature(qe_key, bound.qe_report))
        yield _signed(sample, re_signed, f"own attestation key, bound in a report that a stranger signed{what}")
        by_itself = replace(bound, qe_report_signature=raw_signature(key, bound.qe_report))
        yield _signed(sample, by_itself, f"own attestation key, bound in a report that it signed itself{what}")
    yield from _misbound(sample, parts)
    without_header = replace(parts, attestation_key=point, signature=raw_signature(key, parts.signed[HEADER:]))
    yield _signed(sample, without_header, "own attestation key, over the body alone")
    for word, other in (("zero", bytes(64)), ("not on the curve", b"\1" * 64), ("above the field", b"\xff" * 64)):
        yield _signed(sample, replace(parts, attestation_key=other), f"attestation key {word}")


def _misbound(sample: Sample, parts: QuoteParts) -> Iterator[Mutation]:
    """The genuine key and report, with another reading of what the report data covers."""
    yield _signed(sample, replace(parts, auth_data=b""), "auth data emptied")
    yield _signed(sample, replace(parts, auth_data=parts.auth_data + b"\0"), "auth data one byte longer")
    digest = hashlib.sha256(parts.attestation_key).digest()
    unbound = parts.qe_report[:_REPORT_DATA] + digest + bytes(32)
    yield _signed(sample, replace(parts, auth_data=b"", qe_report=unbound), "auth data left out of the binding")
    tail = parts.qe_report[:-1] + b"\1"
    yield _signed(sample, replace(parts, qe_report=tail), "second half of the report data not zero")


def _signed(sample: Sample, parts: QuoteParts, label: str) -> Mutation:
    return _forgery(sample, parts.joined(), label, Level.SIGNATURE)


def rebound(report: bytes, point: bytes, auth_data: bytes) -> bytes:
    """A QE report whose report data vouches for another attestation key."""
    return report[:_REPORT_DATA] + hashlib.sha256(point + auth_data).digest() + bytes(32)
