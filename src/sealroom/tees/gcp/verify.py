"""Is this what a VM of Google's, or Google's Confidential Space service, said?"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.errors import UnverifiedError
from sealroom.evidence import VERIFIED, Claims, Collateral, Tee, TrustRoots, Verified
from sealroom.jose import Jwt
from sealroom.pem import as_pem
from sealroom.tees._token import verify_token
from sealroom.tees._tpm.event_log import ReplayedLog, verify_log
from sealroom.tees._tpm.public import require_attestation_key
from sealroom.tees._tpm.quote import require_pcrs, require_signature
from sealroom.tees.gcp.certificates import GCE_ROOTS, Instance, read_instance, verify_ak_certificate
from sealroom.tees.gcp.inner import HardwareReport
from sealroom.tees.gcp.layout import GcpEvidence, VtpmAttestation
from sealroom.tees.gcp.pki_token import has_certificates, verify_pki_token
from sealroom.x509_chain import VerifiedChain
from sealroom.x509_reader import read_certificate

__all__ = ["CONFIDENTIAL_SPACE", "VerifiedSpace", "VerifiedVtpm", "require_quotes", "verify"]

CONFIDENTIAL_SPACE = ("https://confidentialcomputing.googleapis.com",)
_REPORT_DATA = 64
_OURS = frozenset({"ak_issuers", "jwks", "token_root", "event_log"})
"""Items that are about the vTPM and the service, and not about the hardware."""


@dataclass(frozen=True, kw_only=True)
class VerifiedVtpm(Verified[GcpEvidence]):
    """An authentic attestation of a vTPM, and whose instance its certificate names."""

    vtpm: VtpmAttestation
    instance: Instance | None
    log: ReplayedLog | None
    inner: Claims | None
    """What the hardware itself said, if it was asked."""


@dataclass(frozen=True, kw_only=True)
class VerifiedSpace(Verified[GcpEvidence]):
    """A token that Google's service signed."""


def verify(
    evidence: GcpEvidence, *, roots: TrustRoots, collateral: Collateral, at: datetime
) -> VerifiedVtpm | VerifiedSpace:
    """Verify a vTPM attestation, or a Confidential Space token.

    0. Structures and sizes: done by `layout.parse`.
    1. The attestation key's certificate leads to one of Google's roots: through ``ak_issuers`` of the collateral, or
       without it through the certificates that the attestation brings.
    2. Its key is the one that the attestation names, and that one signs only what a TPM made.
    3. Each quote is signed by it, is over the values of its own bank, and all answer one nonce.
    4. The event log, if one came, leads to those values.
    5. The hardware's own report, if one came, holds by the verifier of its TEE, and answers the same nonce.

    Of a token: `_token.verify_token`, by a key that the relying party named; of one that brings certificates:
    `pki_token.verify_pki_token`, by Google's root.

    The hardware's report names no vTPM and the vTPM no hardware: go-tpm-tools joins them by the nonce alone
    (client/attest.go), and so does this. That both are of one VM is nobody's word: whoever has a plain VM of Google's
    and confidential hardware elsewhere can ask both. What keeps him out is what a policy asks of each.

    Raises:
        MalformedError, UnverifiedError: ``gcp.*``, ``tpm.*``, ``x509.*``, or of the inner TEE: a step does not hold.
    """
    if evidence.token is not None:
        return _space(evidence, evidence.token, roots, collateral, at)
    vtpm = evidence.vtpm
    assert vtpm is not None  # noqa: S101 - one of the two, by `GcpEvidence`
    # 1. and 2.
    chain = _attestation_key(vtpm, roots, collateral, at)
    # 3.
    require_quotes(vtpm)
    # 4.
    pcrs = {bank: values for quote in vtpm.quotes for bank, values in quote.pcrs.items()}
    log = verify_log(vtpm.event_log or collateral.items.get("event_log"), pcrs)
    # 5.
    inner = None if vtpm.hardware is None else _inner(vtpm.hardware, roots, collateral, at)
    if inner is not None:
        require_nonce(vtpm, inner.report_data)
    root = chain.root.fingerprint
    return VerifiedVtpm(evidence=evidence, root=root, vtpm=vtpm, instance=read_instance(chain.leaf), inner=inner,
                        simulated=root not in GCE_ROOTS or (inner is not None and inner.simulated),
                        validity=chain.validity if inner is None else chain.validity.meet(inner.validity),
                        log=log, warrant=VERIFIED)  # fmt: skip


def _space(
    evidence: GcpEvidence, token: Jwt, roots: TrustRoots, collateral: Collateral, at: datetime
) -> VerifiedSpace:
    if has_certificates(token):
        verdict = verify_pki_token(token, roots=roots, collateral=collateral, at=at, issuers=CONFIDENTIAL_SPACE)
    else:
        verdict = verify_token(token, roots=roots, collateral=collateral, at=at, issuers=CONFIDENTIAL_SPACE,
                               area="gcp")  # fmt: skip
    return VerifiedSpace(evidence=evidence, root=verdict.signer, simulated=verdict.simulated,
                         validity=verdict.validity, warrant=VERIFIED)  # fmt: skip


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


def require_nonce(vtpm: VtpmAttestation, report_data: bytes) -> None:
    """Raise unless ``report_data``, which the hardware signed, is the quotes' nonce and zeros after it.

    Raises:
        UnverifiedError: ``gcp.inner-nonce``.
    """
    nonce = vtpm.quotes[0].attest.extra_data
    if not nonce or len(nonce) > _REPORT_DATA or report_data != nonce.ljust(_REPORT_DATA, b"\x00"):
        raise UnverifiedError("gcp.inner-nonce", "the hardware answers another nonce than the vTPM",
                              where="report data", got=report_data.hex(), expected=nonce.hex(),
                              hint="they were not asked together, or not on one machine")  # fmt: skip


def _attestation_key(vtpm: VtpmAttestation, roots: TrustRoots, collateral: Collateral, at: datetime) -> VerifiedChain:
    """The chain of the certificate, which is of the key that the attestation names."""
    if not vtpm.certificate:
        raise UnverifiedError("gcp.no-ak-certificate", "the attestation brings no certificate of its key")
    chain = verify_ak_certificate(vtpm.certificate, _issuers(vtpm, collateral), roots=roots, at=at)
    spki = vtpm.public.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if not hmac.compare_digest(spki, chain.leaf.public_key):
        raise UnverifiedError("gcp.ak", "the certificate is of another key than the attestation's")
    require_attestation_key(vtpm.public)
    return chain


def _issuers(vtpm: VtpmAttestation, collateral: Collateral) -> bytes:
    if "ak_issuers" in collateral.items or not vtpm.intermediates:
        return collateral.require("ak_issuers")
    return as_pem(*(read_certificate(one).der for one in vtpm.intermediates))


def _inner(hardware: HardwareReport, roots: TrustRoots, collateral: Collateral, at: datetime) -> Claims:
    from sealroom.tees.registry import for_tee  # noqa: PLC0415 - the registry knows this package, and loads it late

    items = {name: raw for name, raw in collateral.items.items() if name not in _OURS}
    if hardware.tee is Tee.SNP:
        came: Mapping[str, bytes | None] = {"leaf": hardware.leaf, "chain": hardware.chain}
        items = {name: raw for name, raw in came.items() if raw is not None} | items
    verifier = for_tee(hardware.tee)
    verified = verifier.verify(verifier.parse(hardware.raw), roots=roots, collateral=Collateral(items=items), at=at)
    return verifier.claims(verified)
