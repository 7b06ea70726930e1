"""A recorded Nitro document in a world of one's own, and one fault at a time in it.

Members, names, extensions and times stay as they were recorded; the keys are others, and what is changed is signed
anew, so that one check alone can refuse it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from sealroom.cbor import CborKey, CborValue, read_cbor
from sealroom.evidence import TrustRoots
from sealroom.tees import nitro
from sealroom.tees._cose.algorithms import CoseAlg
from sealroom.testing.gym.cose import own_nitro_keys, signed_by
from sealroom.testing.gym.mutation import Expectation, Level, Mutation, Sample
from sealroom.testing.gym.own_keys import FUTURE, PAST, signed, unsigned, with_window
from sealroom.x509_reader import read_certificate

__all__ = ["NitroWorld", "nitro_world_mutations"]

Claims = dict[CborKey, CborValue]

_DAY_MS = 24 * 3600 * 1000
_CAS = (
    (b"\x30\x06\x01\x01\xff\x02\x01", b"\x30\x06\x01\x01\x00\x02\x01"),
    (b"\x30\x03\x01\x01\xff", b"\x30\x03\x01\x01\x00"),
)
"""How a certificate says that it is a CA, with the length of a path and without, and how it says that it is none."""
_USAGE = b"\x06\x03\x55\x1d\x0f\x01\x01\xff"


@dataclass(frozen=True, slots=True, kw_only=True)
class NitroWorld:
    """Members and the signed parts of the certificates; change either with `dataclasses.replace`, and sign."""

    base: Sample = field(repr=False)
    members: Claims = field(repr=False)
    bodies: tuple[bytes, ...] = field(repr=False)
    """Leaf first."""
    signers: tuple[int, ...]
    signer: int = 0
    alg: int = CoseAlg.ES384
    left_out: int | None = None
    trusted: bool = True

    @classmethod
    def of(cls, sample: Sample) -> "NitroWorld":
        """The world of ``sample``."""
        evidence = nitro.parse(sample.raw)
        blocks = [evidence.document.certificate, *reversed(evidence.document.cabundle)]
        members = read_cbor(evidence.message.payload)
        keys = own_nitro_keys(len(blocks))
        return cls(base=sample, members=members if isinstance(members, dict) else {},
                   bodies=tuple(unsigned(block, key=key) for block, key in zip(blocks, keys, strict=True)),
                   signers=tuple(min(depth + 1, len(blocks) - 1) for depth in range(len(blocks))))  # fmt: skip

    def sample(self) -> Sample:
        """Everything signed, and the own root trusted."""
        keys = own_nitro_keys(len(self.bodies))
        chain = [signed(body, keys[signer]) for body, signer in zip(self.bodies, self.signers, strict=True)]
        kept = [one for depth, one in enumerate(chain) if depth != self.left_out]
        bundle: list[CborValue] = [*reversed(kept[1:])]
        payload: Claims = {**self.members, "certificate": kept[0], "cabundle": bundle}
        known = frozenset({read_certificate(chain[-1]).fingerprint}) if self.trusted else frozenset[bytes]()
        return replace(self.base, name=f"{self.base.name}, re-minted", own_root=chain[-1],
                       raw=signed_by(keys[self.signer], payload, alg=self.alg),
                       roots=TrustRoots(insecure_simulated=known))  # fmt: skip

    def with_body(self, depth: int, body: bytes) -> "NitroWorld":
        """The same with another certificate."""
        return replace(self, bodies=(*self.bodies[:depth], body, *self.bodies[depth + 1 :]))

    def saying(self, **changes: CborValue) -> "NitroWorld":
        """The same with other members."""
        members: Claims = {**self.members}
        members.update(changes)
        return replace(self, members=members)


def nitro_world_mutations(world: NitroWorld) -> Iterator[Mutation]:
    """Every fault of this kind."""
    made = world.members["timestamp"]
    moment = made if isinstance(made, int) else 0
    last = len(world.bodies) - 1
    faults = {
        "made a day later": world.saying(timestamp=moment + _DAY_MS),
        "made a day ago": world.saying(timestamp=moment - _DAY_MS),
        "signed by its issuer's key": replace(world, signer=1),
        "signed by the root's key": replace(world, signer=last),
        "an algorithm of another curve": replace(world, alg=CoseAlg.ES256),
        "a root that nobody trusts": replace(world, trusted=False),
        "a hash that nobody knows": world.saying(digest="SHA1"), "registers that are none": world.saying(pcrs={}),
        "a register too short": world.saying(pcrs={0: bytes(47)}),
        "a register of a number too high": world.saying(pcrs={32: bytes(48)}),
        "user data that is a text": world.saying(user_data="x"),
        "a nonce that is a number": world.saying(nonce=1), "a member more": world.saying(more=1),
        "a module without a name": world.saying(module_id=""),
    }  # fmt: skip
    for depth in range(last + 1):
        name = "leaf" if depth == 0 else "root" if depth == last else f"issuer {depth}"
        faults[f"{name} expired"] = world.with_body(depth, with_window(world.bodies[depth], *PAST))
        faults[f"{name} not valid yet"] = world.with_body(depth, with_window(world.bodies[depth], *FUTURE))
        unknown = world.bodies[depth].replace(_USAGE, _USAGE[:4] + b"\x7f" + _USAGE[5:], 1)
        if unknown != world.bodies[depth]:
            faults[f"{name} with a critical extension that nobody knows"] = world.with_body(depth, unknown)
        if depth:
            no_ca = world.bodies[depth]
            for honest, wrong in _CAS:
                no_ca = no_ca.replace(honest, wrong)
            faults[f"{name} that is no CA"] = world.with_body(depth, no_ca)
        faults[f"without {name}"] = replace(world, left_out=depth)
        if depth < last - 1:
            signers = (*world.signers[:depth], last, *world.signers[depth + 1 :])
            faults[f"{name} signed by the root"] = replace(world, signers=signers)
    for label, faulty in faults.items():
        yield Mutation(label=f"re-minted: {label}", level=Level.MINTED, expectation=Expectation.FORGERY,
                       sample=faulty.sample())  # fmt: skip
