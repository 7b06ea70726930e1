"""A recorded attestation of a vTPM of Google's in a world of one's own, and one fault at a time in it.

Names, extensions and times of the certificates, registers and nonces stay as they were recorded; the keys are others,
and everything is signed anew. A report of the hardware beside it is left out: `snp_hierarchy` has its faults.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from sealroom.evidence import TrustRoots
from sealroom.pem import as_pem
from sealroom.tees.gcp.writing import QuotedBank
from sealroom.testing import der
from sealroom.testing.gym.gcp import GcpParts, own_gcp_keys
from sealroom.testing.gym.mutation import Expectation, Level, Mutation, Sample
from sealroom.testing.gym.own_keys import FUTURE, PAST, signed, unsigned, with_window
from sealroom.testing.gym.vtpm import attest_spans, own_tpm
from sealroom.testing.tpm import AK_ATTRIBUTES, SoftTpm
from sealroom.x509_reader import read_certificate

__all__ = ["GcpWorld", "gcp_world_mutations"]

Fault = tuple[str, "GcpWorld"]

_NAMES = ("leaf", "intermediate", "root")
_CA = b"\x30\x03\x01\x01\xff", b"\x30\x06\x01\x01\xff\x02\x01"
_EK_USAGE, _USAGE = der.oid("2.23.133.8.1"), der.oid("2.5.29.15")


@dataclass(frozen=True, slots=True, kw_only=True)
class GcpWorld:
    """Signed parts of the certificates, and the quotes; change any with `dataclasses.replace`, and sign."""

    parts: GcpParts = field(repr=False)
    bodies: tuple[bytes, ...] = field(repr=False)
    """Leaf first."""
    signers: tuple[int, ...] = (1, 2, 2)
    quotes: tuple[QuotedBank, ...] = field(repr=False)
    attributes: int = AK_ATTRIBUTES
    certified: SoftTpm | None = field(default=None, repr=False)
    """Whose key the attestation names, in place of the certified one."""
    signer: SoftTpm | None = field(default=None, repr=False)
    """Of the quotes, in place of the certified key."""
    trusted: bool = True

    @classmethod
    def of(cls, sample: Sample) -> "GcpWorld | None":
        """The world of ``sample``; None: there are not three certificates."""
        parts = GcpParts.of(sample)
        if not parts.form.certificate or "ak_issuers" not in sample.collateral or len(parts.chain()) != len(_NAMES):
            return None
        keys = own_gcp_keys(parts.chain())
        bodies = tuple(unsigned(block, key=key) for block, key in zip(parts.chain(), keys, strict=True))
        return cls(parts=parts, bodies=bodies, quotes=tuple(parts.form.quotes))

    def sample(self) -> Sample:
        """Everything signed, and the own root trusted."""
        keys, tpm = own_gcp_keys(self.parts.chain()), own_tpm()
        leaf, *above = (signed(body, keys[signer]) for body, signer in zip(self.bodies, self.signers, strict=True))
        quotes = [replace(quote, signature=(self.signer or tpm).sign(quote.message)) for quote in self.quotes]
        public = replace(self.certified or tpm, attributes=self.attributes).public_area()
        made = self.parts.sample(public=public, quotes=quotes, certificate=leaf, hardware=None)
        known = frozenset({read_certificate(above[-1]).fingerprint}) if self.trusted else frozenset[bytes]()
        return replace(made, name=f"{self.parts.base.name}, re-minted", collateral={"ak_issuers": as_pem(*above)},
                       roots=TrustRoots(insecure_simulated=known), own_root=above[-1])  # fmt: skip

    def with_body(self, depth: int, body: bytes) -> "GcpWorld":
        """The same with another certificate."""
        return replace(self, bodies=(*self.bodies[:depth], body, *self.bodies[depth + 1 :]))


def gcp_world_mutations(world: GcpWorld) -> Iterator[Mutation]:
    """Every fault of this kind."""
    for label, faulty in (*_quotes(world), *_keys(world), *_certificates(world)):
        yield Mutation(label=f"re-minted: {label}", level=Level.MINTED, expectation=Expectation.FORGERY,
                       sample=faulty.sample())  # fmt: skip


def _quotes(world: GcpWorld) -> Iterator[Fault]:
    for number, quote in enumerate(world.quotes):
        spans = {span.name: span for span in attest_spans(quote.message)}

        def put(number: int, name: str, value: bytes, quote: QuotedBank = quote, spans: dict = spans) -> GcpWorld:  # type: ignore[type-arg]
            span = spans[name]
            message = quote.message[: span.start] + value + quote.message[span.end :]
            return _with(world, number, replace(quote, message=message))

        nonce = spans["extra data"]
        yield f"quote {number}: no TPM made it", put(number, "magic", bytes(4))
        yield f"quote {number}: a time", put(number, "type", b"\x80\x19")
        yield (
            f"quote {number}: another digest",
            put(number, "digest", bytes(spans["digest"].end - spans["digest"].start)),
        )
        yield f"quote {number}: a bank that nobody knows", put(number, "bank 0", b"\0\x12")
        if len(world.quotes) > 1:
            yield f"quote {number}: another nonce", put(number, "extra data", b"\x77" * (nonce.end - nonce.start))
        index, value = next(iter(quote.pcrs.items()))
        other = replace(quote, pcrs={**quote.pcrs, index: bytes((value[0] ^ 1,)) + value[1:]})
        yield f"quote {number}: another register", _with(world, number, other)


def _with(world: GcpWorld, number: int, quote: QuotedBank) -> GcpWorld:
    return replace(world, quotes=(*world.quotes[:number], quote, *world.quotes[number + 1 :]))


def _keys(world: GcpWorld) -> Iterator[Fault]:
    stranger = SoftTpm.create()
    yield "quoted by another vTPM", replace(world, signer=stranger)
    yield "the attestation names another key", replace(world, certified=stranger)
    yield "another key, which quoted", replace(world, certified=stranger, signer=stranger)
    weak = {1: "that may leave its TPM", 4: "that may have another parent", 5: "that was not made in its TPM",
            16: "that signs anything", 18: "that does not sign"}  # fmt: skip
    for bit, word in weak.items():
        yield f"a key {word}", replace(world, attributes=AK_ATTRIBUTES & ~(1 << bit))
    yield "a root that nobody trusts", replace(world, trusted=False)


def _certificates(world: GcpWorld) -> Iterator[Fault]:
    for depth, name in enumerate(_NAMES):
        yield f"{name} expired", world.with_body(depth, with_window(world.bodies[depth], *PAST))
        yield f"{name} not valid yet", world.with_body(depth, with_window(world.bodies[depth], *FUTURE))
        unknown = world.bodies[depth].replace(_USAGE, _USAGE[:-1] + b"\x7f", 1)
        if unknown != world.bodies[depth]:
            yield f"{name} with a critical extension that nobody knows", world.with_body(depth, unknown)
    for depth in (1, 2):
        no_ca = world.bodies[depth]
        for honest in _CA:
            no_ca = no_ca.replace(honest, honest.replace(b"\x01\x01\xff", b"\x01\x01\x00"))
        if no_ca != world.bodies[depth]:
            yield f"{_NAMES[depth]} that is no CA", world.with_body(depth, no_ca)
    yield "leaf signed by the root", replace(world, signers=(2, 2, 2))
    yield "leaf signed by itself", replace(world, signers=(0, 2, 2))
    yield "intermediate signed by itself", replace(world, signers=(1, 1, 2))
    if _EK_USAGE in world.bodies[0]:
        other = world.bodies[0].replace(_EK_USAGE, _EK_USAGE[:-1] + b"\x02")
        yield "leaf for something else than attestation", world.with_body(0, other)
