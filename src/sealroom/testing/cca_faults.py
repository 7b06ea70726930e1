"""One fault each in how Arm tokens are wrapped and signed. Every other signature, claim and name holds, so that one
check alone can refuse it; the code is the one that this check gives.
"""

from collections.abc import Iterator
from dataclasses import replace

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.cbor import CborKey, CborValue, Tagged, cbor_head, encode_cbor, read_cbor
from sealroom.errors import MisuseError
from sealroom.testing.cca import sign1, signed_part, wrapped
from sealroom.testing.cca_cases import Bench, CcaCase

__all__ = ["message_faults", "parts_of"]

_PLATFORM, _REALM = 44234, 44241


def message_faults(bench: Bench) -> Iterator[CcaCase]:
    """Every fault of these kinds."""
    for make in (_wrapping, _messages, _signatures, _algorithms):
        yield from make(bench)


def _wrapping(bench: Bench) -> Iterator[CcaCase]:
    """Around the two tokens."""
    raw, form = bench.case("").raw, bench.form()
    platform, realm = form.platform_token(), form.realm_token()
    records: dict[CborKey, CborValue] = {_PLATFORM: [263, platform], _REALM: [263, realm]}
    plain: dict[CborKey, CborValue] = {_PLATFORM: platform, _REALM: realm}
    yield bench.case("nothing", "cca.cbor-truncated", raw=b"")
    yield bench.case("without its last byte", "cca.cbor-truncated", raw=raw[:-1])
    for name, tail in (("a zero byte", b"\0"), ("itself", raw)):
        yield bench.case(f"followed by {name}", "cca.cbor-trailing", raw=raw + tail)
    for tag in (17, 61, 398, 400, 906, 55799):
        yield bench.case(f"under tag {tag}", "cca.token" if tag != 61 else "cca.cose",
                         raw=encode_cbor(Tagged(tag, records)))  # fmt: skip
    whole: dict[str, CborValue] = {
        "under its tag twice": Tagged(907, Tagged(907, records)), "as an array": Tagged(907, [platform, realm]),
        "older contents under the newer tag": Tagged(907, plain),
        "newer contents under the older tag": Tagged(399, records),
        "without the platform": Tagged(907, {_REALM: [263, realm]}), "empty": Tagged(907, {}),
        "without the realm": Tagged(907, {_PLATFORM: [263, platform]}),
        "with a third token": Tagged(907, {**records, 44242: [263, platform]}),
        "with names in place of numbers": Tagged(907, {str(key): value for key, value in records.items()}),
        "with the tokens themselves and no byte strings, newer":
            Tagged(907, {key: [263, read_cbor(value)] for key, value in ((_PLATFORM, platform), (_REALM, realm))}),
        "with the tokens themselves and no byte strings, older":
            Tagged(399, {key: read_cbor(value) for key, value in ((_PLATFORM, platform), (_REALM, realm))}),
        "with texts in place of byte strings": Tagged(399, {_PLATFORM: platform.hex(), _REALM: realm.hex()}),
    }  # fmt: skip
    for kind in (264, 0, None, "application/eat+cwt"):
        whole[f"records of content format {kind}"] = Tagged(907, {**records, _REALM: [kind, realm]})
    whole["a record with something more"] = Tagged(907, {**records, _REALM: [263, realm, 4]})
    for name, value in whole.items():
        yield bench.case(name, "cca.token", raw=encode_cbor(value))
    untagged = encode_cbor(records)
    yield bench.case("without its tag", "cca.cose", raw=untagged)
    as_float = encode_cbor(Tagged(907, records)).replace(b"\x82\x19\x01\x07", b"\x82\xfa\x43\x83\x80\x00", 1)
    yield bench.case("a content format with a fraction", "cca.token", raw=as_float)
    pair = encode_cbor(_PLATFORM) + encode_cbor(platform)
    twice = (
        encode_cbor(Tagged(399, None))[:-1] + cbor_head(5, 3) + pair * 2 + encode_cbor(_REALM) + encode_cbor(realm)
    )
    yield bench.case("with the platform twice", "cca.cbor-duplicate-key", raw=twice)


