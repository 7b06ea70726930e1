"""One fault each in whose Arm tokens these are: the realm's key and the platform's challenge, the enrolled key, and
the tokens of PSA devices. Every signature holds by the key that made it.
"""

import json
from collections.abc import Iterator
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.cbor import CborValue, Tagged, encode_cbor, read_cbor
from sealroom.testing.cca import CcaPlatform, SimulatedCca, cose_key, sign1, wrapped
from sealroom.testing.cca_cases import CHALLENGE, Bench, CcaCase
from sealroom.testing.cca_claim_faults import claim_faults
from sealroom.testing.cca_faults import message_faults, parts_of
from sealroom.testing.psa import psa_token, second_profile

__all__ = ["faults"]


def faults(bench: Bench) -> Iterator[CcaCase]:
    """Every fault of Arm tokens."""
    for make in (message_faults, _binding, _keys, _devices, claim_faults):
        yield from make(bench)


def _binding(bench: Bench) -> Iterator[CcaCase]:
    """Of what ties the realm's key to the platform: both signatures hold."""
    form = bench.form()
    other = SimulatedCca(platform=bench.platform).form(CHALLENGE)
    spliced = replace(form, platform=other.platform)
    yield bench.case("the platform's token of another realm", "cca.binding", form=spliced)
    legacy = bench.realm.legacy_form(CHALLENGE)
    yield bench.case("the same of older firmware", "cca.binding", form=replace(legacy, platform=other.platform))
    attacker = ec.generate_private_key(ec.SECP384R1())
    own = replace(form.changed(realm={44237: cose_key(attacker)}), realm_key=attacker)
    yield bench.case("a realm's token by a key of somebody's own", "cca.binding", form=own)
    for name in ("sha-384", "sha-512"):
        yield bench.case(f"bound by sha-256 and said to be by {name}", "cca.binding",
                         form=form.changed(realm={44240: name}))  # fmt: skip
    bound = bytes(form.platform[10]) if isinstance(form.platform[10], bytes) else b""
    padded = {"padded with zeros": bound.ljust(64, b"\0"), "turned around": bound[::-1], "all zero": bytes(32)}
    for name, challenge in padded.items():
        yield bench.case(f"the hash {name}", "cca.binding", form=form.changed(platform={10: challenge}))
    point = legacy.realm[44237]
    yield bench.case("the key written otherwise than it was hashed", "cca.binding",
                     form=form.changed(realm={44237: point}))  # fmt: skip


def _keys(bench: Bench) -> Iterator[CcaCase]:
    """Of the key that was enrolled, or said to be; the tokens are honest."""
    others: tuple[PublicKeyTypes, ...] = (
        rsa.generate_private_key(65537, 2048).public_key(),
        ed25519.Ed25519PrivateKey.generate().public_key(),
    )
    for public in others:
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        yield bench.case(f"a platform's key of {type(public).__name__}", "cca.key", key=pem)
    plain = read_cbor(cose_key(bench.platform.key))
    plain = plain if isinstance(plain, dict) else {}
    point: dict[str, CborValue] = {
        "of another kind": plain | {1: 1}, "of a kind in words": plain | {1: "EC2"}, "for ES256": plain | {3: -7},
        "on a curve that nobody knows": plain | {-1: 8}, "compressed": plain | {-3: True}, "off its curve":
        plain | {-3: bytes(48)}, "with a coordinate too short": plain | {-2: bytes(47)},
        "without a coordinate": {key: value for key, value in plain.items() if key != -3},
        "with its private half": plain | {-4: bytes(48)}, "an array": [2], "": {},
    }  # fmt: skip
    for name, value in point.items():
        yield bench.case(f"a platform's key {name}", "cca.key", key=encode_cbor(value))
    for name, raw in (("no PEM", b"-----BEGIN"), ("no JSON", b"{"), ("no DER", b"\x30\x03\2\1\1"),
                      ("a JWK of another kind", json.dumps({"kty": "oct", "k": "AAAA"}).encode()),
                      ("a JWK without coordinates", json.dumps({"kty": "EC", "crv": "P-384"}).encode())):  # fmt: skip
        yield bench.case(f"a platform's key that is {name}", "cca.key", key=raw)
    yield bench.case("a platform's key that is empty", "cca.key", key=b"")
    stranger = CcaPlatform.create()
    yield bench.case("a platform's key that nobody enrolled", "cca.unknown-key", key=cose_key(stranger.key))
    other = replace(bench, platform=CcaPlatform.create(ec.SECP256R1()))
    yield other.case("a platform's key on another curve", "cca.cose-key", raw=bench.case("").raw)
    names: dict[str, CborValue] = {"compressed": plain | {-3: False}, "no map": [1]}
    for name, value in names.items():
        yield bench.case(f"a realm's key that is {name}", "cca.key",
                         form=bench.realm.form(CHALLENGE, key=encode_cbor(value)))  # fmt: skip
    for name, raw in (("of the wrong length", b"\4" + bytes(95)), ("off its curve", b"\4" + bytes(96))):
        yield bench.case(f"a realm's point {name}", "cca.key", form=bench.realm.form(CHALLENGE, key=raw))


def _devices(bench: Bench) -> Iterator[CcaCase]:
    """Around a PSA device's token."""
    bench = replace(bench, name="device")
    token = psa_token(bench.platform, CHALLENGE)
    protected, _, payload, right = parts_of(token)
    yield bench.case(
        "a shared secret's code", "cca.token", raw=encode_cbor(Tagged(17, [protected, {}, payload, right]))
    )
    yield bench.case("a shared secret's code, as a CWT", "cca.token",
                     raw=encode_cbor(Tagged(61, Tagged(17, [protected, {}, payload, right]))))  # fmt: skip
    for name, tag in (("many signatures", 98), ("an encrypted message", 16), ("CBOR's own tag", 55799)):
        yield bench.case(name, "cca.token", raw=encode_cbor(Tagged(tag, [protected, {}, payload, right])))
    yield bench.case("a CWT in a CWT", "cca.token", raw=encode_cbor(Tagged(61, Tagged(61, read_cbor(token)))))
    yield bench.case("followed by a zero byte", "cca.cbor-trailing", raw=token + b"\0")
    yield bench.case("in a byte string", "cca.cose", raw=encode_cbor(token))
    stranger = CcaPlatform.create()
    yield bench.case("of another device", "cca.signature", raw=psa_token(stranger, CHALLENGE))
    yield bench.case("without an algorithm", "cca.cose-algorithm",
                     raw=encode_cbor(sign1(payload, bench.platform.key, protected=b"")))  # fmt: skip
    form = bench.form()
    yield bench.case("a platform's token by itself", "cca.claim", raw=form.platform_token())
    yield bench.case("a realm's token by itself", "cca.claim", raw=form.realm_token())
    alone = encode_cbor(sign1(encode_cbor(second_profile(bench.platform, CHALLENGE)), bench.platform.key))
    yield bench.case("in a platform's place", "cca.claim", raw=wrapped(alone, form.realm_token()))
