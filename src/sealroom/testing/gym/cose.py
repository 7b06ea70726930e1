"""All that can be done to signed CBOR: Nitro documents, and tokens of Arm's CCA and PSA."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from sealroom.cbor import CborKey, CborValue, Tagged, encode_cbor, read_cbor
from sealroom.tees.nitro.layout import parse
from sealroom.testing.gym.byte_edits import flipped
from sealroom.testing.gym.certificates import der_edits, own_chain
from sealroom.testing.gym.mutation import Expectation, Level, Mutation, Sample
from sealroom.testing.gym.own_keys import own_p384

__all__ = ["cose_mutations", "nitro_mutations", "own_nitro_keys", "signed_by"]

_ORDERS = {
    64: 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    96: 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
}
"""Of the curve, by the length of its signatures."""
_BITS, _CUTS = 160, 24
_ES384 = -35


def cose_mutations(sample: Sample, others: Sequence[Sample], draw: random.Random) -> Iterator[Mutation]:
    """Bits, ends and signatures of everything, and every member of every signed map."""
    del others  # public tokens share their keys, so that parts of one are authentic in another
    raw = sample.raw
    for bit in sorted(draw.sample(range(8 * len(raw)), _BITS)):
        yield _forgery(sample, flipped(raw, bit), f"bit {bit}", Level.FIELD)
    for cut in sorted({len(raw) * number // _CUTS for number in range(_CUTS)} | {len(raw) - 1}):
        yield _forgery(sample, raw[:cut], f"cut off after {cut} bytes", Level.LENGTH)
    for word, tail in (("a zero byte", b"\0"), ("a break", b"\xff"), ("an empty map", b"\xa0"), ("itself", raw)):
        yield _forgery(sample, raw + tail, f"followed by {word}", Level.LENGTH)
    for word, front in (("a tag that nobody knows", b"\xd9\x40\x00"), ("a zero byte", b"\0")):
        yield _forgery(sample, front + raw, f"{word} in front", Level.LENGTH)
    for number, message in enumerate(_messages(read_cbor(raw))):
        yield from _signatures(sample, message, number)
        yield from _members(sample, message, number, draw)


def nitro_mutations(sample: Sample, others: Sequence[Sample], draw: random.Random) -> Iterator[Mutation]:
    """Of a Nitro document: as of all such, and its certificates, which are signed along."""
    yield from cose_mutations(sample, others, draw)
    (message,) = _messages(read_cbor(sample.raw))
    payload, document = _map(message), parse(sample.raw).document
    blocks = [document.certificate, *reversed(document.cabundle)]
    keys = own_nitro_keys(len(blocks))
    for upto in range(1, len(blocks) + 1):
        changed = _with_chain(payload, own_chain(blocks, keys, upto=upto))
        yield _forgery(sample, signed_by(keys[0], changed), f"re-made under {upto} own certificates",
                       Level.CERTIFICATE)  # fmt: skip
    for depth, block in enumerate(blocks):
        for word, made, covered in der_edits(block, draw):
            if covered or depth < len(blocks) - 1:
                altered = _with_chain(payload, [*blocks[:depth], made, *blocks[depth + 1 :]])
                yield _forgery(sample, _resigned(message, altered), f"certificate {depth}: {word}",
                               Level.CERTIFICATE)  # fmt: skip
    for depth in range(len(blocks)):
        altered = _with_chain(payload, blocks[:depth] + blocks[depth + 1 :])
        yield _forgery(sample, _resigned(message, altered), f"without certificate {depth}", Level.CHAIN)


def own_nitro_keys(number: int) -> list[ec.EllipticCurvePrivateKey]:
    """Keys of one's own, leaf first."""
    return [own_p384(f"nitro {depth}") for depth in range(number)]


def signed_by(
    key: ec.EllipticCurvePrivateKey, payload: CborValue, *, alg: int = _ES384, tagged: bool = False
) -> bytes:
    """A COSE_Sign1 over ``payload`` (RFC 9052 section 4.4), on P-384."""
    protected, body = encode_cbor({1: alg}), encode_cbor(payload)
    signed = encode_cbor(["Signature1", protected, b"", body])
    numbers = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA384(), deterministic_signing=True)))
    message: list[CborValue] = [protected, {}, body, b"".join(number.to_bytes(48, "big") for number in numbers)]
    return encode_cbor(Tagged(18, message) if tagged else message)


def _forgery(sample: Sample, raw: bytes, label: str, level: Level) -> Mutation:
    return Mutation(label=f"document: {label}", level=level, expectation=Expectation.FORGERY,
                    sample=replace(sample, raw=raw))  # fmt: skip


def _messages(value: CborValue) -> list[list[CborValue]]:
    """Every COSE_Sign1 in ``value``, in byte strings too."""
    if isinstance(value, Tagged):
        return _messages(value.value)
    if isinstance(value, list) and len(value) == 4 and isinstance(value[0], bytes) and isinstance(value[3], bytes):
        return [value]
    if isinstance(value, list):
        return [found for item in value for found in _messages(item)]
    if isinstance(value, dict):
        return [found for item in value.values() for found in _messages(item)]
    if isinstance(value, bytes) and value[:1] in {b"\xd2", b"\x84"}:
        return _messages(read_cbor(value))
    return []


