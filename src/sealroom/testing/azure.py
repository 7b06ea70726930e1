"""Azure's confidential VMs in software: a paravisor's report around minted hardware, and a vTPM that it binds.

    AzureMachine    a VM on an SEV-SNP or TDX machine: its vTPM, its keys, its name
    SimulatedAzure  what runs in it: quotes as a guest of Azure asks for them, as an `Attester`

The hardware's report is made when the VM starts, and is the same in every evidence, as on silicon. Every member of
the parts can be changed before it is signed: `SimulatedAzure.hcl`, `SimulatedAzure.form`, `SoftTpm.form`.
"""

import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric import rsa

from sealroom.errors import MisuseError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.tees._dcap.quote import read_quote
from sealroom.tees._tpm.attest import TpmHash
from sealroom.tees.azure_vtpm.writing import EvidenceForm
from sealroom.testing.azure_hcl import HclForm, digest_data, runtime_members, runtime_text, tdreport_of
from sealroom.testing.dcap import DcapPlatform, SimulatedTdx
from sealroom.testing.snp import SimulatedSnp, SnpPlatform
from sealroom.testing.tpm import SoftTpm

__all__ = ["AzureMachine", "SimulatedAzure", "bare"]

MAX_NONCE = 50
"""Bytes of extra data that Azure's vTPM takes."""
_TD_REPORT = 584
_TPM_SIGNATURE_HEADER = 6


@dataclass(frozen=True, kw_only=True)
class AzureMachine:
    """One VM."""

    platform: SnpPlatform | DcapPlatform
    """The machine that it runs on."""
    tpm: SoftTpm
    """As it is before anything is measured."""
    endorsement: rsa.RSAPrivateKey = field(repr=False)
    vm_id: str

    @classmethod
    def create(cls, tee: Tee = Tee.SNP, *, platform: SnpPlatform | DcapPlatform | None = None) -> "AzureMachine":
        """A new VM, on a new machine of ``tee`` unless one is given."""
        if platform is None:
            platform = SnpPlatform.create() if tee is Tee.SNP else DcapPlatform.create()
        return cls(platform=platform, tpm=SoftTpm.create(), vm_id=str(uuid.UUID(bytes=os.urandom(16), version=4)),
                   endorsement=rsa.generate_private_key(public_exponent=65537, key_size=2048))  # fmt: skip

    @property
    def inner(self) -> Tee:
        """What the hardware is."""
        return Tee.SNP if isinstance(self.platform, SnpPlatform) else Tee.TDX

    @property
    def root_fingerprint(self) -> bytes:
        """SHA-256 of the hardware vendor's root: what a policy names under ``insecure_simulated``."""
        return self.platform.vendor.root_fingerprint


