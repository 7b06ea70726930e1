"""All that can be done to an SNP report and its certificates."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from sealroom.errors import MalformedError
from sealroom.pem import as_pem, is_pem, read_pem
from sealroom.tees.snp.layout import REPORT, SIGNED_SIZE
from sealroom.testing.gym.byte_edits import Span, edits, flipped, replaced
from sealroom.testing.gym.certificates import chain_edits, own_chain
from sealroom.testing.gym.mutation import Expectation, Level, Mutation, Sample
from sealroom.testing.gym.own_keys import PrivateKey, own_p384, own_rsa

__all__ = ["certificate_chain", "snp_mutations"]

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
_RANDOM_BITS = 64
_TCB = (0x38, 0x180, 0x1E0, 0x1F0)


def snp_mutations(sample: Sample, others: Sequence[Sample], draw: random.Random) -> Iterator[Mutation]:
    """Every mutation of ``sample``; ``others`` lend what is true of them."""
    yield from _fields(sample, draw)
    yield from _ends(sample, draw)
    yield from _signatures(sample)
    yield from _own_hierarchies(sample)
    yield from _certificates(sample, draw)
    yield from _items(sample)
    yield from _of_others(sample, others)


def _forgery(sample: Sample, raw: bytes, label: str, level: Level = Level.FIELD) -> Mutation:
    return Mutation(label=f"report: {label}", level=level, expectation=Expectation.FORGERY,
                    sample=replace(sample, raw=raw))  # fmt: skip


def _fields(sample: Sample, draw: random.Random) -> Iterator[Mutation]:
    raw = sample.raw
    for row in REPORT.fields:
        span = Span(row.name, row.offset, row.offset + row.size)
        for word, value in edits(span.of(raw), draw):
            mutation = _forgery(sample, replaced(raw, span, value), f"{span.name}: {word}")
            # what stands behind the signature is reserved and unsigned; within it, only what a number is made of
            unsigned = span.start >= SIGNED_SIZE + 2 * 72
            yield replace(mutation, expectation=Expectation.NEUTRAL) if unsigned else mutation
    for bit in sorted(draw.sample(range(8 * SIGNED_SIZE), _RANDOM_BITS)):
        yield _forgery(sample, flipped(raw, bit), f"signed bytes: bit {bit}")
    for one in _TCB:
        for other in _TCB:
            if one < other and raw[one : one + 8] != raw[other : other + 8]:
                swapped = replaced(raw, Span("", one, one + 8), raw[other : other + 8])
                swapped = replaced(swapped, Span("", other, other + 8), raw[one : one + 8])
                yield _forgery(sample, swapped, f"TCB at 0x{one:x} and 0x{other:x} swapped")


def _ends(sample: Sample, draw: random.Random) -> Iterator[Mutation]:
    raw = sample.raw
    cuts = {row.offset for row in REPORT.fields} | {len(raw) - 1, SIGNED_SIZE + 96, 0}
    for cut in sorted(cut for cut in cuts if cut < len(raw)):
        yield _forgery(sample, raw[:cut], f"cut off after {cut} bytes", Level.LENGTH)
    for word, tail in (("a zero byte", b"\0"), ("zeros", bytes(64)), ("random bytes", draw.randbytes(9)),
                       ("itself", raw)):  # fmt: skip
        yield _forgery(sample, raw + tail, f"followed by {word}", Level.LENGTH)
    yield _forgery(sample, b"\0" + raw, "one byte in front", Level.LENGTH)


def _signatures(sample: Sample) -> Iterator[Mutation]:
    raw = sample.raw
    r, s = (int.from_bytes(raw[at : at + 72], "little") for at in (SIGNED_SIZE, SIGNED_SIZE + 72))
    others = {"r and s swapped": (s, r), "all zero": (0, 0), "r zero": (0, s), "s zero": (r, 0), "r one": (1, s),
              "s one": (r, 1), "r the order": (_ORDER, s), "s the order": (r, _ORDER),
              "r plus the order": (r + _ORDER, s), "s plus the order": (r, s + _ORDER)}  # fmt: skip
    for word, (one, other) in others.items():
        yield _forgery(sample, _signed(raw, one, other), f"signature: {word}", Level.SIGNATURE)
    big = b"".join(number.to_bytes(48, "big").ljust(72, b"\0") for number in (r, s))
    yield _forgery(sample, raw[:SIGNED_SIZE] + big + raw[SIGNED_SIZE + 144 :], "signature: big-endian",
                   Level.SIGNATURE)  # fmt: skip
    twin = _forgery(sample, _signed(raw, r, _ORDER - s), "signature: s negated", Level.SIGNATURE)
    yield replace(twin, expectation=Expectation.NEUTRAL)
    yield _forgery(sample, _own_signature(raw), "signed by a stranger", Level.SIGNATURE)
    other_report = flipped(raw, 8 * 0x90)
    yield _forgery(sample, _own_signature(other_report), "another measurement, signed by a stranger", Level.SIGNATURE)


def _signed(raw: bytes, r: int, s: int) -> bytes:
    return raw[:SIGNED_SIZE] + r.to_bytes(72, "little") + s.to_bytes(72, "little") + raw[SIGNED_SIZE + 144 :]


def _own_signature(raw: bytes) -> bytes:
    algorithm = ec.ECDSA(hashes.SHA384(), deterministic_signing=True)
    return _signed(raw, *decode_dss_signature(own_p384("vcek").sign(raw[:SIGNED_SIZE], algorithm)))


def certificate_chain(sample: Sample) -> list[bytes]:
    """Leaf and issuers in DER, as they stand in the collateral."""
    leaf = sample.collateral["leaf"]
    leaf = read_pem(leaf, "CERTIFICATE")[0] if is_pem(leaf) else leaf
    above = read_pem(sample.collateral["chain"], "CERTIFICATE")
    return [leaf, *(block for block in above if block != leaf)]


def _keys() -> list[PrivateKey]:
    return [own_p384("vcek"), own_rsa("ask"), own_rsa("ark")]


def _own_hierarchies(sample: Sample) -> Iterator[Mutation]:
    """Report re-signed by an own key, under 1, 2 or 3 own certificates with the vendor's names and extensions."""
    blocks = certificate_chain(sample)
    for upto in range(1, len(blocks) + 1):
        leaf, *above = own_chain(blocks, _keys(), upto=upto)
        base = sample.with_item("leaf", leaf).with_item("chain", as_pem(*above))
        for what, raw in (("", sample.raw), (" with another measurement", flipped(sample.raw, 8 * 0x90))):
            yield _forgery(base, _own_signature(raw), f"re-made under {upto} own certificates{what}",
                           Level.CERTIFICATE)  # fmt: skip


