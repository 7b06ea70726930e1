"""Is this report what a GPU or switch of NVIDIA said, and does it run what NVIDIA released? (Order of steps ours.)"""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import overload

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from sealroom.errors import MisuseError, UnverifiedError
from sealroom.evidence import VERIFIED, Collateral, TrustRoots, Verified
from sealroom.tees._remembered import forget_verdicts
from sealroom.tees.nvidia import layout, ocsp_response, xml_tree
from sealroom.tees.nvidia.appraisal import ReferenceVerdict
from sealroom.tees.nvidia.certificates import DeviceIdentity, verify_device
from sealroom.tees.nvidia.layout import DeviceEvidence, NrasEvidence, NvidiaEvidence
from sealroom.tees.nvidia.nras import verify_nras
from sealroom.tees.nvidia.nras_device import NrasDevice
from sealroom.tees.nvidia.revocation import Revocation
from sealroom.tees.nvidia.standing import Standing, judge_standing, remembered_standing
from sealroom.x509_chain import public_key_of, require_aware

__all__ = ["VerifiedAnswer", "VerifiedNvidia", "forget", "verify"]

_ECDSA = ec.ECDSA(hashes.SHA384())
_HALF = 48


@dataclass(frozen=True, kw_only=True)
class VerifiedNvidia(Verified[NvidiaEvidence]):
    """An authentic report, and what its certificates, reference values and revocation answers could tell."""

    standing: Standing

    @property
    def device(self) -> DeviceIdentity:
        """Whose report it is."""
        return self.standing.device

    @property
    def references(self) -> ReferenceVerdict:
        """What was compared with reference values."""
        return self.standing.references

    @property
    def revocation(self) -> Revocation:
        """What is known of withdrawn certificates."""
        return self.standing.revocation


@dataclass(frozen=True, kw_only=True)
class VerifiedAnswer(Verified[NrasEvidence]):
    """What NVIDIA's service said of one device."""

    device: NrasDevice
    nonce: bytes


@overload
def verify(
    evidence: NvidiaEvidence, *, roots: TrustRoots, collateral: Collateral, at: datetime
) -> VerifiedNvidia: ...
@overload
def verify(
    evidence: DeviceEvidence, *, roots: TrustRoots, collateral: Collateral, at: datetime
) -> VerifiedNvidia | VerifiedAnswer: ...
def verify(
    evidence: DeviceEvidence, *, roots: TrustRoots, collateral: Collateral, at: datetime
) -> VerifiedNvidia | VerifiedAnswer:
    """Verify a device's report (`_verify_report`), or what NVIDIA's service says of a device (`nras.verify_nras`).

    The nonce is not checked here: the verifier knows which it gave.

    Args:
        evidence: what `layout.parse` read.
        roots: simulated roots that count beside NVIDIA's own, for devices and for reference values; of an answer,
            the service's keys that count.
        collateral: ``cert_chain``; ``driver_rim``, ``vbios_rim``, ``ocsp`` if there are any. Of an answer ``jwks``.
        at: the time to verify at, timezone-aware.

    Raises:
        MalformedError: a part of the collateral is not what it should be.
        UnverifiedError: ``nvidia.*``, ``x509.*``: a step does not hold.
    """
    if isinstance(evidence, NrasEvidence):
        return _verify_answer(evidence, roots, collateral, at)
    if isinstance(evidence, NvidiaEvidence):
        return _verify_report(evidence, roots, collateral, at)
    raise MisuseError("nvidia.other-tee", "this is neither a report nor an answer", got=type(evidence).__name__)


def _verify_answer(evidence: NrasEvidence, roots: TrustRoots, collateral: Collateral, at: datetime) -> VerifiedAnswer:
    """An answer about one device: of several, nobody could say which of them the CPU vouches for."""
    answer = verify_nras(evidence.raw, jwks=collateral.require("jwks"), roots=roots, nonce=None, at=at)
    if len(answer.devices) != 1:
        raise UnverifiedError("nvidia.nras-several", "the service's answer is not about one device",
                              got=f"{len(answer.devices)} devices", expected="one",
                              hint="ask the service for each device by itself")  # fmt: skip
    return VerifiedAnswer(evidence=evidence, root=answer.signer, simulated=answer.simulated, validity=answer.validity,
                          device=answer.devices[0], nonce=answer.nonce, warrant=VERIFIED)  # fmt: skip


def _verify_report(
    evidence: NvidiaEvidence, roots: TrustRoots, collateral: Collateral, at: datetime
) -> VerifiedNvidia:
    """Verify that ``evidence`` was signed by a genuine device, and compare it with the reference values that came.

    0. Lengths, blocks, opaque data: done by `layout.parse`.
    1. The chain in ``cert_chain`` leads to the pinned root (or a simulated one that ``roots`` names):
       `certificates.verify_device`.
    2. The signature over request and response holds under the leaf's key.
    3. What the report says but for its nonces: `standing.judge_standing`, or as it was judged before for the same
       bytes, collateral and roots, of which step 1 is a part.
    """
    require_aware(at)
    standing = remembered_standing(evidence, roots=roots, collateral=collateral, at=at)
    if standing is None:
        # 1.
        device = verify_device(collateral, roots=roots, at=at)
        # 2.
        _require_signature(evidence, device)
        # 3.
        standing = judge_standing(evidence, device, roots=roots, collateral=collateral, at=at)
    else:
        _require_signature(evidence, standing.device)
    return VerifiedNvidia(evidence=evidence, root=standing.device.root, simulated=standing.simulated,
                          validity=standing.validity, standing=standing, warrant=VERIFIED)  # fmt: skip


def forget() -> None:
    """Drop all that is remembered of reports, devices, reference values and answers: for measurements of the cold
    case."""
    forget_verdicts()
    ocsp_response.forget()
    layout.forget()
    xml_tree.forget()
    _signature_holds.cache_clear()


def _require_signature(evidence: NvidiaEvidence, device: DeviceIdentity) -> None:
    try:
        _signature_holds(device.key, evidence.signed, evidence.signature)
    except InvalidSignature:
        raise UnverifiedError(
            "nvidia.signature",
            "the report was not signed by the key in the device's certificate, or was changed since",
            hint="ask the device anew, and take its certificates from the same device",
        ) from None


@lru_cache(maxsize=32)
def _signature_holds(spki: bytes, signed: bytes, signature: bytes) -> None:
    """Raise `InvalidSignature` or return; only a return is remembered.

    Arithmetic over bytes, under a key that a pinned root certifies: who checks the same bundle again, under another
    policy or at a later time, has this behind him. A report for another nonce is another one.
    """
    key = public_key_of(spki)
    if not isinstance(key, ec.EllipticCurvePublicKey):  # `certificates` has seen that it is, and on which curve
        raise InvalidSignature
    r, s = (int.from_bytes(half, "big") for half in (signature[:_HALF], signature[_HALF:]))
    key.verify(encode_dss_signature(r, s), signed, _ECDSA)
