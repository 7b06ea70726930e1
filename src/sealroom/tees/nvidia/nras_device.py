"""What NVIDIA's attestation service says of one device, read out of a token that `nras` has verified.

Names of claims are those of NVIDIA's claims guide, versions 2.0 and 3.0; what a claim speaks of (``gpu``, ``switch``)
stands inside its name.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sealroom.errors import UnverifiedError
from sealroom.tees.nvidia.detached_eat import bad_bundle

__all__ = ["NrasCertificate", "NrasDevice", "read_device"]

_SUCCESS = frozenset({"success", "comparison-successful"})
"""Words of version 3 and of versions 1 and 2."""
_CHECKS = ("-signature-verified", "-nonce-match", "-fwid-match", "-version-match", "-parsed", "-validated",
           "-fetched", "-measurements-available", "-index-no-conflict")  # fmt: skip
"""How names of claims end that say whether one check passed."""
_NEEDED = ("attestation-report-signature-verified", "attestation-report-nonce-match")
_HOLD = "certificatehold"
_TEXT = re.compile(r"[ -~]{0,256}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NrasCertificate:
    """What the service found about one chain of certificates."""

    status: str
    ocsp_status: str | None
    """``good``, ``revoked``, ``unknown``; None: not asked."""
    reason: str | None
    """Why it was withdrawn."""

    @property
    def on_hold(self) -> bool:
        """Suspended: authentic, and only a policy that says so takes it."""
        return (self.reason or "").replace("_", "").replace("-", "").lower() == _HOLD


@dataclass(frozen=True, slots=True, kw_only=True)
class NrasDevice:
    """One GPU or switch that the service judged, and found as released."""

    name: str
    """``GPU-0``: its place in the answer, which says nothing of which device it is; `ueid` does."""
    is_switch: bool
    ueid: str
    """Serial number of the leaf certificate, decimal."""
    hwmodel: str
    driver_version: str | None
    vbios_version: str | None
    debug_status: str | None
    """``disabled`` is what a policy wants to see; None: not said."""
    secure_boot: bool | None
    warning: str | None
    certificates: Mapping[str, NrasCertificate]
    """By claim: of the report, and of the reference values."""
    claims: Mapping[str, Any] = field(repr=False)
    """All of them."""

    @property
    def on_hold(self) -> tuple[str, ...]:
        """Chains that have a suspended certificate."""
        return tuple(name for name, found in self.certificates.items() if found.on_hold)

    @property
    def revocation_checked(self) -> bool:
        """Whether a responder called every chain good; no answer is none."""
        return bool(self.certificates) and all(found.ocsp_status == "good" for found in self.certificates.values())


def read_device(name: str, claims: Mapping[str, Any]) -> NrasDevice:
    """Read one device's claims, and require that it was found as released.

    1. Its measurements are equal to the reference values.
    2. No check that the token speaks of has failed or was left out, and those that matter are spoken of.
    3. No certificate was withdrawn, nor is otherwise invalid; a suspended one is told.

    Raises:
        MalformedError: ``nvidia.nras``: it does not say which device it is.
        UnverifiedError: ``nvidia.nras-measurements``, ``nvidia.nras-check``, ``nvidia.nras-certificate``.
    """
    is_switch = "SWITCH" in name
    # 1.
    result = claims.get("measres")
    if not isinstance(result, str) or result.lower() not in _SUCCESS:
        raise UnverifiedError("nvidia.nras-measurements", "the service did not find the measurements as released",
                              where=name, got=ascii(result)[:40], expected="success")  # fmt: skip
    # 2.
    kind = "switch" if is_switch else "gpu"
    _require_checks(name, claims, {f"x-nvidia-{kind}-{check}" for check in _NEEDED})
    # 3.
    certificates = dict(_certificates(name, claims))
    return NrasDevice(
        name=name, is_switch=is_switch, ueid=_word(name, claims, "ueid"), hwmodel=_word(name, claims, "hwmodel"),
        driver_version=_text(claims, f"x-nvidia-{kind}-driver-version"),
        vbios_version=_text(claims, f"x-nvidia-{kind}-{'bios' if is_switch else 'vbios'}-version"),
        debug_status=_text(claims, "dbgstat"), secure_boot=_flag(claims, "secboot"),
        warning=_text(claims, "x-nvidia-attestation-warning"), certificates=MappingProxyType(certificates),
        claims=MappingProxyType(dict(claims)),
    )  # fmt: skip


def _require_checks(name: str, claims: Mapping[str, Any], needed: set[str]) -> None:
    said = {claim for claim in claims if claim.startswith("x-nvidia-") and claim.endswith(_CHECKS)}
    failed = sorted(claim for claim in said | needed if claims.get(claim) is not True)
    if any(claim.endswith("-arch-check") and value is not None and value is not True
           for claim, value in claims.items()):  # fmt: skip
        failed.append("arch-check")
    if failed:
        raise UnverifiedError("nvidia.nras-check", "the service names checks that did not pass", where=name,
                              got=", ".join(map(ascii, failed))[:400], expected="true")  # fmt: skip


def _certificates(name: str, claims: Mapping[str, Any]) -> Iterator[tuple[str, NrasCertificate]]:
    for claim, said in claims.items():
        if not claim.endswith("-cert-chain"):
            continue
        if not isinstance(said, dict):
            raise bad_bundle("what is said of a chain of certificates is no object", ascii(claim)[:80])
        found = NrasCertificate(
            status=_text(said, "x-nvidia-cert-status") or "not said",
            ocsp_status=_text(said, "x-nvidia-cert-ocsp-status"),
            reason=_text(said, "x-nvidia-cert-revocation-reason"),
        )
        withdrawn = found.status != "valid" or found.ocsp_status == "revoked" or found.reason is not None
        if withdrawn and not found.on_hold:
            raise UnverifiedError("nvidia.nras-certificate", "the service found a chain of certificates not valid",
                                  where=f"{name}, {ascii(claim)[:80]}", expected="valid",
                                  got=ascii(f"{found.status}, {found.reason}")[:80])  # fmt: skip
        yield claim, found


def _word(name: str, claims: Mapping[str, Any], claim: str) -> str:
    value = _text(claims, claim)
    if not value:
        raise bad_bundle("a token does not say which device it is about", f"{name} without {claim}")
    return value


def _text(claims: Mapping[str, Any], claim: str) -> str | None:
    """None: not said, or null, which is how the service writes what it could not find out."""
    value = claims.get(claim)
    if value is not None and (not isinstance(value, str) or not _TEXT.fullmatch(value)):
        raise bad_bundle(f"{claim} is no short text", ascii(value)[:80])
    return value


def _flag(claims: Mapping[str, Any], claim: str) -> bool | None:
    value = claims.get(claim)
    if not isinstance(value, bool | None):
        raise bad_bundle(f"{claim} is neither true nor false", ascii(value)[:80])
    return value
