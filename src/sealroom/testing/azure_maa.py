"""Microsoft Azure Attestation in software: tokens as it writes them, under a private key, honest or not."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sealroom.evidence import Tee
from sealroom.testing.tokens import TokenSigner, changed

__all__ = ["SimulatedMaa", "guest_claims"]

_LIFETIME = timedelta(hours=8)
_KINDS = {Tee.SNP: "sevsnpvm", Tee.TDX: "tdxvm"}


@dataclass(frozen=True, kw_only=True)
class SimulatedMaa:
    """A provider of the service with one key."""

    signer: TokenSigner = field(
        default_factory=lambda: TokenSigner(kid="J0pAPdfXXHqWWimgrH853wMIdh5/fLe1z6uSXYPXCa0=")
    )
    issuer: str = "https://sharedweu.weu.attest.azure.net"

    @property
    def jwks(self) -> bytes:
        """What the service serves under ``/certs``."""
        return self.signer.jwks()

    def token(
        self, tee: Tee, at: datetime, *, user_data: bytes | None = None, header: Mapping[str, Any] | None = None,
        **claims: Any,
    ) -> bytes:  # fmt: skip
        """A token about a guest of ``tee``; ``claims`` changes the honest ones, with ``-`` written as ``_``."""
        said = {**self._own(at), **guest_claims(tee, user_data)}
        changes = {(name if name in said else name.replace("_", "-")): value for name, value in claims.items()}
        jku = {"jku": f"{self.issuer}/certs"}
        return self.signer.sign(changed(said, changes), **{**jku, **(header or {})})

    def wrapped(self, tee: Tee, at: datetime, *, user_data: bytes | None = None) -> bytes:
        """A token of type azurevm, which has the hardware's claims inside."""
        said = {
            **self._own(at),
            "x-ms-attestation-type": "azurevm",
            "x-ms-isolation-tee": guest_claims(tee, user_data),
        }
        return self.signer.sign(said, jku=f"{self.issuer}/certs")

    def _own(self, at: datetime) -> dict[str, Any]:
        begins, ends = int(at.timestamp()), int((at + _LIFETIME).timestamp())
        return {"exp": ends, "iat": begins, "iss": self.issuer, "nbf": begins, "x-ms-ver": "1.0",
                "jti": hashlib.sha256(str(begins).encode()).hexdigest()}  # fmt: skip


def guest_claims(tee: Tee, user_data: bytes | None) -> dict[str, Any]:
    """What the service says of a compliant guest."""
    runtime = {} if user_data is None else {"x-ms-runtime": {"user-data": user_data.hex().upper()}}
    common = {"x-ms-attestation-type": _KINDS[tee], "x-ms-compliance-status": "azure-compliant-cvm",
              "x-ms-policy-hash": "9NY0VnTQ-IiBriBplVUpFbczcDaEBUwsiFYAzHu_gco", **runtime}  # fmt: skip
    if tee is Tee.SNP:
        return {**common, "x-ms-sevsnpvm-is-debuggable": False, "x-ms-sevsnpvm-migration-allowed": False,
                "x-ms-sevsnpvm-launchmeasurement": "22" * 48, "x-ms-sevsnpvm-hostdata": "00" * 32,
                "x-ms-sevsnpvm-reportdata": "33" * 32 + "00" * 32, "x-ms-sevsnpvm-vmpl": 0}  # fmt: skip
    return {**common, "attester_tcb_status": "UpToDate", "dbgstat": "disabled", "tdx_mrtd": "22" * 48,
            **{f"tdx_rtmr{index}": "00" * 48 for index in range(4)}, "tdx_mrseam": "44" * 48,
            "tdx_report_data": "33" * 32 + "00" * 32, "tdx_td_attributes_debug": False,
            "tdx_td_attributes_migratable": False}  # fmt: skip
