"""Minted Arm tokens as cases: what was done to one, and what a verifier has to make of it.

cca_cases          a case, the bench on which it is made, and all realms that are authentic
psa_cases          all PSA devices that are authentic
cca_faults         one fault each in the wrapping and the signatures: to be refused
cca_key_faults     one fault each in whose tokens these are, and every fault: to be refused
cca_claim_faults   one fault each in the claims of platforms, realms and PSA devices: to be refused
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.cbor import CborKey, CborValue, Tagged, cbor_head, encode_cbor, read_cbor
from sealroom.testing.cca import CcaForm, CcaPlatform, SimulatedCca, component, cose_key, sign1, wrapped

__all__ = ["CHALLENGE", "Bench", "CcaCase", "authentic", "loosely"]

CHALLENGE = bytes(range(64))
_LIFECYCLES = {
    0x3000: (), 0x3003: (), 0x30FF: (), 0x0000: ("not_secured",), 0x1000: ("not_secured",), 0x2000: ("not_secured",),
    0x4000: ("not_secured", "debug"), 0x5000: ("not_secured", "debug"), 0x60FF: ("not_secured",),
    0x3100: ("not_secured",), 0x7000: ("not_secured",), 0xFFFF: ("not_secured",),
}  # fmt: skip
_CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


@dataclass(frozen=True, slots=True, kw_only=True)
class CcaCase:
    """A token, and what is to come of it."""

    name: str
    code: str | None
    """Of our refusal; None: authentic."""
    raw: bytes = field(repr=False)
    key: bytes = field(repr=False)
    """The platform's key, as it was enrolled."""
    anchors: frozenset[bytes]
    """SHA-256 of the keys to trust."""
    flags: frozenset[str] = frozenset()
    """Where authentic: what a policy has to see."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One realm on one platform on which cases are made; whatever a case does not change is right."""

    platform: CcaPlatform
    realm: SimulatedCca
    name: str = "realm"

    @classmethod
    def create(cls) -> "Bench":
        """A new platform and a realm on it."""
        platform = CcaPlatform.create()
        return cls(platform=platform, realm=SimulatedCca(platform=platform))

    def form(self) -> CcaForm:
        """Honest tokens before they are signed."""
        return self.realm.form(CHALLENGE)

    def case(
        self, name: str, code: str | None = None, *, raw: bytes | None = None, form: CcaForm | None = None,
        key: bytes | None = None, flags: tuple[str, ...] = (),
    ) -> CcaCase:  # fmt: skip
        """A case; everything that is not given is honest.

        Args:
            name: what was done.
            code: of the refusal; None: authentic.
            raw: the token; ``form``: or what it is written from.
            key: how the platform's key is enrolled.
            flags: of an authentic one.
        """
        raw = (form or self.form()).encode() if raw is None else raw
        key = cose_key(self.platform.key) if key is None else key
        return CcaCase(name=f"{self.name}: {name}", code=code, raw=raw, key=key, flags=frozenset(flags),
                       anchors=frozenset({self.platform.fingerprint}))  # fmt: skip


def authentic(bench: Bench) -> Iterator[CcaCase]:
    """All that is a realm's evidence, however it is written."""
    form = bench.form()
    yield bench.case("as it should be")
    yield bench.case("in the older wrapper", form=replace(form, legacy=True))
    legacy = bench.realm.legacy_form(CHALLENGE)
    yield bench.case("of older firmware", form=legacy, flags=("legacy_profile",))
    yield bench.case("of older firmware in the newer wrapper", form=replace(legacy, legacy=False),
                     flags=("legacy_profile",))  # fmt: skip
    second = bench.realm.second_form(CHALLENGE)
    yield bench.case("of the profiles of 2024", form=second)
    few = {2403: None, 2404: None, 2405: None, 2406: None}
    yield bench.case("of the profiles of 2024, and nothing besides", form=second.changed(platform=few))
    yield from _keys_and_hashes(bench)
    yield from _encodings(bench)
    yield from _claims(bench)
    for form_of_key, key in _enrolled(bench).items():
        yield bench.case(f"the platform's key enrolled as {form_of_key}", key=key)


def _keys_and_hashes(bench: Bench) -> Iterator[CcaCase]:
    for name in ("sha-256", "sha-384", "sha-512", "SHA-256"):
        form = bench.realm.form(CHALLENGE, key_hash=name.lower())
        yield bench.case(f"bound by {name}", form=form.changed(realm={44240: name}))
    for of_platform, curve in _CURVES.items():
        platform = CcaPlatform.create(curve)
        for of_realm, other in _CURVES.items():
            there = replace(bench, platform=platform, realm=SimulatedCca(platform=platform, curve=other))
            yield there.case(f"a platform on {of_platform} and a realm on {of_realm}")
            point = there.realm.legacy_form(CHALLENGE)
            yield there.case(f"the same, a point: {of_platform}, {of_realm}", form=point, flags=("legacy_profile",))
    for name, size in (("sha-256", 32), ("sha-384", 48), ("sha-512", 64)):
        realm = SimulatedCca(platform=bench.platform, initial_measurement=b"\1" * size, hash_name=name)
        yield replace(bench, realm=realm).case(f"measured by {name}")
    other_size = {44236: "sha-256", 44238: bytes(64), 44239: [bytes(64)] * 4}
    yield bench.case("the hash is named sha-256, and measurements have 64 bytes, as in published tokens",
                     form=bench.form().changed(realm=other_size))  # fmt: skip
    plain = read_cbor(cose_key(bench.form().realm_key))
    further: dict[str, dict[CborKey, CborValue]] = {"its algorithm": {3: -35}, "its name and use": {2: b"1", 4: [2]}}
    for name, more in further.items():
        written = encode_cbor({**plain, **more}) if isinstance(plain, dict) else b""
        yield bench.case(f"a realm's key with {name}", form=bench.realm.form(CHALLENGE, key=written))


