"""Everything that Intel says from outside the quote, checked: revocation lists, TCB info, QE identity (PCS API v4).

The verdict depends on the collateral's bytes, the root and issuer of the quote's certificates, and the time; not on
the quote. So it is remembered from one quote to the next, for as long as every window in it lasts.
"""

from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.der import SEQUENCE, DerReader
from sealroom.errors import MalformedError, UnverifiedError
from sealroom.evidence import Collateral, Validity
from sealroom.tees._dcap.qe_identity import QeIdentity, read_qe_identity
from sealroom.tees._dcap.signed_json import signed_body, verify_signature
from sealroom.tees._dcap.tcb_info import TcbInfo, read_tcb_info
from sealroom.tees._remembered import Remembered
from sealroom.x509_chain import public_key, require_in_window, verify_ca, verify_chain, verify_crl
from sealroom.x509_reader import Certificate, RevocationList, printable, read_certificates
from sealroom.x509_scheme import SignatureScheme

__all__ = ["ITEMS", "SCHEMES", "VerifiedCollateral", "crl_bytes", "verify_collateral"]

SCHEMES = frozenset({SignatureScheme.ECDSA_SHA256})
ITEMS = (
    "tcb_info_response", "tcb_info_issuer_chain", "qe_identity_response", "qe_identity_issuer_chain", "pck_crl",
    "root_ca_crl", "pck_crl_issuer_chain",
)  # fmt: skip
"""The names of the collateral's parts; the last may be absent."""
_SIGNER = "Intel SGX TCB Signing"
_QE_OF = {"TDX": "TD_QE", "SGX": "QE"}
_MAX_CRL = 4 * 1024 * 1024
_HEX = frozenset(b"0123456789abcdefABCDEF")
_PADDING = b"\x00 \t\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedCollateral:
    """Collateral every signature and window of which held."""

    tcb_info: TcbInfo
    qe_identity: QeIdentity
    root_crl: RevocationList
    pck_crl: RevocationList
    validity: Validity
    """Intersection of every window: signers, lists, TCB info, QE identity."""


_REMEMBERED: Remembered[VerifiedCollateral] = Remembered(limit=32)


def verify_collateral(
    collateral: Collateral, *, root: Certificate, issuer: Certificate, tee: str, at: datetime
) -> VerifiedCollateral:
    """Check ``collateral`` for quotes whose PCK certificate ``issuer`` issued, under ``root``.

    Args:
        collateral: the items named in `ITEMS`.
        root: verified, and the end of the quote's own chain: Intel signs everything under one root.
        issuer: verified; the CA of the quote's PCK certificate.
        tee: ``TDX`` or ``SGX``.
        at: the time to verify at.

    Raises:
        MalformedError, UnverifiedError: ``collateral.*``, ``dcap.*``, ``x509.*``.
    """
    if unknown := sorted(set(collateral.items) - set(ITEMS)):
        raise MalformedError("collateral.unknown-item", "the collateral has an item that is not understood",
                             got=printable(unknown[0]), expected=", ".join(ITEMS))  # fmt: skip
    key = (root.fingerprint, issuer.fingerprint, tee, *(collateral.items.get(name) for name in ITEMS))
    return _REMEMBERED.answer(key, at, lambda: _verify(collateral, root, issuer, tee, at))


def _verify(
    collateral: Collateral, root: Certificate, issuer: Certificate, tee: str, at: datetime
) -> VerifiedCollateral:
    # step 3 of cpu-tee.md 2.5: the lists; absence is a failure, never "nothing revoked"
    root_crl = verify_crl(crl_bytes(collateral.require("root_ca_crl")), issuer=root, schemes=SCHEMES, at=at)
    pck_crl = verify_crl(crl_bytes(collateral.require("pck_crl")), issuer=issuer, schemes=SCHEMES, at=at)
    crl_issuer = _require_crl_issuer(collateral, root, issuer, root_crl, at)
    # step 6
    body, signer = _signed(collateral, "tcb_info", "tcbInfo", root, root_crl, at)
    tcb_info = read_tcb_info(body)
    _require_id(tcb_info.id, tee, "dcap.tcb-info-id", "tcbInfo.id")
    require_in_window(tcb_info.validity, at, "the TCB info")
    # step 7
    body, qe_signer = _signed(collateral, "qe_identity", "enclaveIdentity", root, root_crl, at)
    qe_identity = read_qe_identity(body)
    _require_id(qe_identity.id, _QE_OF[tee], "dcap.qe-identity-id", "enclaveIdentity.id")
    require_in_window(qe_identity.validity, at, "the QE identity")
    validity = root_crl.validity
    for window in (pck_crl.validity, crl_issuer, signer, tcb_info.validity, qe_signer, qe_identity.validity):
        validity = validity.meet(window)
    return VerifiedCollateral(
        tcb_info=tcb_info, qe_identity=qe_identity, root_crl=root_crl, pck_crl=pck_crl, validity=validity
    )


