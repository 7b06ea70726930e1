"""All that can be done to an attestation of a vTPM of Google's: its messages, quotes, key, certificates, and the
hardware's report beside. Of tokens: `tokens`.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from sealroom.errors import SealroomError
from sealroom.evidence import Tee
from sealroom.pem import as_pem, read_pem
from sealroom.tees.gcp.inner import HardwareReport, read_hardware
from sealroom.tees.gcp.layout import GcpQuote, VtpmAttestation, parse
from sealroom.tees.gcp.protobuf import octets_field, read_message
from sealroom.tees.gcp.writing import AttestationForm, QuotedBank
from sealroom.testing.gym.certificates import chain_edits, own_chain
from sealroom.testing.gym.mutation import Expectation, Level, Mutation, Sample
from sealroom.testing.gym.own_keys import RSA_SHA256, PrivateKey, own_p384, own_rsa_2048
from sealroom.testing.gym.snp import snp_mutations
from sealroom.testing.gym.tokens import is_token, token_mutations
from sealroom.testing.gym.vtpm import QuoteParts, own_tpm, public_spans, quote_mutations, structure_edits
from sealroom.testing.tpm import SoftTpm

__all__ = ["GcpParts", "gcp_mutations", "own_gcp_keys"]

_QUOTES, _INSTANCE, _CANONICAL = 2, 4, 5
_CUTS = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class GcpParts:
    """An attestation taken apart; put together again by `sample`."""

    base: Sample = field(repr=False)
    form: AttestationForm
    vtpm: VtpmAttestation

    @classmethod
    def of(cls, sample: Sample) -> "GcpParts":
        """The parts of ``sample``."""
        vtpm, message = parse(sample.raw).vtpm, read_message(sample.raw)
        if vtpm is None:
            raise ValueError("a token has no such parts")
        signatures = [read_message(one).octets(2) for one in message.all_octets(_QUOTES)]
        more = b"".join(octets_field(number, one) for number in (_INSTANCE, _CANONICAL)
                        for one in message.all_octets(number))  # fmt: skip
        quotes = tuple(
            QuotedBank(bank=quote.bank, message=quote.message, signature=signature, pcrs=quote.pcrs[quote.bank])
            for quote, signature in zip(vtpm.quotes, signatures, strict=True)
        )
        form = AttestationForm(public=message.octets(1), quotes=quotes, certificate=vtpm.certificate,
                               event_log=vtpm.event_log, intermediates=vtpm.intermediates, hardware=vtpm.hardware,
                               more=more)  # fmt: skip
        return cls(base=sample, form=form, vtpm=vtpm)

    def sample(self, **members: object) -> Sample:
        """With other members of the form."""
        return replace(self.base, raw=replace(self.form, **members).encode())  # type: ignore[arg-type]

    def with_quote(self, number: int, quote: QuotedBank) -> Sample:
        """With another quote in one place."""
        quotes = [*self.form.quotes]
        quotes[number] = quote
        return self.sample(quotes=quotes)

    def chain(self) -> list[bytes]:
        """The key's certificate and its issuers, DER."""
        return [self.form.certificate, *read_pem(self.base.collateral["ak_issuers"], "CERTIFICATE")]


def own_gcp_keys(blocks: Sequence[bytes]) -> list[PrivateKey]:
    """A key of one's own for each certificate (DER), leaf first: a TPM's, then others of the issuers' kind."""
    make = own_rsa_2048 if RSA_SHA256 in blocks[0] else own_p384
    return [own_tpm().key, *(make(f"gcp {depth}") for depth in range(1, len(blocks)))]


def gcp_mutations(sample: Sample, others: Sequence[Sample], draw: random.Random) -> Iterator[Mutation]:
    """Every mutation of ``sample``; ``others`` lend what is true of them."""
    if is_token(sample):
        yield from token_mutations(sample, others, draw)
        return
    parts = GcpParts.of(sample)
    yield from _messages(parts, draw)
    for number, quote in enumerate(parts.vtpm.quotes):
        yield from quote_mutations(_quote(parts, number, quote), draw)
        yield from _places(parts, number)
    yield from _keys(parts, draw)
    yield from _certificates(parts, draw)
    yield from _hardware(parts, draw)
    for other in others:
        if not is_token(other):
            yield from _of_other(parts, GcpParts.of(other))


