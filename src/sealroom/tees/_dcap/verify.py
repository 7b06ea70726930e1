"""Is this quote what Intel's silicon said, and how current is it? The steps, in their order:

     1. The quote's form: done by `read_quote` before anything comes here.
     2. Its certificates: leaf, CA, root, exactly three, to a pinned root; names, rules and windows.
     3. Revocation: the CA not on the root's list, the leaf not on its own CA's. No list is a failure.
     4. The quoting enclave's report, by the leaf; it binds the attestation key: SHA-256(key ‖ auth data) ‖ 32 zeros.
     5. The quote, by the attestation key, over header and body.
     6. TCB info: signer, exact bytes, window, TEE; then FMSPC and PCEID of this platform.
     7. QE identity: the same; then that the quoting enclave is the one it names, and its level.
     8. The platform's level, by the PCK certificate's components (and the TD's).
     9. The TDX module's identity and level.
    10. One status of all; Revoked anywhere is a refusal.
    11. Whether a relaunch of the TD would mend it.
    12. What a policy needs of it: status, advisories, dates, numbers, windows.

The collateral's own part of 3, 6 and 7 stands in `collateral`, and is remembered from one quote to the next.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from sealroom.errors import UnverifiedError
from sealroom.evidence import Collateral, TrustRoots, Validity
from sealroom.tees._dcap import pck as pck_module
from sealroom.tees._dcap.collateral import SCHEMES, VerifiedCollateral, require_not_revoked, verify_collateral
from sealroom.tees._dcap.pck import PckIdentity, read_pck_identity
from sealroom.tees._dcap.qe_identity import match_qe
from sealroom.tees._dcap.quote import TDX, Quote
from sealroom.tees._dcap.roots import INTEL_ROOTS
from sealroom.tees._dcap.tcb_info import ModuleLevel, TcbInfo, TcbLevel
from sealroom.tees._dcap.tcb_match import ModuleFacts, match_level, match_module
from sealroom.tees._dcap.tcb_status import TcbStatus, converge, relaunch
from sealroom.tees._remembered import Remembered, forget_verdicts
from sealroom.x509_chain import VerifiedChain, public_key_of, require_aware, verify_chain
from sealroom.x509_reader import Certificate, read_certificates

__all__ = ["DcapVerdict", "TdFacts", "forget", "verify_origin", "verify_quote"]

_ECDSA = ec.ECDSA(hashes.SHA256())
_REPORT_DATA = slice(320, 384)
_PADDING = b"\x00 \t\r\n"
_CHAINS: Remembered[VerifiedChain] = Remembered(limit=64)


@dataclass(frozen=True, slots=True, kw_only=True)
class TdFacts:
    """What of a TD report the TCB is decided by."""

    tee_tcb_svn: bytes
    tee_tcb_svn_2: bytes | None
    """TD 1.5: of what is loaded now."""
    module: ModuleFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class DcapVerdict:
    """An authentic quote, and what Intel says of the platform that made it."""

    root: bytes
    simulated: bool
    validity: Validity
    pck: PckIdentity
    status: TcbStatus
    platform_status: TcbStatus
    qe_status: TcbStatus
    module_status: TcbStatus | None
    """None: SGX, or a TDX module of version 0, which has no levels."""
    tcb_date: datetime
    advisories: tuple[str, ...]
    tcb_evaluation_number: int
    qe_evaluation_number: int


def verify_quote(
    quote: Quote, *, collateral: Collateral, roots: TrustRoots, at: datetime, td: TdFacts | None
) -> DcapVerdict:
    """Verify ``quote``.

    Args:
        quote: taken apart.
        collateral: what `collateral.ITEMS` names.
        roots: simulated roots that count beside Intel's own.
        at: the time to verify at, timezone-aware.
        td: of a TDX quote; None for SGX.

    Raises:
        MalformedError, UnverifiedError: ``collateral.*``, ``dcap.*``, ``x509.*``: a step does not hold.
    """
    require_aware(at)
    # 2.
    chain = _pck_chain(quote, roots, at)
    leaf, issuer, root = chain.certificates
    pck = read_pck_identity(leaf, issuer)
    # 3., 6. and 7., as far as they are the collateral's own
    held = verify_collateral(
        collateral, root=root, issuer=issuer, tee="TDX" if quote.tee_type == TDX else "SGX", at=at
    )
    require_not_revoked(issuer, held.root_crl)
    require_not_revoked(leaf, held.pck_crl)
    # 4.
    _require_qe_report(leaf, quote)
    _require_binding(quote)
    # 5.
    _require_quote_signature(quote)
    # 6.
    _require_platform(held.tcb_info, pck)
    # 7. to 12.
    qe = match_qe(held.qe_identity, quote.qe_report)
    return _judged(held, pck, qe, td, root=root.fingerprint, validity=chain.validity.meet(held.validity))


def verify_origin(quote: Quote, *, roots: TrustRoots, at: datetime) -> VerifiedChain:
    """Verify certificates and signatures alone: no revocation, no status, so this is no verdict on a platform.

    Raises:
        MalformedError, UnverifiedError: ``dcap.*``, ``x509.*``.
    """
    require_aware(at)
    chain = _pck_chain(quote, roots, at)
    _require_qe_report(chain.leaf, quote)
    _require_binding(quote)
    _require_quote_signature(quote)
    return chain


def forget() -> None:
    """Drop all that is remembered of quotes, certificates and collateral: for measurements of the cold case."""
    forget_verdicts()
    pck_module.forget()
    _qe_report_holds.cache_clear()
    _attestation_key.cache_clear()


def _judged(
    held: VerifiedCollateral,
    pck: PckIdentity,
    qe: ModuleLevel,
    td: TdFacts | None,
    *,
    root: bytes,
    validity: Validity,
) -> DcapVerdict:
    info = held.tcb_info
    # 8.
    platform = _required_level(info, pck, td)
    # 9.
    module = None if td is None else match_module(info, td.tee_tcb_svn, td.module)
    # 10.
    parts = [level for level in (module, qe) if level is not None]
    status = converge(platform.status, *(level.status for level in parts))
    # 11.
    if td is not None and td.tee_tcb_svn_2 is not None:
        status = relaunch(status, qe=qe.status, launched_today=_launched_today(info, pck, qe, td, td.tee_tcb_svn_2))
    # 12.
    advisories = {*platform.advisories, *(one for level in parts for one in level.advisories)}
    return DcapVerdict(
        root=root, simulated=root not in INTEL_ROOTS, validity=validity, pck=pck, status=status,
        platform_status=platform.status, qe_status=qe.status, module_status=None if module is None else module.status,
        tcb_date=platform.date, advisories=tuple(sorted(advisories)),
        tcb_evaluation_number=info.evaluation_number, qe_evaluation_number=held.qe_identity.evaluation_number,
    )  # fmt: skip


def _pck_chain(quote: Quote, roots: TrustRoots, at: datetime) -> VerifiedChain:
    anchors = frozenset(INTEL_ROOTS) | roots.insecure_simulated
    return _CHAINS.answer((quote.pck_chain, anchors), at, lambda: _verify_pck_chain(quote.pck_chain, anchors, at))


def _verify_pck_chain(padded: bytes, anchors: frozenset[bytes], at: datetime) -> VerifiedChain:
    pem = padded.rstrip(_PADDING)
    certificates = read_certificates(pem)
    if len(certificates) != 3:
        raise UnverifiedError("dcap.pck-chain", "the quote's certificates are not leaf, CA and root",
                              got=f"{len(certificates)} certificates", expected="3")  # fmt: skip
    chain = verify_chain(certificates[0].der, pem, anchors=anchors, schemes=SCHEMES, at=at)
    if len(chain.certificates) != 3:
        raise UnverifiedError("dcap.pck-chain", "the quote's certificates are not leaf, CA and root")
    return chain


def _require_qe_report(leaf: Certificate, quote: Quote) -> None:
    try:
        _qe_report_holds(leaf.public_key, quote.qe_report_signature, quote.qe_report)
    except InvalidSignature:
        raise _does_not_hold("qe-report-signature") from None


@lru_cache(maxsize=64)
def _qe_report_holds(spki: bytes, signature: bytes, report: bytes) -> None:
    """Raise `InvalidSignature` or return; only a return is remembered.

    Arithmetic over bytes, under a key that Intel certifies: a quoting enclave makes one report for many quotes.
    """
    key = public_key_of(spki)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise UnverifiedError("dcap.pck-key", "the PCK certificate's key is not on the curve P-256")
    key.verify(_der_signature(signature), report, _ECDSA)


def _der_signature(signature: bytes) -> bytes:
    return encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))


def _does_not_hold(code: str) -> UnverifiedError:
    return UnverifiedError(f"dcap.{code}", f"the {code.replace('-', ' ')} does not hold",
                           hint="the quote was changed, or made with another key: collect it anew")  # fmt: skip


def _require_quote_signature(quote: Quote) -> None:
    try:
        _attestation_key(quote.attestation_key).verify(_der_signature(quote.signature), quote.signed, _ECDSA)
    except InvalidSignature:
        raise _does_not_hold("quote-signature") from None


def _require_binding(quote: Quote) -> None:
    expected = hashlib.sha256(quote.attestation_key + quote.qe_auth_data).digest() + bytes(32)
    got = quote.qe_report[_REPORT_DATA]
    if got != expected:
        raise UnverifiedError("dcap.attestation-key-binding", "the quoting enclave does not vouch for the key that "
                              "signed the quote", where="QE report, report_data", got=got.hex(),
                              expected=expected.hex())  # fmt: skip


@lru_cache(maxsize=64)
def _attestation_key(point: bytes) -> ec.EllipticCurvePublicKey:
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + point)
    except ValueError:
        raise UnverifiedError("dcap.attestation-key", "the attestation key is no point on the curve P-256") from None


def _require_platform(info: TcbInfo, pck: PckIdentity) -> None:
    for name, got, wanted in (("fmspc", info.fmspc, pck.fmspc), ("pceId", info.pce_id, pck.pce_id)):
        if got != wanted:
            raise UnverifiedError("dcap.tcb-info-platform", "the TCB info is for other platforms than this one",
                                  where=f"tcbInfo.{name}", got=got.hex(), expected=wanted.hex(),
                                  hint=f"fetch the TCB info of FMSPC {pck.fmspc.hex()}")  # fmt: skip


def _required_level(info: TcbInfo, pck: PckIdentity, td: TdFacts | None) -> TcbLevel:
    tee_tcb_svn = None if td is None else td.tee_tcb_svn
    level = match_level(info, components=pck.components, pcesvn=pck.pcesvn, tee_tcb_svn=tee_tcb_svn)
    got = f"components {bytes(pck.components).hex()}, PCESVN {pck.pcesvn}"
    if level is None:
        raise UnverifiedError("dcap.tcb-not-supported", "the platform is older than any level that Intel lists",
                              got=got, hint="the platform must update its firmware")  # fmt: skip
    if level.status is TcbStatus.REVOKED:
        raise UnverifiedError("dcap.tcb-revoked", "Intel has revoked the platform's TCB level", got=got)
    return level


def _launched_today(
    info: TcbInfo, pck: PckIdentity, qe: ModuleLevel, td: TdFacts, tee_tcb_svn_2: bytes
) -> TcbStatus | None:
    """The status that the same TD would have if it were launched on what is loaded now."""
    level = match_level(info, components=pck.components, pcesvn=pck.pcesvn, tee_tcb_svn=tee_tcb_svn_2)
    try:
        module = match_module(info, tee_tcb_svn_2, td.module)
    except UnverifiedError:
        return None  # no advice can be given; the verdict stays what it is
    if level is None:
        return None
    return converge(level.status, *(part.status for part in (module, qe) if part is not None))
