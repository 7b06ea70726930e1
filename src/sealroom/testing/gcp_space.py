"""Google's Confidential Space service in software: tokens as it writes them, under a private key, honest or not.

SimulatedSpace  one key, which a relying party names, or which certificates lead to
SpaceAuthority  what stands above the latter: a root, and the CA below it
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.testing import der
from sealroom.testing.gcp_certificates import GOOGLE_NAME
from sealroom.testing.pki import Authority, CertificateForm, PublicKey, authority, mint_certificate
from sealroom.testing.tokens import TokenSigner, changed

__all__ = ["ISSUER", "SimulatedSpace", "SpaceAuthority", "container", "listed"]

ISSUER = "https://confidentialcomputing.googleapis.com"
_LIFETIME = timedelta(hours=1)
_DIGEST = "sha256:" + "5d" * 32


@dataclass(frozen=True, kw_only=True)
class SimulatedSpace:
    """The service with one key."""

    signer: TokenSigner = field(default_factory=lambda: TokenSigner(kid="b4e6dbf1f3f5b7f7d9b7ee7a4f8f3e1c9d0f6a11"))

    @property
    def jwks(self) -> bytes:
        """The key set."""
        return self.signer.jwks()

    def token(
        self, nonce: str | list[str], at: datetime, *, audience: str = "https://room.example",
        header: Mapping[str, Any] | None = None, **claims: Any,
    ) -> bytes:  # fmt: skip
        """A token of a workload that asked for ``nonce``; ``claims`` changes the honest ones."""
        begins, ends = int(at.timestamp()), int((at + _LIFETIME).timestamp())
        honest = {
            "aud": audience, "exp": ends, "iat": begins, "iss": ISSUER, "nbf": begins, "eat_nonce": nonce,
            "sub": "https://www.googleapis.com/compute/v1/projects/simulated/zones/europe-west4-a/instances/vm",
            "secboot": True, "oemid": 11129, "hwmodel": "GCP_AMD_SEV", "swname": "CONFIDENTIAL_SPACE",
            "swversion": ["260900"], "dbgstat": "disabled-since-boot",
            "submods": {"confidential_space": {"support_attributes": ["LATEST", "STABLE", "USABLE"]},
                        "container": container(),
                        "gce": {"zone": "europe-west4-a", "project_id": "simulated",
                                "project_number": "1021147225643", "instance_name": "vm",
                                "instance_id": "575814989817163620"}},
            "google_service_accounts": ["workload@simulated.iam.gserviceaccount.com"],
        }  # fmt: skip
        return self.signer.sign(changed(honest, claims), **(header or {}))


def container(**changes: Any) -> dict[str, Any]:
    """What the token says of the workload; ``changes`` as `tokens.changed` takes them."""
    honest = {"image_reference": "registry.example/room:1", "image_digest": _DIGEST, "restart_policy": "Never",
              "env": {"PATH": "/usr/bin"}, "args": ["/room"]}  # fmt: skip
    return changed(honest, changes)


@dataclass(frozen=True, kw_only=True)
class SpaceAuthority:
    """Who certifies the keys of tokens of the type PKI. Google's are RSA; nothing depends on that."""

    root: Authority
    ca: Authority

    @classmethod
    def create(cls) -> "SpaceAuthority":
        """New keys."""
        keys = [ec.generate_private_key(ec.SECP384R1()) for _ in range(2)]
        root = authority("Simulated Confidential Space Root CA", keys[0], serial=1, name=GOOGLE_NAME)
        ca = authority("Simulated Confidential Space Intermediate CA", keys[1], serial=2, issuer=root,
                       path_length=0, name=GOOGLE_NAME)  # fmt: skip
        return cls(root=root, ca=ca)

    @property
    def root_fingerprint(self) -> bytes:
        """SHA-256 of the root's DER: what a policy names under ``insecure_simulated``."""
        return hashlib.sha256(self.root.certificate).digest()

    def form(self, key: PublicKey) -> CertificateForm:
        """The certificate of a signer, before it is issued."""
        return CertificateForm(subject="Simulated Confidential Space Leaf Certificate", public_key=key, serial=3,
                               name=GOOGLE_NAME, extensions=(("2.5.29.19", True, der.sequence()),))  # fmt: skip

    def chain(self, key: PublicKey) -> tuple[bytes, bytes, bytes]:
        """Certificates of a signer: its own, the CA's, the root's."""
        return mint_certificate(self.form(key), self.ca), self.ca.certificate, self.root.certificate


def listed(*certificates: bytes) -> list[str]:
    """As a header has them under ``x5c``."""
    return [base64.b64encode(certificate).decode() for certificate in certificates]
