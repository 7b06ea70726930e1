"""Is this what a VM of Google's, or Google's Confidential Space service, said?"""

import hmac
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.errors import UnverifiedError
from sealroom.evidence import VERIFIED, Collateral, TrustRoots, Verified
from sealroom.tees._token import verify_token
from sealroom.tees._tpm.public import require_attestation_key
from sealroom.tees._tpm.quote import require_pcrs, require_signature
from sealroom.tees.gcp.certificates import GCE_ROOTS, Instance, read_instance, verify_ak_certificate
from sealroom.tees.gcp.layout import GcpEvidence, VtpmAttestation

__all__ = ["CONFIDENTIAL_SPACE", "VerifiedSpace", "VerifiedVtpm", "require_quotes", "verify"]

CONFIDENTIAL_SPACE = ("https://confidentialcomputing.googleapis.com",)


@dataclass(frozen=True, kw_only=True)
class VerifiedVtpm(Verified[GcpEvidence]):
    """An authentic attestation of a vTPM, and whose instance its certificate names."""

    vtpm: VtpmAttestation
    instance: Instance | None


@dataclass(frozen=True, kw_only=True)
class VerifiedSpace(Verified[GcpEvidence]):
    """A token that Google's service signed."""


def verify(
    evidence: GcpEvidence, *, roots: TrustRoots, collateral: Collateral, at: datetime
) -> VerifiedVtpm | VerifiedSpace:
    """Verify a vTPM attestation, or a Confidential Space token.

    0. Structures and sizes: done by `layout.parse`.
    1. The attestation key's certificate leads, through ``ak_issuers`` of the collateral, to one of Google's roots.
    2. Its key is the one that the attestation names, and that one signs only what a TPM made.
    3. Each quote is signed by it, is over the values of its own bank, and all answer one nonce.

    Of a token: `_token.verify_token`.

    Raises:
        MalformedError, UnverifiedError: ``gcp.*``, ``tpm.*``, ``x509.*``: a step does not hold.
    """
    if evidence.token is not None:
        token = verify_token(
            evidence.token, roots=roots, collateral=collateral, at=at, issuers=CONFIDENTIAL_SPACE, area="gcp"
        )
        return VerifiedSpace(evidence=evidence, root=token.signer, simulated=token.simulated,
                             validity=token.validity, warrant=VERIFIED)  # fmt: skip
    vtpm = evidence.vtpm
    assert vtpm is not None  # noqa: S101 - one of the two, by `GcpEvidence`
    # 1.
    if not vtpm.certificate:
        raise UnverifiedError("gcp.no-ak-certificate", "the attestation brings no certificate of its key")
    chain = verify_ak_certificate(vtpm.certificate, collateral.require("ak_issuers"), roots=roots, at=at)
    # 2.
    spki = vtpm.public.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if not hmac.compare_digest(spki, chain.leaf.public_key):
        raise UnverifiedError("gcp.ak", "the certificate is of another key than the attestation's")
    require_attestation_key(vtpm.public)
    # 3.
    require_quotes(vtpm)
    root = chain.root.fingerprint
    return VerifiedVtpm(evidence=evidence, root=root, simulated=root not in GCE_ROOTS, validity=chain.validity,
                        vtpm=vtpm, instance=read_instance(chain.leaf), warrant=VERIFIED)  # fmt: skip


def require_quotes(vtpm: VtpmAttestation) -> None:
    """Raise unless every quote holds, over its own bank, and all carry the same nonce.

    Raises:
        UnverifiedError: ``tpm.*``, ``gcp.nonces``.
    """
    for quote in vtpm.quotes:
        require_signature(quote.message, quote.signature, vtpm.public.key)
        require_pcrs(quote.attest, quote.pcrs, quote.signature.digest)
    if len({quote.attest.extra_data for quote in vtpm.quotes}) != 1:
        raise UnverifiedError("gcp.nonces", "the quotes of one attestation answer different nonces")