def _encodings(bench: Bench) -> Iterator[CcaCase]:
    form = bench.form()
    tokens = [form.platform_token(), form.realm_token()]
    for legacy in (False, True):
        whole = read_cbor(wrapped(*tokens, legacy=legacy))
        yield bench.case(f"everything around written loosely, {legacy=}", raw=loosely(whole))
    inner = [loosely(read_cbor(token)) for token in tokens]
    yield bench.case("both messages written loosely", raw=wrapped(*inner))
    parties = ((form.platform, form.platform_key), (form.realm, form.realm_key))
    signed = [loosely(sign1(loosely(dict(claims)), key)) for claims, key in parties]
    yield bench.case("all claims written loosely", raw=wrapped(*signed))
    with_name = [_with_unprotected(token, {4: b"a key's name", 33: b"more"}) for token in tokens]
    yield bench.case("headers that are not signed", raw=wrapped(*with_name))
    typed = encode_cbor({1: -35, 3: "application/eat+cwt"})
    made = encode_cbor(sign1(encode_cbor(dict(form.realm)), form.realm_key, protected=typed))
    yield bench.case("a content type among the headers that are signed", raw=wrapped(tokens[0], made))


def _claims(bench: Bench) -> Iterator[CcaCase]:
    form = bench.form()
    for number, flags in _LIFECYCLES.items():
        yield bench.case(f"lifecycle {number:#06x}", form=form.changed(platform={2395: number}), flags=flags)
    for which in ("platform", "realm"):
        more = form.changed(**{which: {99999: [1, None]}})
        yield bench.case(f"a claim of the {which} that nobody knows", form=more, flags=("unknown_claims",))
    yield bench.case("where to verify", form=form.changed(platform={2400: "https://verifier.invalid"}))
    yield bench.case("64 components", form=form.changed(platform={2399: [component("BL")] * 64}))
    unnamed: list[CborValue] = [{2: bytes(size)} for size in (32, 48, 64)]
    blank: list[CborValue] = [component("", version="")]
    yield bench.case("a component whose name and version are empty", form=form.changed(platform={2399: blank}))
    yield bench.case("components of which only measurements are told", form=form.changed(platform={2399: unnamed}))


def _enrolled(bench: Bench) -> dict[str, bytes]:
    public = bench.platform.key.public_key()
    numbers = public.public_numbers()
    x, y = (
        base64.urlsafe_b64encode(value.to_bytes(48, "big")).rstrip(b"=").decode() for value in (numbers.x, numbers.y)
    )
    jwk = {"kty": "EC", "crv": "P-384", "x": x, "y": y, "kid": "1", "use": "sig"}
    return {
        "PEM": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "JWK": json.dumps(jwk).encode(),
        "a COSE_Key written loosely": loosely(read_cbor(cose_key(bench.platform.key))),
    }


def _with_unprotected(token: bytes, headers: dict[CborKey, CborValue]) -> bytes:
    message = read_cbor(token)
    parts = message.value if isinstance(message, Tagged) and isinstance(message.value, list) else []
    return encode_cbor(Tagged(18, [parts[0], headers, *parts[2:]]))


def loosely(value: CborValue) -> bytes:
    """The longest way to write ``value``: no lengths, strings in chunks, eight bytes for every number."""
    if isinstance(value, bytes | str):
        major = 2 if isinstance(value, bytes) else 3
        chunks = b"".join(encode_cbor(value[at : at + 10]) for at in range(0, len(value), 10))
        return bytes((major << 5 | 31,)) + chunks + b"\xff"
    if isinstance(value, list):
        return b"\x9f" + b"".join(map(loosely, value)) + b"\xff"
    if isinstance(value, dict):
        pairs = reversed(value.items())
        return b"\xbf" + b"".join(loosely(key) + loosely(item) for key, item in pairs) + b"\xff"
    if isinstance(value, Tagged):
        return _wide(6, value.tag) + loosely(value.value)
    if isinstance(value, int) and not isinstance(value, bool):
        return _wide(0, value) if value >= 0 else _wide(1, -1 - value)
    return encode_cbor(value)


def _wide(major: int, number: int) -> bytes:
    return bytes((cbor_head(major, 0)[0] | 27,)) + number.to_bytes(8, "big")
