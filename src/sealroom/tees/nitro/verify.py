"""Is this document what AWS's Nitro security module said? (AWS, "Validating attestation documents"; RFC 9052.)"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.errors import UnverifiedError
from sealroom.evidence import VERIFIED, Collateral, TrustRoots, Verified
from sealroom.pem import as_pem
from sealroom.tees._cose.algorithms import CoseAlg
from sealroom.tees._cose.sign1 import verify_sign1
from sealroom.tees.nitro.layout import NitroEvidence
from sealroom.x509_chain import VerifiedChain, public_key, verify_chain
from sealroom.x509_scheme import SignatureScheme

__all__ = ["NITRO_ROOTS", "VerifiedNitro", "verify"]

NITRO_ROOTS: Mapping[bytes, str] = {
    # P-384, 2019-10-28 to 2049-10-28
    bytes.fromhex("641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"): "AWS Nitro Enclaves root G1",
}
"""SHA-256 of the DER of the root, as AWS documents it. Computed on 2026-11-23 from evervault's copy, and found first
in the cabundle of every document that was collected."""

_SCHEMES = frozenset({SignatureScheme.ECDSA_SHA384})
_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class VerifiedNitro(Verified[NitroEvidence]):
    """An authentic document."""

    made_at: datetime


def verify(evidence: NitroEvidence, *, roots: TrustRoots, collateral: Collateral, at: datetime) -> VerifiedNitro:
    """Verify that ``evidence`` was signed by a Nitro security module.

    0. COSE, members, types, sizes: done by `layout.parse`.
    1. The chain inside, root first, leads from the document's certificate to the pinned root (or to a simulated one
       that ``roots`` names): names, CA rules, path lengths, and every window at ``at``. A leaf lives three hours.
    2. The protected header says ES384, and the signature of 96 bytes holds under the leaf's key.
    3. The document was not made after ``at``, and inside the leaf's window.

    Args:
        evidence: what `layout.parse` read.
        roots: simulated roots that count beside AWS's own.
        collateral: none is needed.
        at: the time to verify at, timezone-aware; for an archive, the document's own time.

    Raises:
        MalformedError, UnverifiedError: ``nitro.*``, ``x509.*``: a step does not hold.
    """
    del collateral  # a document brings everything
    document = evidence.document
    # 1.
    chain = verify_chain(
        document.certificate, as_pem(*reversed(document.cabundle)),
        anchors=frozenset(NITRO_ROOTS) | roots.insecure_simulated, schemes=_SCHEMES, at=at,
    )  # fmt: skip
    # 2.
    verify_sign1(evidence.message, _key(chain), algorithms=(CoseAlg.ES384,), area="nitro")
    # 3.
    made_at = datetime.fromtimestamp(document.timestamp_ms / 1000, tz=UTC)
    if made_at > at + _CLOCK_SKEW or not chain.leaf.validity.holds_at(made_at):
        raise UnverifiedError("nitro.timestamp", "the document was made in the future, or by a key of another time",
                              got=made_at.isoformat(), expected=f"before {at.isoformat()}",
                              hint="check this machine's clock")  # fmt: skip
    root = chain.root.fingerprint
    return VerifiedNitro(evidence=evidence, root=root, simulated=root not in NITRO_ROOTS, validity=chain.validity,
                         made_at=made_at, warrant=VERIFIED)  # fmt: skip


def _key(chain: VerifiedChain) -> ec.EllipticCurvePublicKey:
    key = public_key(chain.leaf)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise UnverifiedError("nitro.leaf-key", f"{chain.leaf.subject} has no key on the curve P-384")
    return key
