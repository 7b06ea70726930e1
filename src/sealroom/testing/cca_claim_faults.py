"""One fault each in the claims of platforms, realms and PSA devices; whatever is claimed is signed as it stands."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from sealroom.cbor import CborKey, cbor_head, encode_cbor
from sealroom.testing.cca import component, sign1, wrapped
from sealroom.testing.cca_cases import CHALLENGE, Bench, CcaCase
from sealroom.testing.psa import first_profile, psa_token, second_profile

__all__ = ["claim_faults"]

_Wrong = Mapping[int, list[Any]]

_INSTANCES = [bytes(33), b"\2" + bytes(32), b"\1" + bytes(31), b"\1" + bytes(33), "instance", b""]
_CHALLENGES = [b"", bytes(16), bytes(31), bytes(33), bytes(63), bytes(65), "challenge", [bytes(32)], 7]
_LIFECYCLES = [-1, 0x10000, "secured", True, b"\x30\0"]
_COMPONENTS = [
    [], b"", {}, [{}], [[]], [{1: "BL"}], [{2: bytes(31)}], [{2: "measured"}], [component("BL")] * 65,
    [component("BL", version=3)], [component("BL\n")],
    [component("BL") | {5: bytes(31)}], [component("BL") | {6: 1}], [component("BL", measurement=None)],
]  # fmt: skip
_PLATFORM: _Wrong = {
    10: _CHALLENGES, 256: _INSTANCES,
    265: ["tag:arm.com,2023:cca_platform#9.0.0", "tag:arm.com,2023:realm#1.0.0", 1, ""],
    2395: _LIFECYCLES, 2396: [bytes(31), bytes(33), b"", "make", bytes(64)], 2399: _COMPONENTS, 2400: [b"text", ""],
    2401: [b"", "config", bytes(4097)], 2402: ["md5", "sha-1", "sha256", b"sha-256", 1],
}  # fmt: skip
_REALM: _Wrong = {
    10: [b"", bytes(32), bytes(48), bytes(63), bytes(65), "challenge", [bytes(64)]],
    265: ["tag:arm.com,2023:cca_platform#1.0.0", "tag:arm.com,2023:realm#9.0.0", 1],
    44235: [b"", bytes(63), bytes(65), "personal"], 44236: ["md5", "sha-1", b"sha-256", 1],
    44237: [b"", "key", {1: 2}], 44238: [b"", bytes(31), bytes(33), bytes(96), "measured"],
    44239: [[], [bytes(32)] * 3, [bytes(32)] * 5, [bytes(31)] * 4, ["x"] * 4, bytes(128), {}],
    44240: ["md5", "sha-1", b"sha-256", 1],
}  # fmt: skip
_PLATFORM_2: _Wrong = {
    2394: [0, 2, "1", True], 2403: [b"", "config"], 2404: [[], b"", {}], 2405: [[], "DM"], 2406: [b"", 1],
}  # fmt: skip
_REALM_2: _Wrong = {44243: [2, 255, -1, "private", True], 256: _INSTANCES}
_SECOND: _Wrong = {
    10: _CHALLENGES, 256: _INSTANCES, 265: ["tag:psacertified.org,2023:psa#other", "PSA_IOT_PROFILE_1", 1],
    2394: [2**31, -(2**31) - 1, "who"], 2395: _LIFECYCLES, 2396: [bytes(31), b""],
    2397: [bytes(7), bytes(33), "seed"], 2398: [b"reference", ""], 2399: _COMPONENTS, 2400: [1],
}  # fmt: skip
_FIRST: _Wrong = {
    -75000: ["PSA_IOT_PROFILE_2", 1], -75001: [2**31, "who"], -75002: _LIFECYCLES, -75003: [bytes(31), b""],
    -75004: [bytes(31), bytes(8), "seed"], -75005: [b"reference"], -75006: _COMPONENTS, -75008: _CHALLENGES,
    -75009: _INSTANCES, -75010: [b"where"],
}  # fmt: skip
"""By claim: values that it can not have."""
_KEY_CLAIM, _PROFILE = 44237, 265
_OPTIONAL = frozenset({2397, 2398, 2400, -75000, -75004, -75005, -75010})


def claim_faults(bench: Bench) -> Iterator[CcaCase]:
    """Every one: what is missing, what is there twice, and what has a value that it can not have."""
    form = bench.form()
    for which, wrong in (("platform", _PLATFORM), ("realm", _REALM)):
        for number, values in wrong.items():
            for place, value in enumerate(values):
                yield bench.case(f"{which} claim {number}, wrong {place}", _code(number, value),
                                 form=form.changed(**{which: {number: value}}))  # fmt: skip
    for which, honest in (("platform", form.platform), ("realm", form.realm)):
        for name in honest:
            # firmware before the profile had a name gave none
            if (which, name) != ("realm", _PROFILE):
                yield bench.case(f"{which} without claim {name!r}", "cca.claim-missing",
                                 form=form.changed(**{which: {name: None}}))  # fmt: skip
    yield from _of_the_second_profile(bench)
    yield from _of_devices(bench)
    yield from _payloads(bench)


def _of_the_second_profile(bench: Bench) -> Iterator[CcaCase]:
    form = bench.realm.second_form(CHALLENGE)
    for which, wrong in (("platform", _PLATFORM_2), ("realm", _REALM_2)):
        for number, values in wrong.items():
            for place, value in enumerate(values):
                yield bench.case(f"{which} of 2024, claim {number}, wrong {place}", _code(number, value),
                                 form=form.changed(**{which: {number: value}}))  # fmt: skip
    for which, number in (("platform", 2394), ("realm", 44243), ("realm", 256)):
        yield bench.case(f"{which} of 2024 without claim {number}", "cca.claim-missing",
                         form=form.changed(**{which: {number: None}}))  # fmt: skip
    devices, keys = form.platform[2404], form.platform[2405]
    for name, number, entries in (("device", 2404, devices), ("boot key", 2405, keys)):
        first = entries[0] if isinstance(entries, list) else None
        for member in first if isinstance(first, dict) else ():
            if (name, member) != ("device", 1):
                rest = {key: value for key, value in first.items() if key != member}  # type: ignore[union-attr]
                yield bench.case(f"a {name} without claim {member!r}", "cca.claim-missing",
                                 form=form.changed(platform={number: [rest]}))  # fmt: skip


def _of_devices(bench: Bench) -> Iterator[CcaCase]:
    bench = replace(bench, name="device")
    for first, wrong in ((True, _FIRST), (False, _SECOND)):
        profile = f"profile {1 if first else 2}"
        for number, values in wrong.items():
            for place, value in enumerate(values):
                raw = psa_token(bench.platform, CHALLENGE, first=first, changes={number: value})
                yield bench.case(f"{profile}, claim {number}, wrong {place}", _code(number, value), raw=raw)
        for name in (first_profile if first else second_profile)(bench.platform, CHALLENGE):
            if name not in _OPTIONAL:
                raw = psa_token(bench.platform, CHALLENGE, first=first, changes={name: None})
                yield bench.case(f"{profile}, without claim {name!r}", "cca.claim-missing", raw=raw)
    for word, changes in (("nothing measured, with another number", {-75006: None, -75007: 0}),
                          ("measured, and nothing measured", {-75007: 1})):  # fmt: skip
        yield bench.case(word, "cca.claim", raw=psa_token(bench.platform, CHALLENGE, first=True, changes=changes))
    both = {**first_profile(bench.platform, CHALLENGE), _PROFILE: "http://arm.com/psa/2.0.0"}
    yield bench.case("claims of profile 1 under the name of profile 2", "cca.claim-missing",
                     raw=encode_cbor(sign1(encode_cbor(both), bench.platform.key)))  # fmt: skip


def _payloads(bench: Bench) -> Iterator[CcaCase]:
    """Of the map as such."""
    form = bench.form()
    for which, claims, key in (("platform", form.platform, form.platform_key), ("realm", form.realm, form.realm_key)):
        honest = encode_cbor(dict(claims))
        pairs = [encode_cbor(name) + encode_cbor(value) for name, value in claims.items()]
        twice = cbor_head(5, len(pairs) + 1) + b"".join(pairs) + encode_cbor(10) + encode_cbor(bytes(64))
        broken = {
            "twice its challenge": ("cbor-duplicate-key", twice), "no end": ("cbor-truncated", honest[:-1]),
            "a byte behind it": ("cbor-trailing", honest + b"\0"), "no claims": ("cbor-truncated", b""),
            "an array": ("claims", encode_cbor([claims[10]])), "a map in a string": ("claims", encode_cbor(honest)),
            "a list for a name": ("cbor-key-type", b"\xa1\x81\x01\x02"),
        }  # fmt: skip
        for name, (code, payload) in broken.items():
            made = encode_cbor(sign1(payload, key))
            pair = (made, form.realm_token()) if which == "platform" else (form.platform_token(), made)
            yield bench.case(f"{which} payload with {name}", f"cca.{code}", raw=wrapped(*pair))
    whole = encode_cbor(2395) + encode_cbor(0x3003)
    fraction = encode_cbor(dict(form.platform)).replace(whole, encode_cbor(2395) + b"\xfa\x46\x40\x0c\x00")
    made = encode_cbor(sign1(fraction, form.platform_key))
    yield bench.case("a lifecycle as a fraction", "cca.claim", raw=wrapped(made, form.realm_token()))


def _code(number: CborKey, value: object) -> str:
    """A component's own claims are missed by themselves."""
    if isinstance(value, list) and value and number in {2399, -75006}:
        inner = value[0]
        if not isinstance(inner, dict):
            return "cca.claims"
        return "cca.claim" if 2 in inner else "cca.claim-missing"
    return "cca.claim"
