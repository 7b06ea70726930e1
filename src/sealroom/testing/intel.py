"""What Intel is to its platforms, in software: keys, certificates, revocation lists and signed collateral under a
private root.

    intel_certificates   what stands in certificates and lists; PckForm: what a platform's certificate says of it
    intel_collateral     TcbInfoForm, QeIdentityForm: what Intel says of platforms and quoting enclaves
    IntelVendor          root, both CAs of PCK certificates, the key that signs documents

`IntelVendor.reissued` gives one of these another certificate, so that each fault can be had alone.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from sealroom.errors import MisuseError
from sealroom.evidence import Validity
from sealroom.pem import as_pem
from sealroom.testing.intel_certificates import (
    Ca,
    PckForm,
    ca_form,
    crl_form,
    pck_certificate,
    root_form,
    signer_form,
)
from sealroom.testing.intel_collateral import COLLATERAL_WINDOW, Level, ModuleForm, QeIdentityForm, TcbInfoForm
from sealroom.testing.pki import INTEL_NAME, Authority, CertificateForm, PublicKey, mint_certificate, mint_crl

__all__ = ["COLLATERAL_WINDOW", "Ca", "IntelVendor", "Level", "ModuleForm", "PckForm", "QeIdentityForm",
           "TcbInfoForm", "raw_signature"]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class IntelVendor:
    """The keys that Intel keeps, and their certificates."""

    root: Authority
    processor_ca: Authority
    platform_ca: Authority
    tcb_signer: Authority

    @classmethod
    def create(cls) -> "IntelVendor":
        """New keys."""
        root_key = ec.generate_private_key(ec.SECP256R1())
        root = _authority(_form("root", root_key, root_key), root_key, None)
        below: dict[str, Authority] = {}
        for name in ("processor_ca", "platform_ca", "tcb_signer"):
            key = ec.generate_private_key(ec.SECP256R1())
            below[name] = _authority(_form(name, key, root_key), key, root)
        return cls(root=root, **below)

    @property
    def root_fingerprint(self) -> bytes:
        """SHA-256 of the root's DER: what a policy names under ``insecure_simulated``."""
        return hashlib.sha256(self.root.certificate).digest()

    def issuer_of(self, ca: Ca) -> Authority:
        """Who issues PCK certificates of this kind."""
        return self.processor_ca if ca is Ca.PROCESSOR else self.platform_ca

    def reissued(self, name: str, *, issuer: Authority | None = None, **changes: Any) -> "IntelVendor":
        """The same keys, and another certificate for one of them.

        Args:
            name: ``root``, ``processor_ca``, ``platform_ca`` or ``tcb_signer``.
            issuer: who signs it in place of the root.
            changes: fields of its `CertificateForm` that are to differ, such as ``validity`` or ``subject``.
        """
        held: Authority = getattr(self, name)
        form = replace(self.form(name), **changes)
        authorities: dict[str, Any] = {name: _authority(form, held.key, issuer or self.root)}
        return replace(self, **authorities)

    def form(self, name: str) -> CertificateForm:
        """What stands in the honest certificate of ``name``, as in `reissued`."""
        return _form(name, _curve_key(getattr(self, name)), _curve_key(self.root))

    def pck(self, form: PckForm, key: PublicKey) -> CertificateForm:
        """The form of an honest PCK certificate."""
        return pck_certificate(form, key, issuer=self.issuer_of(form.ca).key.public_key())

    def issue(self, form: CertificateForm, ca: Ca = Ca.PLATFORM) -> bytes:
        """A PCK certificate, DER."""
        return mint_certificate(form, self.issuer_of(ca))

    def collateral(
        self, tcb_info: TcbInfoForm | bytes, qe_identity: QeIdentityForm | bytes, *, revoked_pck: Iterable[int] = (),
        revoked_by_root: Iterable[int] = (), window: Validity = COLLATERAL_WINDOW, ca: Ca = Ca.PLATFORM,
    ) -> dict[str, bytes]:  # fmt: skip
        """All seven items, as the service sends them.

        Args:
            tcb_info: a form, or the exact bytes of the object to sign; ``qe_identity`` likewise.
            revoked_pck: serial numbers on the list of the CA.
            revoked_by_root: serial numbers on the list of the root.
            window: of both lists.
            ca: whose list it is.
        """
        chain = as_pem(self.tcb_signer.certificate, self.root.certificate)
        issuer = self.issuer_of(ca)
        return {
            "tcb_info_response": self.signed("tcbInfo", _body(tcb_info)),
            "tcb_info_issuer_chain": chain,
            "qe_identity_response": self.signed("enclaveIdentity", _body(qe_identity)),
            "qe_identity_issuer_chain": chain,
            "pck_crl": self.crl(issuer, *revoked_pck, window=window),
            "pck_crl_issuer_chain": as_pem(issuer.certificate, self.root.certificate),
            "root_ca_crl": self.crl(self.root, *revoked_by_root, window=window),
        }

    def crl(self, issuer: Authority, *revoked: int, window: Validity = COLLATERAL_WINDOW) -> bytes:
        """The revocation list of ``issuer``, DER."""
        return mint_crl(crl_form(issuer.key.public_key(), revoked=revoked, window=window), issuer)

    def signed(self, member: str, body: bytes) -> bytes:
        """``body`` with its signature around it."""
        signature = raw_signature(_curve_key(self.tcb_signer), body)
        return b'{"%s":%s,"signature":"%s"}' % (member.encode(), body, signature.hex().encode())


def raw_signature(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """r and s over ``message``, SHA-256, 32 bytes each."""
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _form(name: str, key: ec.EllipticCurvePrivateKey, root: ec.EllipticCurvePrivateKey) -> CertificateForm:
    public, issuer = key.public_key(), root.public_key()
    if name == "root":
        return root_form(public)
    if name == "tcb_signer":
        return signer_form(public, issuer=issuer)
    return ca_form(Ca.PROCESSOR if name == "processor_ca" else Ca.PLATFORM, public, issuer=issuer)


def _authority(
    form: CertificateForm, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, issuer: Authority | None
) -> Authority:
    """``form`` certified by ``issuer``; None: by itself."""
    itself = Authority(key=key, common_name=form.subject, certificate=b"", name=INTEL_NAME)
    return replace(itself, certificate=mint_certificate(form, issuer or itself))


def _curve_key(authority: Authority) -> ec.EllipticCurvePrivateKey:
    if not isinstance(authority.key, ec.EllipticCurvePrivateKey):
        raise MisuseError("simulated.key", "Intel's keys are on a curve", got=type(authority.key).__name__)
    return authority.key


def _body(document: TcbInfoForm | QeIdentityForm | bytes) -> bytes:
    return document if isinstance(document, bytes) else document.body()
