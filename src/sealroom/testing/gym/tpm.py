"""All that can be done to the evidence of a machine that has nothing but a TPM, and faults under an own key."""

import base64
import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sealroom.evidence import TrustRoots
from sealroom.tees.tpm.layout import TpmQuote, parse
from sealroom.testing.gym.json_evidence import object_mutations
from sealroom.testing.gym.mutation import Expectation, Level, Mutation, Sample
from sealroom.testing.gym.vtpm import QuoteParts, attest_spans, own_tpm, quote_mutations, structure_edits
from sealroom.testing.tpm import SoftTpm

__all__ = ["TpmWorld", "tpm_mutations", "tpm_world_mutations", "write_tpm_evidence"]

_OPTIONAL = frozenset({"event_log", "eventlog", "svn"})


def write_tpm_evidence(
    message: bytes, signature: bytes, pcrs: Sequence[bytes], key: bytes, event_log: bytes | None = None
) -> bytes:
    """The object as an agent writes it."""
    said: dict[str, Any] = {
        "tpm_quote": {"message": _text(message), "signature": _text(signature),
                      "pcrs": [value.hex() for value in pcrs]},
        "ak_public": _text(key),
    }  # fmt: skip
    return json.dumps(said if event_log is None else {**said, "event_log": _text(event_log)}).encode()


def tpm_mutations(sample: Sample, others: Sequence[Sample], draw: random.Random) -> Iterator[Mutation]:
    """Every mutation of ``sample``; ``others`` lend their quotes and keys."""
    quote = parse(sample.raw).quote
    parts = _parts(sample, quote)

    def written(quoted: QuoteParts = parts, key: bytes = _key(quote), log: bytes | None = quote.event_log) -> bytes:
        return write_tpm_evidence(quoted.message, quoted.signature, quoted.pcrs, key, log)

    yield from object_mutations(sample, optional=_OPTIONAL)
    yield from quote_mutations(parts, draw)
    stranger = own_tpm(parts.kind)
    signed = replace(parts, signature=stranger.sign(quote.message))
    keys = {"signed under a stranger's key": (signed, stranger.spki), "a stranger's key": (parts, stranger.spki),
            "a key that is none": (parts, b"\x30\0")}  # fmt: skip
    for word, (made, key) in keys.items():
        yield _forged(sample, word, written(made, key), Level.SIGNATURE)
    if quote.area is not None:  # enrolled whole: then every byte of it is vouched for
        for label, level, area in structure_edits(quote.area, iter(()), draw):
            yield _forged(sample, f"key: {label}", written(key=area), level)
    if quote.event_log is not None:
        for word, log in (("cut", quote.event_log[:-1]), ("empty", b""), ("twice", quote.event_log * 2)):
            yield _forged(sample, f"event log {word}", written(log=log), Level.FIELD)
    for other in others:
        theirs = parse(other.raw).quote
        yield _forged(sample, f"quote of {other.name}", written(_parts(other, theirs)), Level.PLATFORM)
        yield _forged(sample, f"key of {other.name}", written(key=_key(theirs)), Level.PLATFORM)


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmWorld:
    """Recorded evidence under a key of one's own; change any part with `dataclasses.replace`, and sign."""

    base: Sample = field(repr=False)
    tpm: SoftTpm = field(repr=False)
    message: bytes = field(repr=False)
    pcrs: tuple[bytes, ...] = field(repr=False)
    event_log: bytes | None = field(repr=False)
    attributes: int | None = None
    """Of the key, where it comes in the TPM's own form."""
    signer: SoftTpm | None = field(default=None, repr=False)
    trusted: bool = True

    @classmethod
    def of(cls, sample: Sample) -> "TpmWorld":
        """The world of ``sample``."""
        quote = parse(sample.raw).quote
        return cls(base=sample, tpm=own_tpm(_parts(sample, quote).kind), message=quote.message,
                   pcrs=_parts(sample, quote).pcrs, event_log=quote.event_log)  # type: ignore[arg-type] # fmt: skip

    def sample(self) -> Sample:
        """Signed, and the own key enrolled."""
        key = self.tpm.spki
        if self.attributes is not None:
            key = replace(self.tpm, attributes=self.attributes).public_area()
        signature = (self.signer or self.tpm).sign(self.message)
        known = frozenset({hashlib.sha256(key).digest()}) if self.trusted else frozenset[bytes]()
        return replace(self.base, name=f"{self.base.name}, re-minted", roots=TrustRoots(insecure_simulated=known),
                       raw=write_tpm_evidence(self.message, signature, self.pcrs, key, self.event_log))  # fmt: skip