class SimulatedAzure:
    """A guest: an `Attester` that nobody should trust.

    Args:
        machine: the VM; a new one on SEV-SNP if none is given.
        tpm: its vTPM with the registers as the boot left them; as switched on if none is given.
        secure_boot: whether the VM's configuration says so.
        user_data: 64 bytes in the runtime data.
        event_log: of the boot, or none.
        values: fields of the hardware's report, such as ``measurement`` or ``mr_td``.
        collateral: what goes along; what the minted vendor says of the machine if nothing is given.
    """

    tee = Tee.AZURE_VTPM
    simulated = True
    """Asked by a room before it listens: simulated hardware never serves the world."""

    def __init__(
        self,
        *,
        machine: AzureMachine | None = None,
        tpm: SoftTpm | None = None,
        secure_boot: bool = True,
        user_data: bytes = bytes(64),
        event_log: bytes | None = None,
        values: Mapping[str, int | bytes] | None = None,
        collateral: Callable[[], Mapping[str, bytes]] | None = None,
    ) -> None:
        self.machine = machine or AzureMachine.create()
        self.tpm = tpm or self.machine.tpm
        self.secure_boot, self.user_data, self.event_log = secure_boot, user_data, event_log
        self._values = dict(values or {})
        self._collateral = collateral or self._usual_collateral

    @property
    def inner(self) -> Tee:
        """What the hardware is: the key broker's protocol has a name for each."""
        return self.machine.inner

    @property
    def root_fingerprint(self) -> bytes:
        """SHA-256 of the hardware vendor's root: what a policy names under ``insecure_simulated``."""
        return self.machine.root_fingerprint

    @cached_property
    def hcl(self) -> HclForm:
        """The paravisor's report, made once."""
        return self.hcl_over(self.runtime)

    @property
    def runtime(self) -> bytes:
        """The JSON that the hardware's report binds."""
        key = self.machine.tpm.key.public_key()
        assert isinstance(key, rsa.RSAPublicKey)  # noqa: S101 - made so in `AzureMachine.create`
        return runtime_text(
            runtime_members(key, self.machine.endorsement.public_key(), vm_id=self.machine.vm_id,
                            secure_boot=self.secure_boot, user_data=self.user_data)
        )  # fmt: skip

    def hcl_over(self, runtime: bytes, *, hash_type: int = 1, **changes: int | bytes) -> HclForm:
        """The report that binds ``runtime``; ``changes`` sets fields of the hardware's report."""
        hardware = self.hardware_report(digest_data(runtime, hash_type), **changes)
        if self.inner is Tee.TDX:
            hardware = tdreport_of(read_quote(hardware).body[:_TD_REPORT])
        return HclForm(inner=self.inner, hardware=hardware, runtime=runtime, hash_type=hash_type)

    def hardware_report(self, report_data: bytes, **changes: int | bytes) -> bytes:
        """An SNP report, or a TD's quote."""
        values = {**self._values, **changes}
        if isinstance(self.machine.platform, SnpPlatform):
            return SimulatedSnp(platform=self.machine.platform).report(report_data, **values)
        return SimulatedTdx(platform=self.machine.platform).quote(report_data, **values)

    def form(self, nonce: bytes, *, hcl: HclForm | None = None) -> EvidenceForm:
        """Evidence before it is encoded; around another report if one is given."""
        message, signature = self.tpm.quote(nonce)
        report = hcl or self.hcl
        is_snp = self.inner is Tee.SNP
        runtime = digest_data(report.runtime, report.hash_type)
        return EvidenceForm(
            hcl_report=report.encode(), message=message, signature=bare(signature),
            pcrs=tuple(self.tpm.values()[TpmHash.SHA256].values()), event_log=self.event_log,
            vcek=self.machine.platform.leaf if is_snp else None,
            td_quote=None if is_snp else self.hardware_report(runtime),
        )  # fmt: skip

    def evidence(self, form: EvidenceForm) -> CollectedEvidence:
        """``form`` with what goes along."""
        return CollectedEvidence(
            tee=Tee.AZURE_VTPM, raw=form.encode(), collateral=Collateral(items=dict(self._collateral()))
        )

    def collect(self, report_data: bytes) -> CollectedEvidence:
        """Return evidence whose quote answers ``report_data``: 32 bytes of `sealroom.binding.carried`, or the key
        broker's 48; 50 at most.
        """
        if not 0 < len(report_data) <= MAX_NONCE:
            raise MisuseError("simulated.report-data", "Azure's vTPM takes fewer bytes than these",
                              got=len(report_data), expected=f"1 to {MAX_NONCE}")  # fmt: skip
        return self.evidence(self.form(report_data))

    def _usual_collateral(self) -> Mapping[str, bytes]:
        platform = self.machine.platform
        if isinstance(platform, SnpPlatform):
            return {"chain": platform.vendor.chain()}
        return platform.collateral(Tee.TDX)


def bare(signature: bytes) -> bytes:
    """RSASSA's bytes alone, as Azure's tools carry a TPMT_SIGNATURE."""
    return signature[_TPM_SIGNATURE_HEADER:]
