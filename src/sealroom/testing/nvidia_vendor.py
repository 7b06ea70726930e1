"""What NVIDIA keeps: the keys above devices and above reference values, and who answers about revocation."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.evidence import Validity
from sealroom.testing.nvidia_certificates import (
    CA_NAME,
    RIM_ROOT_NAME,
    ROOT_NAME,
    identity_form,
    provisioner_form,
    responder_form,
    rim_branch_form,
    rim_issuer_form,
    rim_root_form,
    rim_signer_form,
    root_form,
)
from sealroom.testing.nvidia_families import Family
from sealroom.testing.nvidia_ocsp import OcspForm, mint_ocsp
from sealroom.testing.nvidia_rim import RimForm, RimSigner, write_rim
from sealroom.testing.pki import Authority, CertificateForm, NameForm, mint_certificate
from sealroom.x509_reader import read_certificate

__all__ = ["NvidiaVendor", "new_key", "self_signed", "under"]


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key as all of NVIDIA's are."""
    return ec.generate_private_key(ec.SECP384R1())


def self_signed(form: CertificateForm, key: ec.EllipticCurvePrivateKey, name: NameForm) -> Authority:
    """A root."""
    signer = Authority(key=key, common_name=form.subject, certificate=b"", name=name)
    return Authority(key=key, common_name=form.subject, name=name, certificate=mint_certificate(form, signer))


def under(issuer: Authority, form: CertificateForm, key: ec.EllipticCurvePrivateKey) -> Authority:
    """A CA that ``issuer`` made."""
    return Authority(key=key, common_name=form.subject, name=form.name, certificate=mint_certificate(form, issuer))


@dataclass(frozen=True, kw_only=True)
class NvidiaVendor:
    """One set of keys. Authorities below the roots are made when they are first asked for, and then kept."""

    root: Authority
    rim_root: Authority
    _kept: dict[str, Authority] = field(default_factory=dict, repr=False, compare=False)
    _rims: dict[str, bytes] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def create(cls) -> "NvidiaVendor":
        """New keys."""
        keys = new_key(), new_key()
        return cls(root=self_signed(root_form(keys[0].public_key()), keys[0], ROOT_NAME),
                   rim_root=self_signed(rim_root_form(keys[1].public_key()), keys[1], RIM_ROOT_NAME))  # fmt: skip

    @cached_property
    def root_fingerprints(self) -> frozenset[bytes]:
        """SHA-256 of the DER of both roots: what a policy names under ``insecure_simulated``."""
        return frozenset(hashlib.sha256(root.certificate).digest() for root in (self.root, self.rim_root))

    def identity(self, family: Family) -> Authority:
        """The identity CA of a family; Hopper and switches share one."""
        name = f"identity {family.branch.name}"
        if name not in self._kept:
            key = new_key()
            form = identity_form(family.branch, key.public_key(), issuer=self.root.key.public_key())
            self._kept[name] = under(self.root, form, key)
        return self._kept[name]

    def provisioner(self, family: Family) -> Authority:
        """Who certifies devices of a family."""
        if family.provisioner not in self._kept:
            key, issuer = new_key(), self.identity(family)
            form = provisioner_form(family, key.public_key(), issuer=issuer.key.public_key())
            self._kept[family.provisioner] = under(issuer, form, key)
        return self._kept[family.provisioner]

    def rim_authorities(self, product: str) -> tuple[Authority, Authority, Authority]:
        """Signer, its issuer, and the product's CA; above them is `rim_root`."""
        names = tuple(f"{level} {product}" for level in ("signer", "issuer", "branch"))
        if names[0] not in self._kept:
            signer, issuer, branch = new_key(), new_key(), new_key()
            form = rim_branch_form(product, branch.public_key(), issuer=self.rim_root.key.public_key())
            self._kept[names[2]] = under(self.rim_root, form, branch)
            form = rim_issuer_form(product, issuer.public_key(), issuer=branch.public_key())
            self._kept[names[1]] = under(self._kept[names[2]], form, issuer)
            form = rim_signer_form(signer.public_key(), issuer=issuer.public_key())
            self._kept[names[0]] = under(self._kept[names[1]], form, signer)
        return self._kept[names[0]], self._kept[names[1]], self._kept[names[2]]

    def rim_signer(self, product: str) -> RimSigner:
        """Who signs the reference values of a product."""
        chain = (*self.rim_authorities(product), self.rim_root)
        return RimSigner(key=chain[0].key, certificates=tuple(one.certificate for one in chain))  # type: ignore[arg-type]

    def rim(self, form: RimForm) -> bytes:
        """Reference values, signed; the same bytes each time for the same values."""
        by = hashlib.sha256(self.rim_root.certificate).hexdigest()
        name = f"{by} {form.product} {form.edition} {form.version} {sorted(form.values.items())}"
        if name not in self._rims:
            self._rims[name] = write_rim(form, self.rim_signer(form.product))
        return self._rims[name]

    def answer(self, form: OcspForm, issuer: Authority, *, window: Validity | None = None) -> bytes:
        """An answer by a responder that ``issuer`` has certified."""
        name = f"responder {issuer.common_name} {window}"
        if name not in self._kept:
            key = new_key()
            made = responder_form(key.public_key(), issuer=issuer.key.public_key(),
                                  window=window or read_certificate(self.rim_root.certificate).validity)  # fmt: skip
            self._kept[name] = Authority(key=key, common_name=made.subject, name=CA_NAME,
                                         certificate=mint_certificate(made, issuer))  # fmt: skip
        responder = self._kept[name]
        return mint_ocsp(form, responder.key, responder=responder.certificate)  # type: ignore[arg-type]