def tpm_world_mutations(world: TpmWorld) -> Iterator[Mutation]:
    """One fault at a time, rightly signed."""
    spans = {span.name: span for span in attest_spans(world.message)}

    def put(name: str, value: bytes) -> TpmWorld:
        span = spans[name]
        return replace(world, message=world.message[: span.start] + value + world.message[span.end :])

    digest = spans["digest"].of(world.message)
    banks = int.from_bytes(spans["number of banks"].of(world.message), "big")
    faults = {
        "a structure that no TPM made": put("magic", b"\xff\x54\x43\x48"),
        "a time and no quote": put("type", b"\x80\x19"), "a certified key and no quote": put("type", b"\x80\x17"),
        "another digest": put("digest", bytes(len(digest))), "no bank": put("number of banks", bytes(4)),
        "one bank more": put("number of banks", (banks + 1).to_bytes(4, "big")),
        "a bank that nobody knows": put("bank 0", b"\0\x12"), "a clock neither safe nor not": put("safe", b"\2"),
        "no register": put("bitmap 0", bytes(len(spans["bitmap 0"].of(world.message)))),
        "a byte behind the quote": replace(world, message=world.message + b"\0"),
        "another register": replace(world, pcrs=(b"\1" * len(world.pcrs[0]), *world.pcrs[1:])),
        "registers turned around": replace(world, pcrs=world.pcrs[::-1]),
        "a key that may leave its TPM": replace(world, attributes=0x00050070),
        "a key that was not made in its TPM": replace(world, attributes=0x00050052),
        "a key that may not sign": replace(world, attributes=0x00010072),
        "signed by another": replace(world, signer=SoftTpm.create(own_kind(world.tpm))),
        "a key that nobody enrolled": replace(world, trusted=False),
        "a log that is none": replace(world, event_log=b"no log"),
    }  # fmt: skip
    for label, faulty in faults.items():
        if faulty != world:
            yield Mutation(label=f"re-minted: {label}", level=Level.MINTED, expectation=Expectation.FORGERY,
                           sample=faulty.sample())  # fmt: skip


def own_kind(tpm: SoftTpm) -> str:
    """The scheme, as `SoftTpm.create` has it."""
    return tpm.scheme.name.lower()


def _parts(sample: Sample, quote: TpmQuote) -> QuoteParts:
    said: dict[str, Any] = json.loads(sample.raw)["tpm_quote"]
    values = tuple(value for bank in quote.pcrs.values() for value in bank.values())

    def put(parts: QuoteParts) -> Sample:
        raw = write_tpm_evidence(parts.message, parts.signature, parts.pcrs, _key(quote), quote.event_log)
        return replace(sample, raw=raw)

    return QuoteParts(message=quote.message, signature=_octets(said["signature"]), pcrs=values, put=put)


def _key(quote: TpmQuote) -> bytes:
    return quote.key if quote.area is None else quote.area


def _octets(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return base64.b64decode(text)


def _forged(sample: Sample, label: str, raw: bytes, level: Level) -> Mutation:
    return Mutation(label=label, level=level, expectation=Expectation.FORGERY, sample=replace(sample, raw=raw))


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
