"""All that can be done to a DCAP quote and its collateral."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from sealroom.pem import as_pem, is_pem, read_pem
from sealroom.testing.gym.certificates import chain_edits, own_chain
from sealroom.testing.gym.json_spans import signed_body
from sealroom.testing.gym.mutation import Expectation, Level, Mutation, Sample
from sealroom.testing.gym.own_keys import PrivateKey, own_p256, raw_point, raw_signature
from sealroom.testing.gym.quote_parts import split
from sealroom.testing.gym.quotes import quote_mutations, rebound
from sealroom.testing.gym.revocation import crl_edits, encodings
from sealroom.testing.gym.signed_documents import document_edits, favourable, with_signature

__all__ = ["dcap_mutations"]

_DOCUMENTS = {"tcb_info_response": "tcb_info_issuer_chain", "qe_identity_response": "qe_identity_issuer_chain"}
_LISTS = ("pck_crl", "root_ca_crl")
_OPTIONAL = "pck_crl_issuer_chain"
_PEM_CHAIN = 5


def dcap_mutations(sample: Sample, others: Sequence[Sample], draw: random.Random) -> Iterator[Mutation]:
    """Every mutation of ``sample``; ``others`` lend what is true of them."""
    yield from quote_mutations(sample, draw)
    yield from _own_hierarchies(sample)
    yield from _quote_chain(sample, draw)
    yield from _issuer_chains(sample, draw)
    yield from _documents(sample, draw)
    yield from _own_documents(sample)
    yield from _lists(sample, draw)
    yield from _items(sample)
    yield from _of_others(sample, others)


def _keys(count: int) -> list[PrivateKey]:
    return [own_p256(name) for name in ("pck", "intermediate", "root")[-count:]]


def _quote_chain(sample: Sample, draw: random.Random) -> Iterator[Mutation]:
    parts = split(sample.raw)
    if parts.certification_type != _PEM_CHAIN:
        return
    end = parts.certification_data.rfind(b"-----END CERTIFICATE-----") + 25
    chain, tail = parts.certification_data[:end] + b"\n", parts.certification_data[end:]
    keys = [own_p256("pck"), own_p256("intermediate"), own_p256("root")]
    for edit in chain_edits(chain, draw, keys):
        raw = replace(parts, certification_data=edit.chain + tail.lstrip(b"\n")).joined()
        yield Mutation(label=f"pck chain: {edit.label}", level=edit.level, expectation=edit.expectation,
                       sample=replace(sample, raw=raw))  # fmt: skip
    for number in (*range(5), 6, 7, 0xFFFF):
        raw = replace(parts, certification_type=number).joined()
        yield Mutation(label=f"quote: certification type {number}", level=Level.FIELD,
                       expectation=Expectation.FORGERY, sample=replace(sample, raw=raw))  # fmt: skip


def _own_hierarchies(sample: Sample) -> Iterator[Mutation]:
    """The whole quote re-made under own keys, with the genuine certificates above as far down as they go."""
    parts = split(sample.raw)
    if parts.certification_type != _PEM_CHAIN:
        return
    blocks = read_pem(parts.certification_data, "CERTIFICATE")
    keys = _keys(len(blocks))
    attestation, pck = own_p256("attestation key"), own_p256("pck")
    point = raw_point(attestation)
    for what, body in (("", parts.body), (" over another body", bytes(16) + parts.body[16:])):
        changed = replace(parts, body=body, attestation_key=point)
        report = rebound(parts.qe_report, point, parts.auth_data)
        changed = replace(changed, signature=raw_signature(attestation, changed.signed), qe_report=report,
                          qe_report_signature=raw_signature(pck, report))  # fmt: skip
        for upto in range(1, len(blocks) + 1):
            chain = as_pem(*own_chain(blocks, keys, upto=upto))
            raw = replace(changed, certification_data=chain).joined()
            label = f"quote: re-made under {upto} own certificates{what}"
            yield Mutation(label=label, level=Level.CERTIFICATE, expectation=Expectation.FORGERY,
                           sample=replace(sample, raw=raw))  # fmt: skip


def _issuer_chains(sample: Sample, draw: random.Random) -> Iterator[Mutation]:
    for name in (*_DOCUMENTS.values(), _OPTIONAL):
        if name not in sample.collateral:
            continue
        chain = sample.collateral[name]
        keys = _keys(len(read_pem(chain, "CERTIFICATE")))
        for edit in chain_edits(chain, draw, keys):
            # who checks the list against the quote's own issuer need not look at this chain
            expectation = Expectation.NEUTRAL if name == _OPTIONAL else edit.expectation
            yield Mutation(label=f"{name}: {edit.label}", level=edit.level, expectation=expectation,
                           sample=sample.with_item(name, edit.chain))  # fmt: skip


def _documents(sample: Sample, draw: random.Random) -> Iterator[Mutation]:
    for name in _DOCUMENTS:
        for edit in document_edits(sample.collateral[name], draw):
            yield Mutation(label=f"{name}: {edit.label}", level=edit.level, expectation=edit.expectation,
                           sample=sample.with_item(name, edit.text))  # fmt: skip
    one, other = _DOCUMENTS
    swapped = sample.with_item(one, sample.collateral[other]).with_item(other, sample.collateral[one])
    yield _forged("the two documents swapped", Level.COLLATERAL, swapped)
    for name, wrong in ((one, other), (other, one)):
        yield _forged(f"{name}: the other document", Level.COLLATERAL,
                      sample.with_item(name, sample.collateral[wrong]))  # fmt: skip


def _own_documents(sample: Sample) -> Iterator[Mutation]:
    """Documents as a forger likes them, signed by a key of his own under every chain that he can make."""
    signer = own_p256("intermediate")
    for name, chain_name in _DOCUMENTS.items():
        text = sample.collateral[name]
        blocks = read_pem(sample.collateral[chain_name], "CERTIFICATE")
        keys = [signer, own_p256("root")]
        for what, body in (("as it was", signed_body(text).of(text)),
                           ("made better", favourable(signed_body(text).of(text)))):  # fmt: skip
            signed = with_signature(text, body, raw_signature(signer, body))
            base = sample.with_item(name, signed)
            yield _forged(f"{name}: {what}, signed by a stranger", Level.SIGNATURE, base)
            for upto in range(1, len(blocks) + 1):
                chain = as_pem(*own_chain(blocks, keys, upto=upto))
                yield _forged(f"{name}: {what}, signed under {upto} own certificates", Level.CERTIFICATE,
                              base.with_item(chain_name, chain))  # fmt: skip
            alone = own_chain(blocks[:1], [signer], upto=1)
            yield _forged(f"{name}: {what}, signed under one certificate that signed itself", Level.CERTIFICATE,
                          base.with_item(chain_name, as_pem(*alone)))  # fmt: skip


def _lists(sample: Sample, draw: random.Random) -> Iterator[Mutation]:
    for name in _LISTS:
        raw = sample.collateral[name]
        if is_pem(raw):
            raw = read_pem(raw, "X509 CRL")[0]
        for edit in crl_edits(raw, draw, own_p256("root")):
            yield Mutation(label=f"{name}: {edit.label}", level=Level.REVOCATION, expectation=edit.expectation,
                           sample=sample.with_item(name, edit.raw))  # fmt: skip
        for label, text in encodings(raw):
            yield Mutation(label=f"{name}: as {label}", level=Level.REVOCATION, expectation=Expectation.BENIGN,
                           sample=sample.with_item(name, text))  # fmt: skip
    one, other = _LISTS
    swapped = sample.with_item(one, sample.collateral[other]).with_item(other, sample.collateral[one])
    yield _forged("the two revocation lists swapped", Level.REVOCATION, swapped)
    for name, wrong in ((one, other), (other, one)):
        yield _forged(f"{name}: the other list", Level.REVOCATION, sample.with_item(name, sample.collateral[wrong]))


def _items(sample: Sample) -> Iterator[Mutation]:
    for name in sample.collateral:
        expectation = Expectation.BENIGN if name == _OPTIONAL else Expectation.FORGERY
        yield Mutation(label=f"without {name}", level=Level.COLLATERAL, expectation=expectation,
                       sample=sample.without_item(name))  # fmt: skip
    yield Mutation(label="a further item", level=Level.COLLATERAL, expectation=Expectation.NEUTRAL,
                   sample=sample.with_item("moon_phase", b"full"))  # fmt: skip


def _of_others(sample: Sample, others: Sequence[Sample]) -> Iterator[Mutation]:
    """What is genuine and of another machine, another CA or another kind of enclave."""
    mine = _facts(sample)
    for other in others:
        theirs = _facts(other)
        if theirs["fmspc"] != mine["fmspc"] or theirs["tee"] != mine["tee"]:
            yield _with_items(sample, other, "tcb_info_response", "tcb_info_issuer_chain")
        if theirs["tee"] != mine["tee"]:
            yield _with_items(sample, other, "qe_identity_response", "qe_identity_issuer_chain")
        if theirs["ca"] != mine["ca"]:
            yield _with_items(sample, other, "pck_crl", _OPTIONAL)
        if theirs["root"] != mine["root"]:
            yield _with_items(sample, other, "root_ca_crl")
            yield _with_items(sample, other, *sample.collateral)
        yield from _other_certificates(sample, other)


def _other_certificates(sample: Sample, other: Sample) -> Iterator[Mutation]:
    parts, theirs = split(sample.raw), split(other.raw)
    if theirs.certification_data == parts.certification_data:
        return
    label = f"with the certificates of {other.name}"
    yield _forged(label, Level.PLATFORM,
                  replace(sample, raw=replace(parts, certification_data=theirs.certification_data,
                                              certification_type=theirs.certification_type).joined()))  # fmt: skip
    borrowed = replace(parts, qe_report=theirs.qe_report, qe_report_signature=theirs.qe_report_signature,
                       auth_data=theirs.auth_data, certification_data=theirs.certification_data,
                       certification_type=theirs.certification_type)  # fmt: skip
    yield _forged(f"with the quoting enclave of {other.name}", Level.PLATFORM,
                  replace(sample, raw=borrowed.joined()))  # fmt: skip
    borrowed = replace(borrowed, attestation_key=theirs.attestation_key)
    yield _forged(f"with quoting enclave and key of {other.name}", Level.PLATFORM,
                  replace(sample, raw=borrowed.joined()))  # fmt: skip


def _facts(sample: Sample) -> Mapping[str, object]:
    parts = split(sample.raw)
    chain = read_pem(parts.certification_data, "CERTIFICATE") if parts.certification_type == _PEM_CHAIN else [b""]
    text = sample.collateral["tcb_info_response"].lower()
    place = text.find(b'"fmspc":"')
    return {"tee": sample.tee, "fmspc": text[place + 9 : place + 21], "root": chain[-1],
            "ca": b"Platform CA" in chain[0]}  # fmt: skip


def _with_items(sample: Sample, other: Sample, *names: str) -> Mutation:
    changed = sample
    for name in names:
        if name in other.collateral:
            changed = changed.with_item(name, other.collateral[name])
    return _forged(f"{names[0]} of {other.name}" if len(names) < 4 else f"all collateral of {other.name}",
                   Level.PLATFORM, changed)  # fmt: skip


def _forged(label: str, level: Level, sample: Sample) -> Mutation:
    return Mutation(label=label, level=level, expectation=Expectation.FORGERY, sample=sample)
