"""AWS Nitro hardware in software: attestation documents that are right to the byte, under a private root.

    NitroVendor     what AWS is: the root
    NitroMachine    an instance in a zone of a region, and the security module of its enclave, or its NitroTPM
    SimulatedNitro  what runs in it, which asks for documents as on silicon

Certificates are issued when a document is asked for, for the times that real ones have: an enclave's lives three
hours. Every member of a document can be changed before it is signed, so that each fault can be had alone
(`sealroom.testing.nitro_faults`).
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.errors import MisuseError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.testing.nitro_certificates import (
    ROOT_NAME,
    enclave_form,
    instance_form,
    region_form,
    root_form,
    zone_form,
)
from sealroom.testing.nitro_document import DocumentForm, sign_document, write_members
from sealroom.testing.pki import Authority, CertificateForm, mint_certificate

__all__ = ["NitroMachine", "NitroVendor", "SimulatedNitro", "extended", "image_pcrs", "new_key", "under"]

_PCRS, _TPM_PCRS = 16, 24
_SIZE = 48


@dataclass(frozen=True, kw_only=True)
class NitroVendor:
    """The key that AWS keeps."""

    root: Authority

    @classmethod
    def create(cls) -> "NitroVendor":
        """A new key."""
        key = new_key()
        form = root_form(key.public_key())
        signer = Authority(key=key, common_name=form.subject, certificate=b"", name=ROOT_NAME)
        return cls(root=under(signer, form, key))

    @property
    def root_fingerprint(self) -> bytes:
        """SHA-256 of the root's DER: what a policy names under ``insecure_simulated``."""
        return hashlib.sha256(self.root.certificate).digest()


@dataclass(frozen=True, kw_only=True)
class NitroMachine:
    """One security module, and the authorities above it."""

    vendor: NitroVendor
    region: str
    instance: str
    """``i-`` and seventeen hexadecimal digits."""
    module_id: str
    names: tuple[str, str]
    """Of region and zone in their certificates."""
    keys: tuple[ec.EllipticCurvePrivateKey, ...] = field(repr=False)
    """Of region, zone, instance and module."""

    @classmethod
    def create(
        cls, *, vendor: NitroVendor | None = None, region: str = "eu-central-1", is_nitro_tpm: bool = False
    ) -> "NitroMachine":
        """A new instance; the vendor's key is made anew unless given."""
        instance = f"i-{os.urandom(9).hex()[:17]}"
        end = "tpm0000000000000000" if is_nitro_tpm else f"enc{os.urandom(8).hex()}"
        return cls(vendor=vendor or NitroVendor.create(), region=region, instance=instance,
                   module_id=f"{instance}-{end}", names=(os.urandom(8).hex(), os.urandom(8).hex()),
                   keys=tuple(new_key() for _ in range(4)))  # fmt: skip

    @property
    def is_nitro_tpm(self) -> bool:
        """Whether the documents are of the instance itself, and not of an enclave in it."""
        return "-tpm" in self.module_id

    @property
    def key(self) -> ec.EllipticCurvePrivateKey:
        """The module's."""
        return self.keys[-1]

    def forms(self, at: datetime) -> tuple[CertificateForm, ...]:
        """Of region, zone, instance and module, as they would be issued around ``at``."""
        region, zone, instance, module = (key.public_key() for key in self.keys)
        root = self.vendor.root.key.public_key()
        crls = [f"{name[:8]}-0000-4000-8000-{name[4:]}" for name in self.names]
        assert isinstance(root, ec.EllipticCurvePublicKey)  # noqa: S101 - made so in `NitroVendor.create`
        return (
            region_form(region, issuer=root, region=self.region, name=self.names[0], at=at, crl=crls[0]),
            zone_form(zone, issuer=region, region=self.region, name=self.names[1], at=at, crl=crls[1]),
            instance_form(instance, region=self.region, instance=self.instance, at=at),
            enclave_form(module, region=self.region, module_id=self.module_id, at=at),
        )

    def issue(self, forms: tuple[CertificateForm, ...]) -> tuple[bytes, ...]:
        """These under the root, each by the one before it: DER, leaf first, the root last."""
        issued = [self.vendor.root]
        for form, key in zip(forms, self.keys, strict=True):
            issued.append(under(issued[-1], form, key))
        return tuple(authority.certificate for authority in reversed(issued))

    def form(self, at: datetime, pcrs: Mapping[int, bytes]) -> DocumentForm:
        """A document of ``at`` before it is signed, with nothing asked for."""
        return DocumentForm(module_id=self.module_id, timestamp_ms=int(at.timestamp() * 1000), pcrs=pcrs,
                            chain=self.issue(self.forms(at)), is_nitro_tpm=self.is_nitro_tpm)  # fmt: skip

    def sign(self, form: DocumentForm) -> bytes:
        """The document, in the encoding of today's module."""
        return sign_document(write_members(form.members()), self.key)


