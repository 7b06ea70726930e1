"""The one table of TEEs: what parses, verifies and translates each kind of evidence."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import import_module
from typing import Generic, Protocol, TypeVar

from sealroom.errors import MisuseError
from sealroom.evidence import Claims, Collateral, Evidence, Tee, TrustRoots, Verified

__all__ = ["TeeVerifier", "for_tee", "known_tees"]


class TeeVerifier(Protocol):
    """The verbs of one TEE. Each raises the errors of the function that it stands for."""

    def parse(self, raw: bytes) -> Evidence:
        """Read evidence; untrusted."""
        ...

    def verify(
        self, evidence: Evidence, *, roots: TrustRoots, collateral: Collateral, at: datetime
    ) -> Verified[Evidence]:
        """Say whether it is authentic."""
        ...

    def claims(self, verified: Verified[Evidence]) -> Claims:
        """Say what it says."""
        ...


_E = TypeVar("_E", bound=Evidence)
_E_contra = TypeVar("_E_contra", bound=Evidence, contravariant=True)


class _Verify(Protocol[_E_contra]):
    def __call__(
        self, evidence: _E_contra, *, roots: TrustRoots, collateral: Collateral, at: datetime
    ) -> Verified[Evidence]: ...


@dataclass(frozen=True, slots=True)
class _Bound(Generic[_E]):
    """One TEE's functions, with the check that evidence of another TEE does not reach them."""

    evidence_type: type[_E]
    read: Callable[[bytes], _E]
    check: _Verify[_E]
    translate: Callable[[Verified[Evidence]], Claims]

    def parse(self, raw: bytes) -> Evidence:
        return self.read(raw)

    def verify(
        self, evidence: Evidence, *, roots: TrustRoots, collateral: Collateral, at: datetime
    ) -> Verified[Evidence]:
        if not isinstance(evidence, self.evidence_type):
            raise MisuseError("tee.other-evidence", "evidence of one TEE was given to the verifier of another",
                              got=type(evidence).__name__, expected=self.evidence_type.__name__)  # fmt: skip
        return self.check(evidence, roots=roots, collateral=collateral, at=at)

    def claims(self, verified: Verified[Evidence]) -> Claims:
        return self.translate(verified)


_TEES: Mapping[Tee, tuple[str, str]] = {
    Tee.SNP: ("sealroom.tees.snp", "SnpEvidence"),
    Tee.TDX: ("sealroom.tees.tdx", "TdxEvidence"),
    Tee.SGX: ("sealroom.tees.sgx", "SgxEvidence"),
    Tee.AZURE_VTPM: ("sealroom.tees.azure_vtpm", "AzureEvidence"),
    Tee.GCP: ("sealroom.tees.gcp", "GcpEvidence"),
    Tee.TPM: ("sealroom.tees.tpm", "TpmEvidence"),
    Tee.CCA: ("sealroom.tees.cca", "CcaEvidence"),
    Tee.NITRO: ("sealroom.tees.nitro", "NitroEvidence"),
    Tee.NVIDIA: ("sealroom.tees.nvidia", "DeviceEvidence"),
}
"""The package of each TEE and its type of evidence. Loaded when first asked for: most processes meet one TEE."""


def known_tees() -> tuple[Tee, ...]:
    """The TEEs that this release verifies."""
    return tuple(_TEES)


def for_tee(tee: Tee) -> TeeVerifier:
    """The verifier of ``tee``.

    Raises:
        MisuseError: ``tee.not-supported``.
    """
    if tee not in _TEES:
        raise MisuseError("tee.not-supported", f"this release does not verify {tee.value} evidence", got=tee.value,
                          expected=", ".join(known.value for known in _TEES))  # fmt: skip
    return _load(*_TEES[tee])


@cache
def _load(package: str, evidence: str) -> TeeVerifier:
    tee = import_module(package)
    return _Bound(getattr(tee, evidence), tee.parse, tee.verify, tee.claims)
