"""Google's confidential VMs in software: a vTPM with a certificate, and the hardware's own report beside its quotes.

    GcpVendor     what Google is: a root, and the CA below it that certifies vTPMs' keys
    GcpMachine    a VM: its vTPM and certificate, and the SEV-SNP or TDX machine below, if there is one
    SimulatedGcp  what runs in it: attestations as go-tpm-tools writes them, as an `Attester`

Every member of the parts can be changed before it is signed: `GcpMachine.form`, `SimulatedGcp.form`, `SoftTpm.form`.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.errors import MisuseError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.pem import as_pem
from sealroom.tees._tpm.attest import TpmHash
from sealroom.tees.gcp.inner import HardwareReport
from sealroom.tees.gcp.writing import AttestationForm, QuotedBank
from sealroom.testing.dcap import DcapPlatform, SimulatedTdx
from sealroom.testing.gcp_certificates import GOOGLE_NAME, InstanceForm, ak_form
from sealroom.testing.pki import Authority, CertificateForm, authority, mint_certificate
from sealroom.testing.snp import SimulatedSnp, SnpPlatform
from sealroom.testing.tpm import BANKS, SoftTpm

__all__ = ["GcpMachine", "GcpVendor", "SimulatedGcp"]

_MAX_NONCE = 64
_ROOT, _CA = "Simulated EK/AK CA Root", "Simulated EK/AK CA Intermediate"


@dataclass(frozen=True, kw_only=True)
class GcpVendor:
    """The keys that Google keeps. Its real ones are RSA; nothing depends on that."""

    root: Authority
    ca: Authority

    @classmethod
    def create(cls) -> "GcpVendor":
        """New keys."""
        keys = [ec.generate_private_key(ec.SECP384R1()) for _ in range(2)]
        root = authority(_ROOT, keys[0], serial=1, name=GOOGLE_NAME)
        return cls(root=root, ca=authority(_CA, keys[1], serial=2, issuer=root, path_length=0, name=GOOGLE_NAME))

    @property
    def root_fingerprint(self) -> bytes:
        """SHA-256 of the root's DER: what a policy names under ``insecure_simulated``."""
        return hashlib.sha256(self.root.certificate).digest()

    @property
    def issuers(self) -> bytes:
        """PEM, as ``ak_issuers`` of the collateral has them."""
        return as_pem(self.ca.certificate, self.root.certificate)

    def issue(self, form: CertificateForm) -> bytes:
        """A certificate of a vTPM's key, DER."""
        return mint_certificate(form, self.ca)


@dataclass(frozen=True, kw_only=True)
class GcpMachine:
    """One VM."""

    vendor: GcpVendor
    tpm: SoftTpm
    """As it is before anything is measured."""
    instance: InstanceForm = field(default_factory=InstanceForm)
    platform: SnpPlatform | DcapPlatform | None = None
    """The machine that it runs on; None: one without confidential memory."""

    @classmethod
    def create(cls, tee: Tee | None = None, *, vendor: GcpVendor | None = None, key: str = "rsassa") -> "GcpMachine":
        """A new VM, on a new machine of ``tee``; ``key``: as `SoftTpm.create` has it."""
        platform = SnpPlatform.create() if tee is Tee.SNP else DcapPlatform.create() if tee is Tee.TDX else None
        return cls(vendor=vendor or GcpVendor.create(), tpm=SoftTpm.create(key), platform=platform)

    @property
    def root_fingerprints(self) -> tuple[bytes, ...]:
        """SHA-256 of the roots' DER: what a policy names under ``insecure_simulated``; Google's first."""
        hardware = () if self.platform is None else (self.platform.vendor.root_fingerprint,)
        return (self.vendor.root_fingerprint, *hardware)

    def form(self) -> CertificateForm:
        """The certificate of the vTPM's key, before it is issued."""
        return ak_form(self.tpm.key.public_key(), self.instance)