def _messages(bench: Bench) -> Iterator[CcaCase]:
    """Of a COSE_Sign1, the platform's and the realm's."""
    form = bench.form()
    tokens = {"platform": form.platform_token(), "realm": form.realm_token()}
    for which, token in tokens.items():
        protected, _, payload, signature = parts_of(token)
        broken: dict[str, tuple[str, CborValue]] = {
            "without its tag": ("cose", [protected, {}, payload, signature]),
            "as a COSE_Mac0": ("cose", Tagged(17, [protected, {}, payload, signature])),
            "as a COSE_Sign": ("cose", Tagged(98, [protected, {}, payload, signature])),
            "under its tag twice": ("cose", Tagged(18, Tagged(18, [protected, {}, payload, signature]))),
            "of three parts": ("cose", Tagged(18, [protected, {}, payload])),
            "of five parts": ("cose", Tagged(18, [protected, {}, payload, signature, None])),
            "without a payload": ("cose", Tagged(18, [protected, {}, None, signature])),
            "with claims in place of a payload": ("cose", Tagged(18, [protected, {}, read_cbor(payload), signature])),
            "with headers that are no byte string": ("cose", Tagged(18, [{1: -35}, {}, payload, signature])),
            "with headers that are no map": ("cose", Tagged(18, [encode_cbor([1, -35]), {}, payload, signature])),
            "with the algorithm in both places": ("cose", Tagged(18, [protected, {1: -35}, payload, signature])),
            "with the algorithm where it is not signed":
                ("cose-algorithm", Tagged(18, [b"", {1: -35}, payload, signature])),
            "with a header that must be understood":
                ("cose", Tagged(18, [encode_cbor({1: -35, 2: [4]}), {}, payload, signature])),
        }  # fmt: skip
        for name, (code, value) in broken.items():
            made = tokens | {which: encode_cbor(value)}
            yield bench.case(f"{which} token {name}", f"cca.{code}", raw=wrapped(made["platform"], made["realm"]))
        for name, code, value in (
            ("a byte behind it", "trailing", token + b"\0"),
            ("no end", "truncated", token[:-1]),
        ):
            made = tokens | {which: value}
            yield bench.case(f"{which} token with {name}", f"cca.cbor-{code}",
                             raw=wrapped(made["platform"], made["realm"]))  # fmt: skip
    yield bench.case("each token in the other's place", "cca.claim", raw=wrapped(*reversed(tokens.values())))
    yield bench.case("the platform's token twice", "cca.claim", raw=wrapped(*[tokens["platform"]] * 2))


def _signatures(bench: Bench) -> Iterator[CcaCase]:
    """Of either signature; the claims are honest."""
    form, stranger = bench.form(), ec.generate_private_key(ec.SECP384R1())
    for which, token, key in (("platform", form.platform_token(), form.platform_key),
                              ("realm", form.realm_token(), form.realm_key)):  # fmt: skip
        protected, _, payload, right = parts_of(token)
        r, s = right[:48], right[48:]
        wrong = {
            "flipped": right[:-1] + bytes((right[-1] ^ 1,)), "empty": b"", "cut off": right[:-1], "zero": bytes(96),
            "with a byte more": right + b"\0", "r and s in the wrong order": s + r, "r zero": bytes(48) + s,
            "s zero": r + bytes(48), "in DER": key.sign(signed_part(protected, payload), ec.ECDSA(hashes.SHA384())),
            "by another key": parts_of(encode_cbor(sign1(payload, stranger)))[3],
            "over the payload alone": parts_of(encode_cbor(sign1(b"", key)))[3],
            "over other headers":
                parts_of(encode_cbor(sign1(payload, key, protected=encode_cbor({1: -35, 4: b"1"}))))[3],
        }  # fmt: skip
        for name, signature in wrong.items():
            signed = encode_cbor(Tagged(18, [protected, {}, payload, signature]))
            pair = (signed, form.realm_token()) if which == "platform" else (form.platform_token(), signed)
            yield bench.case(f"{which} signature {name}", "cca.signature", raw=wrapped(*pair))
    yield bench.case("signed by a stranger in the platform's place", "cca.signature",
                     form=replace(form, platform_key=stranger))  # fmt: skip
    yield bench.case("signed by a stranger in the realm's place", "cca.signature",
                     form=replace(form, realm_key=stranger))  # fmt: skip


def _algorithms(bench: Bench) -> Iterator[CcaCase]:
    """Of what the headers say of the signature, which is right by the key that signed."""
    form = bench.form()
    named: dict[str, CborValue] = {
        "ES256": -7, "ES512": -36, "RS256": -257, "PS384": -38, "EdDSA": -8, "a MAC": 5, "0": 0, "a text": "ES384",
        "null": None, "true": True, "a list": [-35],
    }  # fmt: skip
    for name, value in named.items():
        header = encode_cbor({1: value})
        code = "cca.cose-key" if name in {"ES256", "ES512"} else "cca.cose-algorithm"
        by_platform = encode_cbor(sign1(encode_cbor(dict(form.platform)), form.platform_key, protected=header))
        by_realm = encode_cbor(sign1(encode_cbor(dict(form.realm)), form.realm_key, protected=header))
        yield bench.case(f"platform's algorithm {name}", code, raw=wrapped(by_platform, form.realm_token()))
        yield bench.case(f"realm's algorithm {name}", code, raw=wrapped(form.platform_token(), by_realm))


def parts_of(token: bytes) -> tuple[bytes, CborValue, bytes, bytes]:
    """Headers, unsigned headers, payload and signature of a token that was minted here."""
    message = read_cbor(token)
    match message:
        case Tagged(value=[bytes() as protected, unprotected, bytes() as payload, bytes() as signature]):
            return protected, unprotected, payload, signature
    raise MisuseError("simulated.token", "this is no token that was minted here")
