"""Tokens of NVIDIA's attestation service (NRAS): what it found, instead of the evidence that it looked at.

Whoever takes such a token trusts the service, its keys and its clock, and sees what the service says and no more.
Keys come from the relying party: a key set alone proves nothing, so a key counts only if it is named.
"""

import hmac
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Any

from sealroom.errors import UnverifiedError
from sealroom.evidence import TrustRoots, Validity
from sealroom.jose import JoseAlg, JwkKey, Jwt, read_jwks, require_times, verify_jwt
from sealroom.tees.nvidia.detached_eat import AREA, DetachedEat, read_detached_eat
from sealroom.tees.nvidia.nras_device import NrasDevice, read_device
from sealroom.x509_chain import require_aware

__all__ = ["ISSUER", "VerifiedNras", "verify_nras"]

ISSUER = "https://nras.attestation.nvidia.com"
_ALGORITHMS = (JoseAlg.ES384,)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedNras:
    """What the service vouches for: devices, every one of them as released."""

    devices: tuple[NrasDevice, ...]
    """In the order of the answer."""
    nonce: bytes
    """The one in every token."""
    claims_version: str
    signer: bytes
    """SHA-256 of the SubjectPublicKeyInfo that signed the overall token."""
    simulated: bool
    """A key of simulated hardware signed at least one of the tokens."""
    validity: Validity
    """Where the windows of all tokens meet; the service gives an hour."""


def verify_nras(raw: bytes, *, jwks: bytes, roots: TrustRoots, nonce: bytes | None, at: datetime) -> VerifiedNras:
    """Verify an answer of the service.

    1. The bundle is whole: `read_detached_eat`, which binds each device's token to the overall one.
    2. Each token is signed with ES384 by the key of ``jwks`` that it names, and that key is one that ``roots`` names.
    3. Each is from the service, and valid at ``at``.
    4. Each bears the nonce; all the same one (checked in 1).
    5. The service found the whole in order, and each device: `read_device`. No device is there twice.

    Args:
        raw: untrusted JSON.
        jwks: the service's key set, as the relying party has it (RFC 7517); never fetched.
        roots: SHA-256 of SubjectPublicKeyInfo in ``token_signers``; in ``insecure_simulated`` for simulated hardware.
        nonce: what the service was asked to put in; None: the caller compares `VerifiedNras.nonce` itself.
        at: the time to verify at, timezone-aware.

    Raises:
        MalformedError: ``nvidia.nras``, ``nvidia.token``, ``nvidia.jwks``.
        UnverifiedError: ``nvidia.nras-*``, ``nvidia.token-*``, ``nvidia.unknown-key``: a step does not hold.
    """
    require_aware(at)
    # 1.
    eat = read_detached_eat(raw)
    tokens = [("overall", eat.overall), *eat.devices.items()]
    # 2.
    keys = read_jwks(jwks, area=AREA)
    signers = [_signer(name, token, keys, roots) for name, token in tokens]
    # 3.
    validity = _window(tokens, at)
    # 4.
    if nonce is not None and not hmac.compare_digest(eat.nonce, nonce):
        raise UnverifiedError("nvidia.nras-nonce", "the service answered another nonce", got=eat.nonce.hex(),
                              expected=nonce.hex())  # fmt: skip
    # 5.
    _require_result(eat)
    devices = tuple(read_device(name, token.claims) for name, token in eat.devices.items())
    _require_distinct(devices)
    return VerifiedNras(
        devices=devices, nonce=eat.nonce, claims_version=eat.claims_version, signer=signers[0],
        simulated=any(signer in roots.insecure_simulated for signer in signers), validity=validity,
    )  # fmt: skip


def _signer(name: str, token: Jwt, keys: Sequence[JwkKey], roots: TrustRoots) -> bytes:
    key = verify_jwt(token, keys, algorithms=_ALGORITHMS, area=AREA)
    if key.spki_sha256 not in roots.token_signers | roots.insecure_simulated:
        raise UnverifiedError("nvidia.unknown-key", "the token was signed by a key that nobody here trusts",
                              where=name, got=f"sha256:{key.spki_sha256.hex()}",
                              expected="a key under [trust] token_signers",
                              hint="name the SHA-256 of the service's current key; a key set alone proves nothing",
                              )  # fmt: skip
    return key.spki_sha256


def _window(tokens: Sequence[tuple[str, Jwt]], at: datetime) -> Validity:
    windows = []
    for name, token in tokens:
        _require_issuer(name, token.claims)
        windows.append(require_times(token.claims, at=at, area=AREA))
    return reduce(Validity.meet, windows)


def _require_issuer(name: str, claims: Mapping[str, Any]) -> None:
    if claims.get("iss") != ISSUER:
        raise UnverifiedError("nvidia.nras-issuer", "the token is not from NVIDIA's attestation service", where=name,
                              got=ascii(claims.get("iss"))[:120], expected=ISSUER)  # fmt: skip


def _require_result(eat: DetachedEat) -> None:
    result = eat.overall.claims.get("x-nvidia-overall-att-result")
    if result is not True:
        raise UnverifiedError("nvidia.nras-result", "the service did not find everything in order",
                              got=ascii(result)[:40], expected="true")  # fmt: skip


def _require_distinct(devices: Sequence[NrasDevice]) -> None:
    twice = [ueid for ueid, times in Counter(device.ueid for device in devices).items() if times > 1]
    if twice:
        raise UnverifiedError("nvidia.nras-device-twice", "one device stands for several",
                              got=", ".join(twice)[:200], expected="each device once")  # fmt: skip