class SimulatedGcp:
    """A guest: an `Attester` that nobody should trust.

    Args:
        machine: the VM; a new one without confidential memory if none is given.
        tpm: its vTPM with the registers as the boot left them; as switched on if none is given.
        event_log: of the boot, or none.
        banks: which registers are quoted.
        values: fields of the hardware's report, such as ``measurement`` or ``mr_td``.
        collateral: of the hardware; what the minted vendor says of it if nothing is given.
    """

    tee = Tee.GCP
    simulated = True
    """Asked by a room before it listens: simulated hardware never serves the world."""

    def __init__(
        self,
        *,
        machine: GcpMachine | None = None,
        tpm: SoftTpm | None = None,
        event_log: bytes = b"",
        banks: Sequence[TpmHash] = BANKS,
        values: Mapping[str, int | bytes] | None = None,
        collateral: Callable[[], Mapping[str, bytes]] | None = None,
    ) -> None:
        self.machine = machine or GcpMachine.create()
        self.tpm = tpm or self.machine.tpm
        self._event_log, self._values, self._banks = event_log, dict(values or {}), banks
        self._collateral = collateral or self._usual_collateral
        self.certificate = self.machine.vendor.issue(self.machine.form())

    @property
    def root_fingerprint(self) -> bytes:
        """SHA-256 of Google's root's DER; the hardware's are among `GcpMachine.root_fingerprints`."""
        return self.machine.vendor.root_fingerprint

    def quotes(self, nonce: bytes, banks: Sequence[TpmHash] | None = None) -> tuple[QuotedBank, ...]:
        """A quote for each bank; of those of this guest unless others are given."""
        made = []
        for bank in self._banks if banks is None else banks:
            message, signature = self.tpm.quote(nonce, self.tpm.all_of(bank))
            made.append(QuotedBank(bank=bank, message=message, signature=signature, pcrs=self.tpm.pcrs[bank]))
        return tuple(made)

    def hardware(self, nonce: bytes, **changes: int | bytes) -> HardwareReport | None:
        """What the machine says of the same nonce; ``changes`` sets fields of its report."""
        platform, values = self.machine.platform, {**self._values, **changes}
        report_data = nonce.ljust(_MAX_NONCE, b"\x00")
        if platform is None:
            return None
        if isinstance(platform, DcapPlatform):
            return HardwareReport(tee=Tee.TDX, raw=SimulatedTdx(platform=platform).quote(report_data, **values))
        return HardwareReport(tee=Tee.SNP, raw=SimulatedSnp(platform=platform).report(report_data, **values),
                              leaf=platform.leaf, chain=platform.vendor.chain(platform.kind))  # fmt: skip

    def form(self, nonce: bytes) -> AttestationForm:
        """An attestation before it is encoded."""
        return AttestationForm(public=self.tpm.public_area(), quotes=self.quotes(nonce), certificate=self.certificate,
                               event_log=self._event_log, hardware=self.hardware(nonce))  # fmt: skip

    def evidence(self, form: AttestationForm) -> CollectedEvidence:
        """``form`` with what goes along."""
        items = {"ak_issuers": self.machine.vendor.issuers, **self._collateral()}
        return CollectedEvidence(tee=Tee.GCP, raw=form.encode(), collateral=Collateral(items=items))

    def collect(self, report_data: bytes) -> CollectedEvidence:
        """Return an attestation that answers ``report_data``: 32 bytes of `sealroom.binding.carried`, or the key
        broker's 48; 64 at most, which is what the hardware carries.
        """
        if not 0 < len(report_data) <= _MAX_NONCE:
            raise MisuseError("simulated.report-data", "a nonce is as long as the hardware's report data at most",
                              got=len(report_data), expected=f"1 to {_MAX_NONCE}")  # fmt: skip
        return self.evidence(self.form(report_data))

    def _usual_collateral(self) -> Mapping[str, bytes]:
        platform = self.machine.platform
        return platform.collateral(Tee.TDX) if isinstance(platform, DcapPlatform) else {}
