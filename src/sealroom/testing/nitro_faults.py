"""One fault each in a Nitro document. Every other signature, window and name holds, so that one check alone can
refuse it; the code is the one that this check gives.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.cbor import CborKey, CborValue, cbor_head, encode_cbor
from sealroom.testing.nitro import new_key
from sealroom.testing.nitro_cases import AT, Bench, NitroCase
from sealroom.testing.nitro_chain_faults import chain_faults
from sealroom.testing.nitro_document import ES384, member, raw_signature, sign_document, signed_bytes, write_members

__all__ = ["faults"]

_MUST = ("module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle")
_YEAR_10000_MS = 253402300800_000


def faults(bench: Bench) -> Iterator[NitroCase]:
    """Every fault."""
    for make in (message_faults, payload_faults, member_faults, pcr_faults, certificate_faults, time_faults,
                 signature_faults, chain_faults):  # fmt: skip
        yield from make(bench)


def message_faults(bench: Bench) -> Iterator[NitroCase]:
    """Of the COSE_Sign1."""
    raw, payload = bench.case("").raw, bench.members()
    yield bench.case("without its last byte", "nitro.cbor-truncated", raw=raw[:-1])
    for name, tail in (("two zero bytes", b"\0\0"), ("itself", raw)):
        yield bench.case(f"followed by {name}", "nitro.cbor-trailing", raw=raw + tail)
    for name, front in (("another tag", b"\xd1"), ("tag 18 twice", b"\xd2\xd2"), ("CBOR's own tag", b"\xd9\xd9\xf7")):
        yield bench.case(f"with {name}", "nitro.cose", raw=front + raw)
    parts = [encode_cbor(ES384), encode_cbor({}), encode_cbor(payload), encode_cbor(bytes(96))]
    broken = {"three parts": parts[:3], "five parts": [*parts, b"\xf6"],
              "no payload": [*parts[:2], b"\xf6", parts[3]],
              "a payload that is no string": [*parts[:2], payload, parts[3]],
              "a protected header that is no string": [ES384, *parts[1:]],
              "a protected header that is no map": [encode_cbor(encode_cbor([1, -35])), *parts[1:]],
              "a signature that is no string": [*parts[:3], b"\xf6"]}  # fmt: skip
    for name, given in broken.items():
        yield bench.case(f"of {name}", "nitro.cose", raw=cbor_head(4, len(given)) + b"".join(given))
    key = bench.machine.key
    for name, code, protected, unprotected in (
        ("a key's name among what is signed", "headers", encode_cbor({1: -35, 4: b"1"}), b"\xa0"),
        ("a key's name among what is not signed", "headers", ES384, encode_cbor({4: b"1"})),
        ("the algorithm where it is not signed", "headers", b"", encode_cbor({1: -35})),
        ("the algorithm in both places", "cose", ES384, encode_cbor({1: -35})),
        ("a header that must be understood", "cose", encode_cbor({1: -35, 2: [4]}), b"\xa0"),
    ):
        made = sign_document(payload, key, protected=protected, unprotected=unprotected)
        yield bench.case(f"with {name}", f"nitro.{code}", raw=made)


def payload_faults(bench: Bench) -> Iterator[NitroCase]:
    """Of the map; signed as it stands."""
    payload, members = bench.members(), bench.form().members()
    yield bench.case("a payload with a byte behind it", "nitro.cbor-trailing", payload=payload + b"\0")
    yield bench.case("a payload without its last byte", "nitro.cbor-truncated", payload=payload[:-1])
    yield bench.case("a payload that is an array", "nitro.document", payload=encode_cbor([]))
    yield bench.case("an empty payload", "nitro.cbor-truncated", payload=b"")
    large = bench.members(member("comment", bytes(16384)))
    yield bench.case("a payload of more than 16 KiB", "nitro.document", payload=large)
    for pair in members:
        name = pair[0][1:].decode("ascii", "ignore")
        twice = write_members([*members, pair])
        yield bench.case(f"{name} twice", "nitro.cbor-duplicate-key", payload=twice)
    for word in _MUST:
        yield bench.case(f"without {word}", "nitro.member", payload=bench.members(without=(word,)))
    more = {"of a NitroTPM's PCRs beside an enclave's": member("nitrotpm_pcrs", {0: bytes(48)}),
            "that nobody knows": member("comment", "hello"),
            "whose name is a number": member(1, "hello")}  # fmt: skip
    for word, pair in more.items():
        yield bench.case(f"a member {word}", "nitro.member", payload=bench.members(pair))


def member_faults(bench: Bench) -> Iterator[NitroCase]:
    """Of the members that are no PCRs and no certificates: types and sizes."""
    wrong: dict[str, list[CborValue]] = {
        "module_id": [None, b"i-0", 7, "", "x" * 257, "i-0\n", "i-\u00e9"],
        "digest": [None, b"SHA384", "SHA1", "SHA256", "SHA512", "sha384", "", 384],
        "timestamp": [None, "0", b"0", 0, -1, _YEAR_10000_MS, True, [1]],
        "public_key": ["key", 7, b"", bytes(1025), [b"key"]],
        "user_data": ["data", 7, bytes(513), False],
        "nonce": ["nonce", 7, bytes(513), {}],
    }
    for name, values in wrong.items():
        for value in values:
            yield bench.case(f"{name} {_told(value)}", f"nitro.{name.replace('_', '-')}",
                             payload=bench.members(member(name, value)))  # fmt: skip
    half = (encode_cbor("timestamp"), b"\xfa\x47\x00\x00\x00")
    yield bench.case("timestamp as a fraction", "nitro.timestamp", payload=bench.members(half))


def pcr_faults(bench: Bench) -> Iterator[NitroCase]:
    """Of the PCRs (faults 11 and 13 begin here: none is none)."""
    pcrs: dict[CborKey, CborValue] = dict(bench.form().pcrs.items())
    wrong: dict[str, dict[CborKey, CborValue]] = {
        "none": {}, "with index 32": {**pcrs, 32: bytes(48)}, "with index -1": {**pcrs, -1: bytes(48)},
        "with a text for an index": {**pcrs, "0": bytes(48)}, "with bytes for an index": {**pcrs, b"\0": bytes(48)},
        "one too short": {**pcrs, 5: bytes(47)}, "one as of SHA-256": {**pcrs, 5: bytes(32)},
        "one empty": {**pcrs, 5: b""}, "one a text": {**pcrs, 5: "0" * 48}, "one null": {**pcrs, 5: None},
    }  # fmt: skip
    for name, given in wrong.items():
        yield bench.case(f"PCRs {name}", "nitro.pcr", payload=bench.members(member("pcrs", given)))
    short = replace(bench.form(), digest="SHA256", pcrs=dict.fromkeys(range(16), bytes(32)))
    yield bench.case("PCRs of SHA-256, all of them", "nitro.digest", form=short)
    others: dict[str, CborValue] = {"in an array": [bytes(48)], "null": None}
    for name, value in others.items():
        yield bench.case(f"PCRs {name}", "nitro.pcrs", payload=bench.members(member("pcrs", value)))
    for name, index in (("", b"\0"), (" in another width", b"\x18\0")):
        twice = b"\xa2\0" + encode_cbor(bytes(48)) + index + encode_cbor(b"\1" * 48)
        yield bench.case(f"PCR0 twice{name}", "nitro.cbor-duplicate-key",
                         payload=bench.members((encode_cbor("pcrs"), twice)))  # fmt: skip


def certificate_faults(bench: Bench) -> Iterator[NitroCase]:
    """Of the certificates as byte strings; of their content in `nitro_chain_faults`."""
    leaf, *above = bench.form().chain
    bundle: list[CborValue] = [*reversed(above)]
    leaves: dict[str, CborValue] = {"null": None, "empty": b"", "a text": "certificate", "a list": [leaf],
                                    "longer than any": leaf + bytes(1025)}  # fmt: skip
    for name, value in leaves.items():
        yield bench.case(f"certificate {name}", "nitro.certificate",
                         payload=bench.members(member("certificate", value)))  # fmt: skip
    for name, value in (("cut off", leaf[:-1]), ("with a byte behind it", leaf + b"\0"), ("not DER", b"\1\2\3")):
        yield bench.case(f"certificate {name}", "x509.der", payload=bench.members(member("certificate", value)))
    bundles: dict[str, CborValue] = {"null": None, "bytes": bundle[0], "empty": [], "of nine": bundle[:1] * 9,
                                     "with a text": [*bundle, "root"], "with nothing": [*bundle, b""]}  # fmt: skip
    for name, value in bundles.items():
        yield bench.case(f"cabundle {name}", "nitro.cabundle", payload=bench.members(member("cabundle", value)))


def time_faults(bench: Bench) -> Iterator[NitroCase]:
    """Of when it was made; the certificates are valid at each time of verification."""
    form, window = bench.form(), bench.machine.forms(AT)[-1].validity
    first, last = (int(moment.timestamp() * 1000) for moment in (window.not_before, window.not_after))
    early = replace(form, timestamp_ms=first - 1)
    yield bench.case("made before its certificate", "nitro.timestamp", form=early)
    late = replace(form, timestamp_ms=last + 1)
    yield bench.case("made after its certificate", "nitro.timestamp", form=late, at=window.not_after)
    ahead = replace(form, timestamp_ms=int((AT + timedelta(minutes=5)).timestamp() * 1000) + 1)
    yield bench.case("made by a clock more than five minutes ahead", "nitro.timestamp", form=ahead)


def signature_faults(bench: Bench) -> Iterator[NitroCase]:
    """Of the signature; the payload is honest."""
    payload, key = bench.members(), bench.machine.key
    right = raw_signature(key, signed_bytes(payload))
    r, s = right[:48], right[48:]
    as_der = key.sign(signed_bytes(payload), ec.ECDSA(hashes.SHA384()))
    wrong = {
        "flipped": right[:-1] + bytes((right[-1] ^ 1,)), "empty": b"", "cut off": right[:-1], "zero": bytes(96),
        "with a byte more": right + b"\0", "r and s in the wrong order": s + r, "in DER": as_der,
        "r zero": bytes(48) + s, "s zero": r + bytes(48),
        "by another key": raw_signature(new_key(), signed_bytes(payload)),
        "with a zero between its halves": right[:48] + b"\0" + right[48:],
        "over the payload alone": raw_signature(key, payload),
        "over other data beside it": raw_signature(key, encode_cbor(["Signature1", ES384, b"x", payload])),
        "as of a COSE_Sign": raw_signature(key, encode_cbor(["Signature", ES384, b"", b"", payload])),
        "over another document": raw_signature(key, signed_bytes(bench.members(member("nonce", b"other")))),
    }  # fmt: skip
    for name, signature in wrong.items():
        made = sign_document(payload, key, signature=signature)
        yield bench.case(f"signature {name}", "nitro.signature", raw=made)
    for name, value in (("ES256", -7), ("ES512", -36), ("a MAC", 5), ("text", "ES384"), ("null", None),
                        ("RS256", -257)):  # fmt: skip
        made = sign_document(payload, key, protected=encode_cbor({1: value}))
        yield bench.case(f"algorithm {name}", "nitro.cose-algorithm", raw=made)


def _told(value: CborValue) -> str:
    text = ascii(value)
    return text if len(text) < 16 else f"{text[:8]} and so on, of {len(text)}"
