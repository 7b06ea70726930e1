"""A detached EAT bundle (RFC 9711 section 5) as NVIDIA's attestation service (NRAS) writes it: read, not verified.

    [["JWT", overall token], {"GPU-0": token of one device, …}]

The overall token names every device's token by its digest. `read_detached_eat` holds that binding to be right, and
says nothing of who signed: `nras` does.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.jose import Jwt, parse_jwt, read_json

__all__ = ["AREA", "DetachedEat", "bad_bundle", "nonce_of", "read_detached_eat"]

AREA = "nvidia"
"""First word of the codes of errors that `sealroom.jose` makes here: ``nvidia.token``, ``nvidia.token-signature``."""
MAX_BUNDLE = 1024 * 1024
"""Bytes; a device's token has about three thousand."""
MAX_DEVICES = 64
_NAME = re.compile(r"[A-Z][A-Z_]{0,15}-(?:0|[1-9][0-9]{0,2})")
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_NONCE = re.compile(r"(?:[0-9a-fA-F]{2}){8,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DetachedEat:
    """The tokens of one answer. Untrusted: nobody's signature was looked at."""

    overall: Jwt
    devices: Mapping[str, Jwt] = field(repr=False)
    """By name: ``GPU-0``, ``SWITCH-3``."""
    nonce: bytes
    """The same in all of them."""
    claims_version: str
    """``2.0``, ``3.0``."""


def read_detached_eat(raw: bytes) -> DetachedEat:
    """Read a bundle, and check that the overall token speaks of exactly these devices' tokens. Verifies nothing else.

    Checked: the structure; that the devices named are those that came, none twice; SHA-256 of each token; that all
    bear one nonce. Not checked: signatures, keys, issuer, times, results.

    Args:
        raw: untrusted JSON, at most 1 MiB.

    Raises:
        MalformedError: ``nvidia.nras``, ``nvidia.token``.
        UnverifiedError: ``nvidia.nras-submodules``: other devices than the overall token names;
            ``nvidia.nras-submodule-digest``: another token of a device; ``nvidia.nras-nonce``: more than one nonce.
    """
    first, texts = _parts(raw)
    overall = parse_jwt(first, area=AREA)
    _require_named(_digests(overall.claims), texts)
    devices = {name: parse_jwt(text, area=AREA) for name, text in texts.items()}
    nonces = {name: nonce_of(token.claims, name) for name, token in [("overall", overall), *devices.items()]}
    if len(set(nonces.values())) != 1:
        listed = ", ".join(f"{name} {nonce.hex()}" for name, nonce in nonces.items())
        raise UnverifiedError("nvidia.nras-nonce", "the tokens of one answer bear different nonces", got=listed[:400])
    version = overall.claims.get("x-nvidia-ver")
    if not isinstance(version, str) or len(version) > 16:
        raise bad_bundle("the overall token does not say which claims it has", ascii(version)[:40])
    return DetachedEat(
        overall=overall, devices=MappingProxyType(devices), nonce=nonces["overall"], claims_version=version
    )


def nonce_of(claims: Mapping[str, Any], name: str) -> bytes:
    """The nonce of one token, of 8 to 64 bytes (RFC 9711 section 4.1), which NVIDIA writes in hexadecimal.

    Raises:
        MalformedError: ``nvidia.nras``: there is none, or several, or it is no hexadecimal text.
    """
    nonce = claims.get("eat_nonce")
    if not isinstance(nonce, str) or not _NONCE.fullmatch(nonce):
        raise bad_bundle(f"the token {name} has no nonce in hexadecimal", ascii(nonce)[:80])
    return bytes.fromhex(nonce)


def _parts(raw: bytes) -> tuple[str, dict[str, str]]:
    """The overall token's text, and that of each device's."""
    if len(raw) > MAX_BUNDLE:
        raise bad_bundle("the answer is too large", f"{len(raw)} bytes")
    document = read_json(raw, area=AREA)
    if not isinstance(document, list) or len(document) != 2 or not isinstance(document[1], dict):
        raise bad_bundle("the answer is no pair of an overall token and an object of devices' tokens", None)
    first, devices = document
    if not isinstance(first, list) or len(first) != 2 or first[0] != "JWT" or not _is_token(first[1]):
        raise bad_bundle("the overall token is no signed JWT", None)
    if any(isinstance(value, list) for value in devices.values()):
        raise bad_bundle("this is what NVIDIA's SDK wraps around the service's answer",
                         ", ".join(map(ascii, devices))[:80],
                         "take what stands under REMOTE_GPU_CLAIMS")  # fmt: skip
    if not 1 <= len(devices) <= MAX_DEVICES:
        raise bad_bundle("an answer is about one device or more", len(devices))
    for name, text in devices.items():
        if not _NAME.fullmatch(name) or not _is_token(text):
            raise bad_bundle("a device has no name that is one, or no token", ascii(name)[:40])
    return first[1], devices


def _is_token(text: Any) -> bool:
    """The digest is over these very characters: nothing around them that a reader of tokens would pass over."""
    return isinstance(text, str) and text.isascii() and text == text.strip()


def _digests(claims: Mapping[str, Any]) -> dict[str, bytes]:
    listed = claims.get("submods")
    if not isinstance(listed, dict):
        raise bad_bundle("the overall token names no devices", None)
    found = {}
    for name, entry in listed.items():
        match entry:
            case ["DIGEST", ["SHA-256", str(digest)]] if _DIGEST.fullmatch(digest):
                found[name] = bytes.fromhex(digest)
            case _:
                raise bad_bundle("a device is not named by a SHA-256 digest", ascii(name)[:40])
    return found


def _require_named(digests: Mapping[str, bytes], texts: Mapping[str, str]) -> None:
    if set(digests) != set(texts):
        raise UnverifiedError("nvidia.nras-submodules", "the overall token speaks of other devices than came",
                              got=ascii(sorted(texts))[:200], expected=ascii(sorted(digests))[:200])  # fmt: skip
    for name, text in texts.items():
        got = hashlib.sha256(text.encode("ascii")).digest()
        if not hmac.compare_digest(got, digests[name]):
            raise UnverifiedError("nvidia.nras-submodule-digest", "a device's token is not the one that is named",
                                  where=name, got=got.hex(), expected=digests[name].hex())  # fmt: skip


def bad_bundle(message: str, got: object, hint: str | None = None) -> MalformedError:
    """The error for an answer that is not taken."""
    return MalformedError("nvidia.nras", message, got=got, expected="a detached EAT bundle as NRAS writes it",
                          hint=hint)  # fmt: skip