def _quote(parts: GcpParts, number: int, quote: GcpQuote) -> QuoteParts:
    bank = parts.form.quotes[number]
    indices = [*bank.pcrs]

    def put(made: QuoteParts) -> Sample:
        numbers = [*indices, *range(24, 24 + max(0, len(made.pcrs) - len(indices)))]
        values = dict(zip(numbers, made.pcrs, strict=False))
        return parts.with_quote(number, replace(bank, message=made.message, signature=made.signature, pcrs=values))

    return QuoteParts(message=bank.message, signature=bank.signature, pcrs=[*bank.pcrs.values()], put=put,
                      name=f"quote of {quote.bank.word}")  # fmt: skip


def _messages(parts: GcpParts, draw: random.Random) -> Iterator[Mutation]:
    """Of the encoding."""
    raw = parts.base.raw
    ends = {len(raw) - len(rest) for rest in _rests(raw)}
    for cut in sorted({draw.randrange(len(raw)) for _ in range(_CUTS)} - ends):
        yield _of(parts, f"cut off after {cut} bytes", Level.LENGTH, raw[:cut])
    yield _of(parts, "nothing", Level.LENGTH, b"")
    neutral = {"written again": parts.form.encode(), "a field that nobody knows": raw + octets_field(15, b"x"),
               "an empty field": raw + b"", "itself behind it": raw + raw,
               "a number in more bytes than it needs": b"\x8a\x00" + raw[1:]}  # fmt: skip
    for word, changed in neutral.items():
        yield _of(parts, word, Level.LENGTH, changed, Expectation.NEUTRAL)
    for word, tail in (("a zero byte", b"\0"), ("a group", b"\x0b"), ("half a number", b"\xff"),
                       ("a field longer than the rest", b"\x0a\x7f")):  # fmt: skip
        yield _of(parts, f"followed by {word}", Level.LENGTH, raw + tail)


def _rests(raw: bytes) -> Iterator[bytes]:
    """What follows each field of the outermost message: cut there, it says less and no lie."""
    at = 0
    while at < len(raw):
        at += 1
        size = shift = 0
        while raw[at] & 0x80:
            size, shift, at = size | (raw[at] & 0x7F) << shift, shift + 7, at + 1
        size |= raw[at] << shift
        at += 1 + size
        yield raw[at:]


def _places(parts: GcpParts, number: int) -> Iterator[Mutation]:
    """Of one quote among the others."""
    quotes = [*parts.form.quotes]
    for other, quote in enumerate(quotes):
        if other != number:
            mixed = replace(quotes[number], message=quote.message, signature=quote.signature)
            yield _mutation(f"quote {other} over the registers of {number}", Level.FIELD,
                            parts.with_quote(number, mixed))  # fmt: skip
            renamed = replace(quotes[number], bank=quote.bank)
            yield _mutation(f"registers {number} under the name of bank {other}", Level.FIELD,
                            parts.with_quote(number, renamed))  # fmt: skip
    yield _mutation(f"quote {number} twice", Level.FIELD, parts.sample(quotes=[*quotes, quotes[number]]),
                    Expectation.NEUTRAL)  # fmt: skip
    if number == 0:
        yield _mutation("no quote", Level.FIELD, parts.sample(quotes=[]))
        yield _mutation("quotes turned around", Level.FIELD, parts.sample(quotes=quotes[::-1]), Expectation.NEUTRAL)


def _keys(parts: GcpParts, draw: random.Random) -> Iterator[Mutation]:
    raw = parts.form.public
    for label, level, changed in structure_edits(raw, public_spans(raw), draw):
        yield _mutation(f"key: {label}", level, parts.sample(public=changed))
    for bit in (1, 4, 5, 16, 18):
        attributes = (int.from_bytes(raw[4:8], "big") & ~(1 << bit)).to_bytes(4, "big")
        yield _mutation(f"key: without attribute {bit}", Level.FIELD,
                        parts.sample(public=raw[:4] + attributes + raw[8:]))  # fmt: skip
    tpm = own_tpm()
    yield _mutation("a stranger's key", Level.SIGNATURE, parts.sample(public=tpm.public_area()))
    quotes = [replace(quote, signature=tpm.sign(quote.message)) for quote in parts.form.quotes]
    yield _mutation("a stranger's key, which signed the quotes", Level.SIGNATURE,
                    parts.sample(public=tpm.public_area(), quotes=quotes))  # fmt: skip


