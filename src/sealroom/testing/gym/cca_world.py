"""Recorded tokens of Arm in a world of one's own, and one fault at a time in them.

Claims stay as they were recorded; the keys are others, and what is changed is signed anew, so that one check alone
can refuse it.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.cbor import CborKey, CborValue, Tagged, encode_cbor, read_cbor
from sealroom.evidence import TrustRoots
from sealroom.tees import cca
from sealroom.tees._cose.algorithms import CoseAlg
from sealroom.tees._cose.key import spki_of
from sealroom.testing.cca import cose_key, sign1, wrapped
from sealroom.testing.gym.mutation import Expectation, Level, Mutation, Sample
from sealroom.testing.gym.own_keys import own_p256, own_p384

__all__ = ["CcaWorld", "cca_world_mutations"]

Claims = dict[CborKey, CborValue]

_LEGACY = 399
_KEY, _CHALLENGE, _HASH, _PROFILE = 44237, 10, 44240, 265
_OPTIONAL = frozenset({2397, 2398, 2400, _PROFILE})
"""What a token may lack: of a realm's, its profile."""
_ANY_SIZE = frozenset({2401, 2397, _KEY, _CHALLENGE})
_HASHES = {"sha-256": hashlib.sha256, "sha-384": hashlib.sha384, "sha-512": hashlib.sha512}


@dataclass(frozen=True, slots=True, kw_only=True)
class CcaWorld:
    """Both sets of claims, or a device's alone; change either with `dataclasses.replace`, and sign."""

    base: Sample = field(repr=False)
    device: Claims = field(repr=False)
    realm: Claims | None = field(repr=False)
    device_key: ec.EllipticCurvePrivateKey = field(repr=False)
    realm_key: ec.EllipticCurvePrivateKey = field(repr=False)
    legacy: bool
    challenge: bytes | None = field(default=None, repr=False)
    """Of the platform; None: the right hash of the realm's key."""
    device_signer: ec.EllipticCurvePrivateKey | None = field(default=None, repr=False)
    realm_signer: ec.EllipticCurvePrivateKey | None = field(default=None, repr=False)
    trusted: bool = True

    @classmethod
    def of(cls, sample: Sample) -> "CcaWorld":
        """The world of ``sample``."""
        evidence = cca.parse(sample.raw)
        device, realm = (None if token is None else read_cbor(token.message.payload)
                         for token in (evidence.device, evidence.realm))  # fmt: skip
        make = own_p256 if evidence.device.message.alg == CoseAlg.ES256 else own_p384
        key = own_p384("cca realm")
        if isinstance(realm, dict):
            realm = {**realm, _KEY: _point(key) if _is_point(realm[_KEY]) else cose_key(key)}
        return cls(base=sample, device=device if isinstance(device, dict) else {},
                   realm=realm if isinstance(realm, dict) else None, device_key=make("cca device"), realm_key=key,
                   legacy=evidence.wrapper == _LEGACY)  # fmt: skip

    def sample(self) -> Sample:
        """Signed, and the own key enrolled."""
        device = dict(self.device)
        if self.realm is not None and _CHALLENGE in device:
            right = _HASHES[str(self.realm.get(_HASH, "sha-256")).lower()](_octets(self.realm.get(_KEY))).digest()
            device[_CHALLENGE] = right if self.challenge is None else self.challenge
        token = sign1(encode_cbor(device), self.device_signer or self.device_key)
        raw = encode_cbor(token)
        if self.realm is not None:
            realm = sign1(encode_cbor(dict(self.realm)), self.realm_signer or self.realm_key)
            raw = wrapped(raw, encode_cbor(realm), legacy=self.legacy)
        fingerprint = hashlib.sha256(spki_of(self.device_key.public_key())).digest()
        known = frozenset({fingerprint}) if self.trusted else frozenset[bytes]()
        return replace(self.base, name=f"{self.base.name}, re-minted", raw=raw,
                       collateral={"platform_key": cose_key(self.device_key)},
                       roots=TrustRoots(insecure_simulated=known))  # fmt: skip


def cca_world_mutations(world: CcaWorld) -> Iterator[Mutation]:
    """Every fault of this kind."""
    stranger = ec.generate_private_key(world.device_key.curve)
    faults = {
        "signed by another device": replace(world, device_signer=stranger),
        "a key that nobody enrolled": replace(world, trusted=False),
        **{f"device {word}": replace(world, device=claims) for word, claims in _claims(world.device)},
    }
    if world.realm is not None:
        attacker = ec.generate_private_key(ec.SECP384R1())
        right = cca.parse(world.sample().raw).device.claims.challenge
        its_own: Claims = {**world.realm, _KEY: cose_key(attacker)}
        faults |= {
            "a realm's token by another key": replace(world, realm_signer=attacker),
            "a realm that the platform does not vouch for":
                replace(world, realm=its_own, realm_key=attacker, challenge=right),
            "a challenge of zeros": replace(world, challenge=bytes(len(right))),
            "a challenge turned around": replace(world, challenge=right[::-1]),
            "the challenge of the key by another hash":
                replace(world, challenge=hashlib.sha384(_octets(world.realm[_KEY])).digest()),
            **{f"realm {word}": replace(world, realm=claims) for word, claims in _claims(world.realm)},
        }  # fmt: skip
    for label, faulty in faults.items():
        yield Mutation(label=f"re-minted: {label}", level=Level.MINTED, expectation=Expectation.FORGERY,
                       sample=faulty.sample())  # fmt: skip


def _claims(honest: Claims) -> Iterator[tuple[str, Claims]]:
    """Each claim missing, of another type, and of another size."""
    for name, value in honest.items():
        if name not in _OPTIONAL:
            yield f"without {name!r}", {key: item for key, item in honest.items() if key != name}
        if name not in {_KEY, _HASH, _CHALLENGE}:
            yield f"with {name!r} of another type", {**honest, name: Tagged(1, 1)}
        if isinstance(value, bytes) and name not in _ANY_SIZE:
            yield f"with {name!r} too long", {**honest, name: value + b"\0"}
            yield f"with {name!r} too short", {**honest, name: value[:-1]}


def _is_point(value: CborValue) -> bool:
    return isinstance(value, bytes) and value[:1] == b"\4"


def _point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _octets(value: CborValue) -> bytes:
    return value if isinstance(value, bytes) else b""
