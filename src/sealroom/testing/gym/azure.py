"""All that can be done to the evidence of an Azure guest: the paravisor's report, what it binds, the vTPM's quote,
the hardware's own report inside. Of tokens: `tokens`.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sealroom.evidence import Tee
from sealroom.tees._tpm.evidence_json import octets
from sealroom.tees.azure_vtpm.layout import AzureGuest, parse
from sealroom.tees.azure_vtpm.writing import EvidenceForm
from sealroom.testing.gym.byte_edits import Span, edits, flipped, length_edits, replaced
from sealroom.testing.gym.dcap import dcap_mutations
from sealroom.testing.gym.json_evidence import object_mutations
from sealroom.testing.gym.json_spans import json_spans
from sealroom.testing.gym.mutation import Expectation, Level, Mutation, Sample
from sealroom.testing.gym.snp import snp_mutations
from sealroom.testing.gym.tokens import is_token, token_mutations
from sealroom.testing.gym.vtpm import QuoteParts, own_tpm, quote_mutations
from sealroom.testing.tokens import base64url

__all__ = ["AzureParts", "azure_mutations", "with_runtime"]

_HARDWARE, _RUNTIME, _JSON = 32, 1216, 1236
_OPTIONAL = frozenset({"event_log", "additional_evidence"})
_BITS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureParts:
    """A guest's evidence taken apart; put together again by `sample`."""

    base: Sample = field(repr=False)
    form: EvidenceForm
    guest: AzureGuest

    @classmethod
    def of(cls, sample: Sample) -> "AzureParts":
        """The parts of ``sample``."""
        guest = parse(sample.raw).guest
        if guest is None:
            raise ValueError("a token has no such parts")
        said = json.loads(sample.raw)
        form = EvidenceForm(
            hcl_report=octets(said["hcl_report"], "hcl_report", area="gym"), message=guest.message,
            signature=guest.signature.rsa,
            pcrs=tuple(value for bank in guest.pcrs.values() for value in bank.values()), vcek=guest.vcek,
            td_quote=guest.td_quote, event_log=guest.event_log, version=said.get("version", 1),
        )  # fmt: skip
        return cls(base=sample, form=form, guest=guest)

    def sample(self, **members: object) -> Sample:
        """With other members of the form."""
        return replace(self.base, raw=replace(self.form, **members).encode())  # type: ignore[arg-type]

    @property
    def quote(self) -> QuoteParts:
        """The vTPM's part."""
        return QuoteParts(
            message=self.form.message, signature=self.form.signature, pcrs=self.form.pcrs,
            put=lambda made: self.sample(message=made.message, signature=made.signature, pcrs=made.pcrs),
        )  # fmt: skip

    @property
    def inner(self) -> Sample:
        """The hardware's evidence by itself."""
        items = dict(self.base.collateral)
        raw = self.form.td_quote or b""
        if self.guest.hcl.inner is Tee.SNP:
            raw = self.guest.hcl.hardware_report
            items |= {} if self.form.vcek is None else {"leaf": self.form.vcek}
        return replace(self.base, tee=self.guest.hcl.inner, raw=raw, collateral=items)

    def around(self, inner: Sample) -> Sample:
        """The guest's evidence around other evidence of the hardware, with its certificates beside."""
        collateral = dict(inner.collateral)
        if self.guest.hcl.inner is Tee.SNP:
            report = self.form.hcl_report
            changed = report[:_HARDWARE] + inner.raw + report[_HARDWARE + len(self.guest.hcl.hardware_report) :]
            made = self.sample(hcl_report=changed, vcek=None)
        else:
            made = self.sample(td_quote=inner.raw)
        return replace(inner, tee=self.base.tee, raw=made.raw, collateral=collateral)


def azure_mutations(sample: Sample, others: Sequence[Sample], draw: random.Random) -> Iterator[Mutation]:
    """Every mutation of ``sample``; ``others`` lend what is true of them."""
    if is_token(sample):
        yield from token_mutations(sample, others, draw)
        return
    parts = AzureParts.of(sample)
    yield from object_mutations(sample, optional=_OPTIONAL)
    yield from quote_mutations(parts.quote, draw)
    yield from _reports(parts, draw)
    yield from _bound(parts, draw)
    yield from _lifted(parts, draw)
    yield from _of_others(parts, [AzureParts.of(other) for other in others if not is_token(other)])


def _lifted(parts: AzureParts, draw: random.Random) -> Iterator[Mutation]:
    """Everything that can be done to the hardware's own evidence, in its place inside."""
    inner = parts.inner
    maker = snp_mutations if inner.tee is Tee.SNP else dcap_mutations
    for mutation in maker(inner, [], draw):
        yield replace(mutation, label=f"hardware: {mutation.label}", sample=parts.around(mutation.sample))


def _spans() -> Iterator[tuple[Span, bool]]:
    """Fields of the paravisor's report, and whether anything vouches for them."""
    for name, start, end, vouched in (
        ("magic", 0, 4, True), ("version", 4, 8, False), ("request", 12, 16, False), ("status", 16, 20, False),
        ("reserved", 20, 32, False), ("runtime version", _RUNTIME + 4, _RUNTIME + 8, False),
        ("kind of hardware", _RUNTIME + 8, _RUNTIME + 12, True), ("hash", _RUNTIME + 12, _RUNTIME + 16, True),
    ):  # fmt: skip
        yield Span(name, start, end), vouched
    yield Span("report size", 8, 12, is_length=True), False
    yield Span("data size", _RUNTIME, _RUNTIME + 4, is_length=True), False
    yield Span("runtime size", _RUNTIME + 16, _JSON, is_length=True), True