def _certificates(parts: GcpParts, draw: random.Random) -> Iterator[Mutation]:
    blocks = parts.chain()
    keys = own_gcp_keys(blocks)
    for edit in chain_edits(as_pem(*blocks), draw, keys):
        try:
            leaf, *above = read_pem(edit.chain, "CERTIFICATE")
        except (SealroomError, ValueError):  # the text is no longer one that can be cut in two
            continue
        if [leaf, *above] != blocks:
            made = parts.sample(certificate=leaf).with_item("ak_issuers", as_pem(*above))
            yield Mutation(label=f"certificates: {edit.label}", level=edit.level, expectation=edit.expectation,
                           sample=made)  # fmt: skip
    tpm: SoftTpm = own_tpm()
    quotes = [replace(quote, signature=tpm.sign(quote.message)) for quote in parts.form.quotes]
    for upto in range(1, len(blocks) + 1):
        leaf, *above = own_chain(blocks, keys, upto=upto)
        made = parts.sample(certificate=leaf, public=tpm.public_area(), quotes=quotes)
        yield _mutation(f"re-made under {upto} own certificates", Level.CERTIFICATE,
                        made.with_item("ak_issuers", as_pem(*above)))  # fmt: skip
    for word, changed in (("without issuers", parts.base.without_item("ak_issuers")),
                          ("empty issuers", parts.base.with_item("ak_issuers", b"")),
                          ("without a certificate", parts.sample(certificate=b""))):  # fmt: skip
        yield _mutation(word, Level.COLLATERAL, changed)


def _hardware(parts: GcpParts, draw: random.Random) -> Iterator[Mutation]:
    """Everything that can be done to the bytes of an SNP report, as the message carries it field by field."""
    hardware = parts.form.hardware
    if hardware is None or hardware.tee is not Tee.SNP or hardware.leaf is None or hardware.chain is None:
        return
    items = {"leaf": hardware.leaf, "chain": hardware.chain}
    inner = replace(parts.base, tee=Tee.SNP, raw=hardware.raw, collateral=items)
    for mutation in snp_mutations(inner, [], draw):
        made = _carried(parts, replace(hardware, raw=mutation.sample.raw))
        if made is not None and mutation.sample.collateral == items:
            yield replace(mutation, label=f"hardware: {mutation.label}", sample=made)


def _carried(parts: GcpParts, hardware: HardwareReport) -> Sample | None:
    """None: the message has no place for every byte of this report."""
    if parts.form.hardware is None or len(hardware.raw) != len(parts.form.hardware.raw):
        return None
    try:
        made = parts.sample(hardware=hardware)
    except SealroomError:
        return None
    there = read_hardware(read_message(made.raw))
    return made if there is not None and there.raw == hardware.raw else None


def _of_other(parts: GcpParts, other: GcpParts) -> Iterator[Mutation]:
    theirs = other.form
    if theirs.public == parts.form.public:
        return
    spliced: dict[str, dict[str, object]] = {
        "quotes": {"quotes": theirs.quotes}, "key": {"public": theirs.public},
        "certificate": {"certificate": theirs.certificate},
        "key and certificate": {"public": theirs.public, "certificate": theirs.certificate},
        "key and quotes": {"public": theirs.public, "quotes": theirs.quotes},
    }  # fmt: skip
    for word, members in spliced.items():
        yield _mutation(f"{word} of {other.base.name}", Level.PLATFORM, parts.sample(**members))


def _of(
    parts: GcpParts, label: str, level: Level, raw: bytes, expectation: Expectation = Expectation.FORGERY
) -> Mutation:
    return _mutation(f"attestation: {label}", level, replace(parts.base, raw=raw), expectation)


def _mutation(
    label: str, level: Level, sample: Sample, expectation: Expectation = Expectation.FORGERY
) -> Mutation:  # fmt: skip
    return Mutation(label=label, level=level, expectation=expectation, sample=sample)
