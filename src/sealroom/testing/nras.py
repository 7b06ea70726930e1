"""NVIDIA's attestation service in software: answers as it writes them, under a private key, honest or not."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.testing.nvidia_report import raw_signature
from sealroom.testing.nvidia_vendor import new_key

__all__ = ["SimulatedNras", "bundle", "device_claims", "overall_claims"]

ISSUER = "https://nras.attestation.nvidia.com"
KID = "nv-eat-kid-prod-20260601000000000-93b13aa1-17e4-4c14-9d33-dba2323329f2"
LIFETIME = timedelta(hours=1)
_CHAIN = {
    "x-nvidia-cert-status": "valid",
    "x-nvidia-cert-ocsp-status": "good",
    "x-nvidia-cert-expiration-date": "2028-01-07T18:39:21Z",
    "x-nvidia-cert-revocation-reason": None,
}
_GPU_CHECKS = (
    "arch-check", "attestation-report-parsed", "attestation-report-nonce-match",
    "attestation-report-signature-verified", "attestation-report-cert-chain-fwid-match", "driver-rim-fetched",
    "driver-rim-schema-validated", "driver-rim-signature-verified", "driver-rim-version-match",
    "driver-rim-measurements-available", "vbios-rim-fetched", "vbios-rim-schema-validated",
    "vbios-rim-signature-verified", "vbios-rim-version-match", "vbios-rim-measurements-available",
    "vbios-index-no-conflict",
)  # fmt: skip
_SWITCH_CHECKS = tuple(check.replace("vbios", "bios") for check in _GPU_CHECKS if not check.startswith("driver"))


@dataclass(frozen=True, kw_only=True)
class SimulatedNras:
    """The service with one key."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key, repr=False)
    kid: str = KID

    @property
    def spki_sha256(self) -> bytes:
        """What a relying party names the key by."""
        spki = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(spki).digest()

    @property
    def jwks(self) -> bytes:
        """The key set."""
        numbers = self.key.public_key().public_numbers()
        point = {name: _base64url(value.to_bytes(48, "big")) for name, value in (("x", numbers.x), ("y", numbers.y))}
        entry = {"kty": "EC", "use": "sig", "crv": "P-384", "kid": self.kid, "alg": "ES384", **point}
        return json.dumps({"keys": [entry]}).encode()

    def sign(self, claims: Mapping[str, Any], *, header: Mapping[str, Any] | None = None) -> str:
        """A token; ``header``: in place of the honest one."""
        head = {"kid": self.kid, "alg": "ES384"} if header is None else dict(header)
        text = ".".join(_base64url(json.dumps(part).encode()) for part in (head, dict(claims)))
        return f"{text}.{_base64url(raw_signature(self.key, text.encode()))}"

    def answer(
        self, nonce: bytes, at: datetime, *, devices: Mapping[str, Mapping[str, Any]] | None = None,
        overall: Mapping[str, Any] | None = None,
    ) -> bytes:  # fmt: skip
        """An answer about ``devices``: changes of the honest claims by name; one GPU if none are given.

        Args:
            nonce: what was asked to be put in.
            at: when.
            devices: claims to change, by the device's name; a claim that is ``...`` is left out.
            overall: the same for the overall token.
        """
        named = {"GPU-0": {}} if devices is None else devices
        tokens = {
            name: self.sign(_changed(device_claims(name, nonce, at), changes)) for name, changes in named.items()
        }
        return bundle(self.sign(_changed(overall_claims(tokens, nonce, at), overall or {})), tokens)


def bundle(overall: str, tokens: Mapping[str, str]) -> bytes:
    """The answer's JSON."""
    return json.dumps([["JWT", overall], dict(tokens)]).encode()


def overall_claims(tokens: Mapping[str, str], nonce: bytes, at: datetime) -> dict[str, Any]:
    """What an honest overall token says of these devices' tokens."""
    digests = {name: hashlib.sha256(token.encode()).hexdigest() for name, token in tokens.items()}
    return {
        "sub": "NVIDIA-PLATFORM-ATTESTATION",
        "x-nvidia-ver": "3.0",
        "x-nvidia-overall-att-result": True,
        "submods": {name: ["DIGEST", ["SHA-256", digest]] for name, digest in digests.items()},
        **_common(nonce, at),
    }


def device_claims(name: str, nonce: bytes, at: datetime) -> dict[str, Any]:
    """What an honest token says of the device of this name; its serial number comes of the name."""
    kind, model = ("switch", "LS_10 A01") if name.startswith("SWITCH") else ("gpu", "GH100 A01 GSP BROM")
    checks = _SWITCH_CHECKS if kind == "switch" else _GPU_CHECKS
    chains = [check[: -len("-fetched")] for check in checks if check.endswith("-fetched")]
    versions = {"bios-version": "96.10.55.00.01"} if kind == "switch" else {
        "driver-version": "550.90.07", "vbios-version": "96.00.9F.00.01"
    }  # fmt: skip
    return {
        "measres": "success", "secboot": True, "dbgstat": "disabled", "hwmodel": model, "oemid": "5703",
        "ueid": str(int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "big")),
        "x-nvidia-attestation-warning": None,
        **{f"x-nvidia-{kind}-{check}": True for check in checks},
        **{f"x-nvidia-{kind}-{word}": value for word, value in versions.items()},
        **{f"x-nvidia-{kind}-{chain}-cert-chain": dict(_CHAIN) for chain in ("attestation-report", *chains)},
        **_common(nonce, at),
    }  # fmt: skip


def _common(nonce: bytes, at: datetime) -> dict[str, Any]:
    begins, ends = int(at.timestamp()), int((at + LIFETIME).timestamp())
    return {"iss": ISSUER, "eat_nonce": nonce.hex(), "iat": begins, "nbf": begins, "exp": ends,
            "jti": hashlib.sha256(nonce).hexdigest()[:32]}  # fmt: skip


def _changed(claims: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**claims, **changes}.items() if value is not ...}


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