def _reports(parts: AzureParts, draw: random.Random) -> Iterator[Mutation]:
    raw = parts.form.hcl_report
    for span, vouched in _spans():
        found = [(Level.FIELD, word, value) for word, value in edits(span.of(raw), draw)]
        if span.is_length:
            lies = length_edits(span.of(raw), len(raw) - _JSON)
            found += [(Level.LENGTH, f"is {word}", value) for word, value in lies]
        for level, word, value in {value: (level, word, value) for level, word, value in found}.values():
            expectation = Expectation.FORGERY if vouched else Expectation.NEUTRAL
            yield _made(parts, f"report: {span.name}: {word}", level, replaced(raw, span, value), expectation)
    if parts.guest.hcl.inner is Tee.TDX:  # its MAC is for Intel's enclave alone; the rest is compared with the quote
        for bit in sorted(draw.sample(range(8 * _HARDWARE, 8 * (_HARDWARE + 1024)), _BITS)):
            yield _made(parts, f"report: TDREPORT: bit {bit}", Level.FIELD, flipped(raw, bit), Expectation.NEUTRAL)
    end = _JSON + len(parts.guest.hcl.runtime_data)
    for cut in sorted({0, _HARDWARE, _RUNTIME, _JSON, end - 1}):
        yield _made(parts, f"report: cut off after {cut} bytes", Level.LENGTH, raw[:cut])
    yield _made(parts, "report: cut off behind what it binds", Level.LENGTH, raw[:end], Expectation.NEUTRAL)
    yield _made(parts, "report: zeros behind it", Level.LENGTH, raw + bytes(64), Expectation.NEUTRAL)
    if end < len(raw):
        stray = raw[:end] + b"\1" + raw[end + 1 :]
        yield _made(parts, "report: a byte behind what it binds", Level.FIELD, stray, Expectation.NEUTRAL)


def _bound(parts: AzureParts, draw: random.Random) -> Iterator[Mutation]:
    """What the hardware's report data is a hash of: bits, values, and the same written otherwise."""
    text = parts.guest.hcl.runtime_data
    for bit in sorted(draw.sample(range(8 * len(text)), _BITS)):
        yield _made(parts, f"runtime data: bit {bit}", Level.JSON, with_runtime(parts, flipped(text, bit)))
    for span in json_spans(text):
        if span.is_scalar:
            value = span.of(text)
            other = value[:-2] + (b"A" if value[-2:-1] != b"A" else b"B") + b'"' if value[-1:] == b'"' else b"0"
            changed = text[: span.start] + other + text[span.end :]
            yield _made(parts, f"runtime data: {span.path} changed", Level.JSON, with_runtime(parts, changed))
    said = json.loads(text)
    written = {
        "with spaces": json.dumps(said, indent=1), "names in order": json.dumps(said, sort_keys=True),
        "with a member more": json.dumps({**said, "more": 1}), "without its configuration":
        json.dumps({name: value for name, value in said.items() if name != "vm-configuration"}),
        "a space behind it": text.decode() + " ", "a zero behind it": text.decode() + "\0",
    }  # fmt: skip
    for word, changed_text in written.items():
        if changed_text.encode() != text:
            yield _made(parts, f"runtime data: {word}", Level.JSON, with_runtime(parts, changed_text.encode()))
    stranger = own_tpm()
    numbers = stranger.key.public_key().public_numbers()
    said["keys"][0]["n"] = base64url(numbers.n.to_bytes(256, "big"))  # type: ignore[union-attr]
    swapped = with_runtime(parts, json.dumps(said).encode())
    yield _made(parts, "runtime data: a stranger's key", Level.JSON, swapped)
    signature = stranger.sign(parts.form.message)[6:]
    yield Mutation(label="runtime data: a stranger's key, which signed the quote", level=Level.SIGNATURE,
                   expectation=Expectation.FORGERY,
                   sample=parts.sample(hcl_report=swapped, signature=signature))  # fmt: skip


def with_runtime(parts: AzureParts, text: bytes) -> bytes:
    """The report with other runtime data, of which its sizes tell the truth."""
    raw = parts.form.hcl_report
    sizes = (
        (len(text) + 20).to_bytes(4, "little") + raw[_RUNTIME + 4 : _RUNTIME + 16] + len(text).to_bytes(4, "little")
    )
    return (raw[:_RUNTIME] + sizes + text).ljust(len(raw), b"\0")


def _of_others(parts: AzureParts, others: Sequence[AzureParts]) -> Iterator[Mutation]:
    for other in others:
        theirs, mine = other.form, parts.form
        if theirs.hcl_report == mine.hcl_report:
            continue
        spliced: dict[str, dict[str, Any]] = {
            "report": {"hcl_report": theirs.hcl_report},
            "quote": {"message": theirs.message, "signature": theirs.signature, "pcrs": theirs.pcrs},
            "signature": {"signature": theirs.signature}, "registers": {"pcrs": theirs.pcrs},
            "report and certificate": {"hcl_report": theirs.hcl_report, "vcek": theirs.vcek,
                                       "td_quote": theirs.td_quote},
            "runtime data": {"hcl_report": with_runtime(parts, other.guest.hcl.runtime_data)},
        }  # fmt: skip
        for word, members in spliced.items():
            if any(getattr(mine, name) != value for name, value in members.items()):
                yield Mutation(label=f"{word} of {other.base.name}", level=Level.PLATFORM,
                               expectation=Expectation.FORGERY, sample=parts.sample(**members))  # fmt: skip


def _made(
    parts: AzureParts, label: str, level: Level, report: bytes, expectation: Expectation = Expectation.FORGERY
) -> Mutation:
    return Mutation(label=label, level=level, expectation=expectation, sample=parts.sample(hcl_report=report))
