"""PSA devices in software: tokens of profile 1 and of profile 2, by the key of a simulated platform.

TrustZone has no attestation of its own: the firmware of its devices (TF-M, or an OP-TEE application with an enrolled
key) gives such tokens.
"""

from collections.abc import Mapping
from typing import Any

from sealroom.cbor import CborKey, CborValue, encode_cbor
from sealroom.testing.cca import CcaPlatform, component, sign1

__all__ = ["first_profile", "psa_token", "second_profile"]

_SECURED = 0x3003
_SEED = b"\x0b" * 32


def second_profile(platform: CcaPlatform, challenge: bytes) -> dict[CborKey, CborValue]:
    """The claims of RFC 9783."""
    return {
        265: "tag:psacertified.org,2023:psa#tfm", 10: challenge, 256: platform.instance_id, 2394: -1, 2395: _SECURED,
        2396: platform.implementation_id, 2397: _SEED, 2398: "1234567890123-12345",
        2399: [component("BL"), component("PRoT")], 2400: "https://verifier.invalid",
    }  # fmt: skip


def first_profile(platform: CcaPlatform, challenge: bytes) -> dict[CborKey, CborValue]:
    """The claims of draft-tschofenig-rats-psa-token-07, numbered downwards from -75000."""
    return {
        -75000: "PSA_IOT_PROFILE_1", -75001: -1, -75002: _SECURED, -75003: platform.implementation_id, -75004: _SEED,
        -75005: "1234567890123", -75006: [component("BL"), component("PRoT")], -75008: challenge,
        -75009: platform.instance_id, -75010: "https://verifier.invalid",
    }  # fmt: skip


def psa_token(
    platform: CcaPlatform, challenge: bytes, *, first: bool = False, changes: Mapping[Any, Any] | None = None
) -> bytes:
    """A token, signed.

    Args:
        platform: whose key is the device's attestation key (IAK).
        challenge: 32, 48 or 64 bytes.
        first: of profile 1.
        changes: to the claims; None takes one away.
    """
    claims = {**(first_profile if first else second_profile)(platform, challenge), **(changes or {})}
    said = {key: value for key, value in claims.items() if value is not None}
    return encode_cbor(sign1(encode_cbor(said), platform.key))
