"""Tokens of a verification service in software: RS256 and a key set, with every claim and header to be changed."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

__all__ = ["LEFT_OUT", "TokenSigner", "base64url", "changed"]

LEFT_OUT: Any = ...
"""As the value of a claim: it is not there."""


@dataclass(frozen=True, kw_only=True)
class TokenSigner:
    """One key of a service."""

    kid: str
    key: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048), repr=False
    )

    @property
    def spki(self) -> bytes:
        """The public key, DER."""
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of `spki`: what a policy names under ``insecure_simulated``, or ``token_signers``."""
        return hashlib.sha256(self.spki).digest()

    def jwk(self, **changes: Any) -> dict[str, Any]:
        """The key's entry in a key set."""
        numbers = self.key.public_key().public_numbers()
        entry = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid, "e": "AQAB",
                 "n": base64url(numbers.n.to_bytes(256, "big"))}  # fmt: skip
        return changed(entry, changes)

    def jwks(self, *others: "TokenSigner") -> bytes:
        """A key set with this key and ``others``."""
        return json.dumps({"keys": [signer.jwk() for signer in (self, *others)]}).encode()

    def sign(self, claims: Mapping[str, Any], **header: Any) -> bytes:
        """A token of exactly these claims; ``header`` changes members of the honest one."""
        head = changed({"alg": "RS256", "kid": self.kid, "typ": "JWT"}, header)
        return self.sign_text(head, json.dumps(dict(claims)).encode())

    def sign_text(self, header: Mapping[str, Any], payload: bytes) -> bytes:
        """A token of any payload at all."""
        text = f"{base64url(json.dumps(dict(header)).encode())}.{base64url(payload)}".encode()
        return text + b"." + base64url(self.key.sign(text, padding.PKCS1v15(), hashes.SHA256())).encode()


def changed(claims: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``claims`` with ``changes``; what is `LEFT_OUT` in them is not there."""
    return {name: value for name, value in {**claims, **changes}.items() if value is not LEFT_OUT}


def base64url(raw: bytes) -> str:
    """Without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