def _certificates(sample: Sample, draw: random.Random) -> Iterator[Mutation]:
    blocks = certificate_chain(sample)
    for edit in chain_edits(as_pem(*blocks), draw, _keys()):
        cut = _leaf_and_chain(edit.chain)
        if cut is None or [cut[0], *cut[1]] == blocks:  # the text is no longer there to be written otherwise
            continue
        leaf, above = cut
        changed = sample.with_item("leaf", leaf).with_item("chain", as_pem(*above))
        yield Mutation(label=f"certificates: {edit.label}", level=edit.level, expectation=edit.expectation,
                       sample=changed)  # fmt: skip
    for name, text in (("leaf as PEM", as_pem(blocks[0])), ("leaf as PEM and a NUL", as_pem(blocks[0]) + b"\0")):
        yield Mutation(label=f"certificates: {name}", level=Level.CERTIFICATE, expectation=Expectation.BENIGN,
                       sample=sample.with_item("leaf", text))  # fmt: skip


def _leaf_and_chain(text: bytes) -> tuple[bytes, list[bytes]] | None:
    """None: it is no longer a PEM text of certificates, and so can not be cut in two."""
    try:
        blocks = read_pem(text, "CERTIFICATE")
    except MalformedError:
        return None
    return (blocks[0], blocks[1:]) if blocks else None


def _items(sample: Sample) -> Iterator[Mutation]:
    for name in ("leaf", "chain"):
        for word, changed in (("without", sample.without_item(name)), ("empty", sample.with_item(name, b""))):
            yield Mutation(label=f"{word} {name}", level=Level.COLLATERAL, expectation=Expectation.FORGERY,
                           sample=changed)  # fmt: skip
    for word, crl in (("empty", b""), ("a certificate", certificate_chain(sample)[-1])):
        yield Mutation(label=f"revocation list: {word}", level=Level.REVOCATION, expectation=Expectation.FORGERY,
                       sample=sample.with_item("crl", crl))  # fmt: skip


def _of_others(sample: Sample, others: Sequence[Sample]) -> Iterator[Mutation]:
    mine = certificate_chain(sample)
    for other in others:
        theirs = certificate_chain(other)
        if theirs[0] != mine[0] and _key(theirs[0]) != _key(mine[0]):
            yield _borrowed(sample, other, "leaf")
            yield _borrowed(sample, other, "leaf", "chain")
        if theirs[1:] != mine[1:]:
            yield _borrowed(sample, other, "chain")


def _key(certificate: bytes) -> bytes:
    """The public key's bytes: two certificates of one chip at one TCB have the same."""
    start = certificate.find(bytes.fromhex("06052b81040022"))
    return certificate[start : start + 120]


def _borrowed(sample: Sample, other: Sample, *names: str) -> Mutation:
    changed = sample
    for name in names:
        changed = changed.with_item(name, other.collateral[name])
    return Mutation(label=f"{' and '.join(names)} of {other.name}", level=Level.PLATFORM,
                    expectation=Expectation.FORGERY, sample=changed)  # fmt: skip