class SimulatedNitro:
    """An enclave, or an instance with a NitroTPM, on simulated hardware: an `Attester` that nobody should trust.

    Args:
        machine: where it runs; a new one if none is given.
        pcrs: in place of those of an image that nobody has, by index.
        debug: run in debug mode, where PCRs 0, 1 and 2 are zero.
        clock: what time it is; the machine's own clock, unless a test says otherwise.
    """

    tee = Tee.NITRO
    simulated = True
    """Asked by a room before it listens: simulated hardware never serves the world."""

    def __init__(
        self,
        *,
        machine: NitroMachine | None = None,
        pcrs: Mapping[int, bytes] | None = None,
        debug: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.machine = machine or NitroMachine.create()
        measured = image_pcrs(self.machine) | dict(pcrs or {})
        if any(len(value) != _SIZE for value in measured.values()):
            raise MisuseError("simulated.sizes", "a PCR is 48 bytes")
        self.pcrs = measured | (dict.fromkeys(range(3), bytes(_SIZE)) if debug else {})
        self._clock = clock

    @property
    def root_fingerprint(self) -> bytes:
        """SHA-256 of the root's DER: what a policy names under ``insecure_simulated``."""
        return self.machine.vendor.root_fingerprint

    def form(
        self, *, user_data: bytes | None = None, nonce: bytes | None = None, public_key: bytes | None = None
    ) -> DocumentForm:
        """A document of now before it is signed."""
        form = self.machine.form(self._clock(), self.pcrs)
        return replace(form, user_data=user_data, nonce=nonce, public_key=public_key)

    def document(
        self, user_data: bytes | None = None, nonce: bytes | None = None, public_key: bytes | None = None
    ) -> bytes:
        """What the security module answers."""
        return self.machine.sign(self.form(user_data=user_data, nonce=nonce, public_key=public_key))

    def collect(self, report_data: bytes) -> CollectedEvidence:
        """Return a document whose user data is ``report_data`` (64 bytes)."""
        if len(report_data) != 64:
            raise MisuseError("simulated.report-data", "report data is 64 bytes", got=len(report_data), expected=64)
        return CollectedEvidence(tee=Tee.NITRO, raw=self.document(report_data), collateral=Collateral(items={}))


def image_pcrs(machine: NitroMachine) -> dict[int, bytes]:
    """PCRs of an unremarkable, unsigned image in an instance without a role; all else zero.

    PCR4 is that of the parent instance (AWS, "Cryptographic attestation": SHA-384 over 48 zeros and its name).
    """
    pcrs = dict.fromkeys(range(_TPM_PCRS if machine.is_nitro_tpm else _PCRS), bytes(_SIZE))
    pcrs |= {index: hashlib.sha384(b"simulated image %d" % index).digest() for index in range(3)}
    return pcrs | {4: extended(machine.instance.encode())}


def extended(content: bytes) -> bytes:
    """A PCR that was zero before ``content`` was extended into it."""
    return hashlib.sha384(bytes(_SIZE) + content).digest()


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key as all of Nitro's are."""
    return ec.generate_private_key(ec.SECP384R1())


def under(issuer: Authority, form: CertificateForm, key: ec.EllipticCurvePrivateKey) -> Authority:
    """What ``issuer`` certified."""
    return Authority(key=key, common_name=form.subject, name=form.name, certificate=mint_certificate(form, issuer))