def _signatures(sample: Sample, message: list[CborValue], number: int) -> Iterator[Mutation]:
    signature = _bytes(message[3])
    order, half = _ORDERS.get(len(signature)), len(signature) // 2
    if order is None:
        return
    r, s = (int.from_bytes(part, "big") for part in (signature[:half], signature[half:]))
    others = {"r and s swapped": (s, r), "all zero": (0, 0), "r zero": (0, s), "s zero": (r, 0), "r one": (1, s),
              "s the order": (r, order), "s negated": (r, order - s)}  # fmt: skip
    for word, (one, other) in others.items():
        made = sample.raw.replace(signature, one.to_bytes(half, "big") + other.to_bytes(half, "big"))
        mutation = _forgery(sample, made, f"signature {number}: {word}", Level.SIGNATURE)
        negated = replace(mutation, expectation=Expectation.NEUTRAL)
        yield negated if word == "s negated" else mutation
    for word, value in (
        ("empty", b""),
        ("cut off", signature[:-1]),
        ("with a zero byte in front", b"\0" + signature),
    ):
        changed = sample.raw.replace(encode_cbor(signature), encode_cbor(value))
        yield _forgery(sample, changed, f"signature {number}: {word}", Level.SIGNATURE)


def _members(
    sample: Sample, message: list[CborValue], number: int, draw: random.Random
) -> Iterator[Mutation]:  # fmt: skip
    """Each member of the signed map another, or gone; the signature as it was."""
    payload = _map(message)
    for key, value in payload.items():
        name = f"signed {number}: {key!s}" if not isinstance(key, bytes) else f"signed {number}: {key.hex()}"
        if isinstance(value, bytes) and value:
            other = flipped(value, draw.randrange(8 * len(value)))
            yield _changed(sample, message, {**payload, key: other}, f"{name}: a bit")
            yield _changed(sample, message, {**payload, key: bytes(len(value))}, f"{name}: zeros",
                           )  # fmt: skip
        elif isinstance(value, int):
            yield _changed(sample, message, {**payload, key: value + 1}, f"{name}: plus 1")
        elif isinstance(value, str):
            yield _changed(sample, message, {**payload, key: value + "x"}, f"{name}: longer")
        elif isinstance(value, dict) and value:
            inner = dict(value)
            inner.pop(next(iter(inner)))
            yield _changed(sample, message, {**payload, key: inner}, f"{name}: one less")
        kept = {other: item for other, item in payload.items() if other != key}
        yield _changed(sample, message, kept, f"{name}: left out")
    yield _changed(sample, message, {**payload, 424242: b"x"}, f"signed {number}: a member more")


def _changed(sample: Sample, message: list[CborValue], payload: CborValue, label: str) -> Mutation:
    """``payload`` in the place of the message's, wherever that is."""
    old, new = encode_cbor(message[2]), encode_cbor(encode_cbor(payload))
    if old in sample.raw and not _is_inside(sample.raw, message):
        return _forgery(sample, sample.raw.replace(old, new), label, Level.FIELD)
    whole = _in_place(read_cbor(sample.raw), message[2], encode_cbor(payload))
    return _forgery(sample, encode_cbor(whole), label, Level.FIELD)


def _is_inside(raw: bytes, message: list[CborValue]) -> bool:
    """Whether the message stands in a byte string, whose length changes with it."""
    value = read_cbor(raw)
    outer = value.value if isinstance(value, Tagged) else value
    return outer != message


def _in_place(value: CborValue, old: CborValue, new: CborValue) -> CborValue:
    if isinstance(value, Tagged):
        return Tagged(value.tag, _in_place(value.value, old, new))
    if isinstance(value, list):
        return [_in_place(item, old, new) for item in value]
    if isinstance(value, dict):
        return {key: _in_place(item, old, new) for key, item in value.items()}
    if isinstance(value, bytes):
        if value == old:
            return new
        if value[:1] in {b"\xd2", b"\x84"}:
            return encode_cbor(_in_place(read_cbor(value), old, new))
    return value


def _map(message: list[CborValue]) -> dict[CborKey, CborValue]:
    found = read_cbor(_bytes(message[2]))
    return found if isinstance(found, dict) else {}


def _bytes(value: CborValue) -> bytes:
    return value if isinstance(value, bytes) else b""


def _with_chain(payload: dict[CborKey, CborValue], blocks: list[bytes]) -> dict[CborKey, CborValue]:
    """The document with other certificates, leaf first."""
    bundle: list[CborValue] = [*reversed(blocks[1:])]
    return {**payload, "certificate": blocks[0], "cabundle": bundle}


def _resigned(message: list[CborValue], payload: CborValue) -> bytes:
    """Another payload under the old signature."""
    return encode_cbor([message[0], message[1], encode_cbor(payload), message[3]])