def _signed(
    collateral: Collateral, name: str, member: str, root: Certificate, root_crl: RevocationList, at: datetime
) -> tuple[bytes, Validity]:
    """The signed object in ``NAME_response``, its signature good, and the window of its signer."""
    area = f"dcap.{name.replace('_', '-')}"
    body, signature = signed_body(collateral.require(f"{name}_response"), member, area=area)
    pem = collateral.require(f"{name}_issuer_chain")
    chain = verify_chain(
        read_certificates(pem)[0].der, pem, anchors=frozenset({root.fingerprint}), schemes=SCHEMES, at=at
    )
    signer = chain.leaf
    if len(chain.certificates) != 2 or signer.subject.common_name != _SIGNER:
        raise UnverifiedError("dcap.collateral-signer", "the collateral is signed by somebody whom the root has not "
                              "named for it", got=f"{signer.subject}, {len(chain.certificates)} certificates",
                              expected=f"{_SIGNER}, issued by the root itself")  # fmt: skip
    require_not_revoked(signer, root_crl)
    key = public_key(signer)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise UnverifiedError("dcap.collateral-signer", "the collateral's signer has no key on the curve P-256")
    verify_signature(body, signature, key, area=area)
    return body, chain.validity


def require_not_revoked(certificate: Certificate, crl: RevocationList) -> None:
    """Raise `UnverifiedError` ``x509.revoked`` if ``certificate`` is on ``crl``, its issuer's list."""
    if crl.lists(certificate.serial):
        raise UnverifiedError("x509.revoked", f"{certificate.subject} has been revoked by {crl.issuer}",
                              got=f"serial 0x{certificate.serial:x}",
                              hint="this platform, or this signer, is no longer to be trusted")  # fmt: skip


def _require_crl_issuer(
    collateral: Collateral, root: Certificate, issuer: Certificate, root_crl: RevocationList, at: datetime
) -> Validity:
    """The window of the list's own CA, whose chain, where one came along, has to hold.

    It is the CA that issued the quote's certificate, by name and key. Its certificate may be another: a CA's key can
    be certified anew, as that of the TCB signer was.
    """
    pem = collateral.items.get("pck_crl_issuer_chain")
    if pem is None:
        return issuer.validity
    chain = read_certificates(pem)
    ours = [(issuer.subject.der, issuer.public_key), (root.subject.der, root.public_key)]
    if [(certificate.subject.der, certificate.public_key) for certificate in chain] != ours:
        raise UnverifiedError("dcap.pck-crl-issuer", "the revocation list came with the chain of another CA",
                              where="pck_crl_issuer_chain",
                              got=", ".join(str(certificate.subject) for certificate in chain),
                              expected=f"{issuer.subject}, {root.subject}")  # fmt: skip
    if chain[1].fingerprint != root.fingerprint:
        raise UnverifiedError("dcap.pck-crl-issuer", "the revocation list came with the chain of another root",
                              where="pck_crl_issuer_chain", got=f"sha256:{chain[1].fingerprint.hex()}",
                              expected=f"sha256:{root.fingerprint.hex()}")  # fmt: skip
    if chain[0].fingerprint != issuer.fingerprint:
        verify_ca(chain[0], issuer=root, schemes=SCHEMES, at=at)
        require_not_revoked(chain[0], root_crl)
    return chain[0].validity


def _require_id(got: str, expected: str, code: str, where: str) -> None:
    if got != expected:
        raise UnverifiedError(code, "the collateral is for another TEE", where=where, got=printable(got),
                              expected=expected)  # fmt: skip


def crl_bytes(raw: bytes) -> bytes:
    """A revocation list as DER or PEM, whichever way a service sent it: DER, PEM or hexadecimal text, padded or not.

    Raises:
        MalformedError: ``x509.*``.
    """
    if len(raw) > 2 * _MAX_CRL:
        raise MalformedError("x509.too-long", "a revocation list is longer than any that is read", got=len(raw))
    if raw[:1] == b"\x30":
        whole = DerReader(raw).take(SEQUENCE).whole
        # a signature may end in what looks like padding: the length says where the list ends
        return whole if not raw[len(whole) :].strip(_PADDING) else raw
    text = raw.strip(_PADDING)
    return bytes.fromhex(text.decode("ascii")) if _is_hex(text) else text


def _is_hex(text: bytes) -> bool:
    return bool(text) and len(text) % 2 == 0 and _HEX.issuperset(text)
