"""All PSA devices that are authentic, in either profile, however written: TrustZone's too, with an enrolled key."""

from collections.abc import Iterator
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.cbor import CborKey, Tagged, encode_cbor, read_cbor
from sealroom.testing.cca import CcaPlatform, cose_key, sign1
from sealroom.testing.cca_cases import CHALLENGE, Bench, CcaCase, loosely
from sealroom.testing.psa import first_profile, psa_token, second_profile

__all__ = ["authentic_devices"]

_Table = dict[str, tuple[dict[CborKey, object], tuple[str, ...]]]

_FIRST: _Table = {
    "which is not named": ({-75000: None}, ()),
    "nothing measured, as it says": ({-75006: None, -75007: 1}, ()),
    "only what has to be there": ({-75004: None, -75005: None, -75010: None}, ()),
    "asked by the secure side": ({-75001: 7}, ()),
    "opened for debugging": ({-75002: 0x4000}, ("not_secured", "debug")),
    "and a claim that nobody knows": ({-75011: "?"}, ("unknown_claims",)),
}
_SECOND: _Table = {
    "by its older name": ({265: "http://arm.com/psa/2.0.0"}, ()),
    "only what has to be there": ({2397: None, 2398: None, 2400: None}, ()),
    "a boot seed of eight bytes": ({2397: bytes(8)}, ()),
    "asked by the secure side": ({2394: 3002}, ()),
    "opened for debugging": ({2395: 0x5000}, ("not_secured", "debug")),
    "and a claim that nobody knows": ({2401: b"config"}, ("unknown_claims",)),
}
"""Changes to the claims of either profile, and the flags that come of them."""


def authentic_devices(bench: Bench) -> Iterator[CcaCase]:
    """Every one; ``bench`` lends its platform as the device."""
    bench = replace(bench, name="device")
    device = bench.platform
    for first in (False, True):
        profile = f"profile {1 if first else 2}"
        token = psa_token(device, CHALLENGE, first=first)
        yield bench.case(f"{profile}, as it should be", raw=token)
        for size in (32, 48):
            yield bench.case(
                f"{profile}, a challenge of {size}", raw=psa_token(device, CHALLENGE[:size], first=first)
            )
        message = read_cbor(token)
        untagged = message.value if isinstance(message, Tagged) else None
        yield bench.case(f"{profile}, without its tag", raw=encode_cbor(untagged))
        yield bench.case(f"{profile}, as a CWT", raw=encode_cbor(Tagged(61, message)))
        yield bench.case(f"{profile}, written loosely", raw=loosely(message))
        claims = (first_profile if first else second_profile)(device, CHALLENGE)
        yield bench.case(
            f"{profile}, its claims written loosely", raw=encode_cbor(sign1(loosely(claims), device.key))
        )
        for name, curve in (("P-256", ec.SECP256R1()), ("P-521", ec.SECP521R1())):
            there = CcaPlatform.create(curve)
            yield replace(bench, platform=there).case(f"{profile}, a key on {name}", key=cose_key(there.key),
                                                      raw=psa_token(there, CHALLENGE, first=first))  # fmt: skip
        for name, (changes, flags) in (_FIRST if first else _SECOND).items():
            yield bench.case(f"{profile}, {name}", raw=psa_token(device, CHALLENGE, first=first, changes=changes),
                             flags=flags)  # fmt: skip
