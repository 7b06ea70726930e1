"""Microsoft Azure Attestation in software: tokens as it writes them, under a private key, honest or not."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.evidence import Tee
from sealroom.testing.pki import Authority, CertificateForm, mint_certificate
from sealroom.testing.tokens import TokenSigner, changed

__all__ = ["SimulatedMaa", "certified", "guest_claims", "runtime_claims"]

_LIFETIME = timedelta(hours=8)
_KINDS = {Tee.SNP: "sevsnpvm", Tee.TDX: "tdxvm"}
_ENCLAVE_QUOTE = ("1.3.6.1.4.1.311.105.1", 22_000)
"""Where the service's certificates carry the quote of its enclave, and bytes of one with all that goes along."""


@dataclass(frozen=True, kw_only=True)
class SimulatedMaa:
    """A provider of the service with one key."""

    signer: TokenSigner = field(
        default_factory=lambda: TokenSigner(kid="J0pAPdfXXHqWWimgrH853wMIdh5/fLe1z6uSXYPXCa0=")
    )
    issuer: str = "https://sharedweu.weu.attest.azure.net"

    @property
    def jwks(self) -> bytes:
        """What the service serves under ``/certs``, as numbers; `certified` has it as certificates."""
        return self.signer.jwks()

    def token(
        self, tee: Tee, at: datetime, *, user_data: bytes | None = None, header: Mapping[str, Any] | None = None,
        **claims: Any,
    ) -> bytes:  # fmt: skip
        """A token about a guest of ``tee``; ``claims`` changes the honest ones, with ``-`` written as ``_``."""
        said = {**self.own_claims(at), **guest_claims(tee, user_data)}
        changes = {(name if name in said else name.replace("_", "-")): value for name, value in claims.items()}
        return self.sign(changed(said, changes), **(header or {}))

    def wrapped(self, tee: Tee, at: datetime, *, user_data: bytes | None = None, **claims: Any) -> bytes:
        """A token of type azurevm, which has the hardware's claims inside; ``claims`` changes those, and are
        spelled as they are.
        """
        inside = changed(guest_claims(tee, user_data), claims)
        said = {"x-ms-attestation-type": "azurevm", "secureboot": True, "x-ms-isolation-tee": inside}
        return self.sign({**self.own_claims(at), **said})

    def sign(self, said: Mapping[str, Any], **header: Any) -> bytes:
        """A token of exactly these claims; ``header`` changes members of the honest one."""
        return self.signer.sign(said, **{"jku": f"{self.issuer}/certs", **header})

    def own_claims(self, at: datetime) -> dict[str, Any]:
        """What every token of the service says of itself."""
        begins, ends = int(at.timestamp()), int((at + _LIFETIME).timestamp())
        return {"exp": ends, "iat": begins, "iss": self.issuer, "nbf": begins, "x-ms-ver": "1.0",
                "jti": hashlib.sha256(str(begins).encode()).hexdigest()}  # fmt: skip


def certified(*signers: TokenSigner) -> bytes:
    """A key set as the service serves it: for each key a certificate of 30 KB in base64, and no numbers."""
    return json.dumps({"keys": [{"x5c": [_certificate(signer)], "kid": signer.kid, "kty": "RSA"}
                                for signer in signers]}).encode()  # fmt: skip


def _certificate(signer: TokenSigner) -> str:
    oid, size = _ENCLAVE_QUOTE
    form = CertificateForm(subject="AttestationService", public_key=signer.key.public_key(), serial=1,
                           extensions=((oid, False, bytes(size)),))  # fmt: skip
    issuer = Authority(key=ec.generate_private_key(ec.SECP256R1()), common_name=form.subject, certificate=b"")
    return base64.b64encode(mint_certificate(form, issuer)).decode()


def guest_claims(tee: Tee, user_data: bytes | None) -> dict[str, Any]:
    """What the service says of a compliant guest."""
    runtime = {} if user_data is None else {"x-ms-runtime": runtime_claims(user_data)}
    common = {"x-ms-attestation-type": _KINDS[tee], "x-ms-compliance-status": "azure-compliant-cvm",
              "x-ms-policy-hash": "9NY0VnTQ-IiBriBplVUpFbczcDaEBUwsiFYAzHu_gco", **runtime}  # fmt: skip
    if tee is Tee.SNP:
        return {**common, "x-ms-sevsnpvm-is-debuggable": False, "x-ms-sevsnpvm-migration-allowed": False,
                "x-ms-sevsnpvm-launchmeasurement": "22" * 48, "x-ms-sevsnpvm-hostdata": "00" * 32,
                "x-ms-sevsnpvm-idkeydigest": "55" * 48, "x-ms-sevsnpvm-imageId": "02" + "00" * 15,
                "x-ms-sevsnpvm-reportdata": "33" * 32 + "00" * 32, "x-ms-sevsnpvm-vmpl": 0}  # fmt: skip
    return {**common, "attester_tcb_status": "UpToDate", "dbgstat": "disabled", "tdx_mrtd": "22" * 48,
            **{f"tdx_rtmr{index}": "00" * 48 for index in range(4)}, "tdx_mrseam": "44" * 48,
            "tdx_report_data": "33" * 32 + "00" * 32, "tdx_td_attributes_debug": False,
            "tdx_td_attributes_migratable": False}  # fmt: skip


def runtime_claims(user_data: bytes) -> dict[str, Any]:
    """The runtime data, which the service repeats where its hash is in the hardware's report."""
    return {
        "keys": [{"kid": "HCLAkPub", "key_ops": ["sign"], "kty": "RSA", "e": "AQAB", "n": "u8Ko"}],
        "vm-configuration": {"console-enabled": True, "current-time": 1780272000, "secure-boot": True,
                             "tpm-enabled": True, "vmUniqueId": "26F8BC30-774E-4290-8E7A-535F3B672AEE"},
        "user-data": user_data.hex().upper(),
    }  # fmt: skip
