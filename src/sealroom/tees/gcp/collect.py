"""Asks the vTPM of the Google VM that we run in, and the hardware below it, to answer one nonce together.

    AK certificate   NV 0x01c10000 (RSA) or 0x01c10002 (on a curve), written by Google when the VM was made
    AK template      NV, one above: from it the vTPM makes the key, the same each time

What is handed out is the attestation that go-tpm-tools makes (`sealroom.tees.gcp.writing`), so that others who verify
those can verify ours. Confidential memory is proved by the hardware alone, whose attester is given to ours.
Sources: google/go-tpm-tools (client/handles.go, client/attest.go).
"""

import hmac
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.errors import MisuseError, UnavailableError
from sealroom.evidence import Attester, Collateral, CollectedEvidence, Tee
from sealroom.tees._tpm.attest import TpmHash
from sealroom.tees._tpm.collect_tools import EVENT_LOG, PUBLIC, Tools, log_that_leads_to, read_part, scratch
from sealroom.tees._tpm.public import read_public
from sealroom.tees.gcp.inner import HardwareReport
from sealroom.tees.gcp.layout import parse
from sealroom.tees.gcp.template import read_template
from sealroom.tees.gcp.writing import AttestationForm, QuotedBank
from sealroom.x509_reader import read_certificate

__all__ = ["PRODUCT", "GceVm", "is_google"]

PRODUCT = Path("/sys/class/dmi/id/product_name")
_GOOGLE = "Google Compute Engine"
_MOST = 64
"""Bytes of report data that the hardware has; the vTPM takes as many."""
_INDICES = (0x01C10000, 0x01C10002)
_KEY, _POLICY, _UNIQUE = "ak.ctx", "ak.policy", "ak.unique"
_IN_REPORT = frozenset({"leaf", "chain"})
"""Of the hardware's collateral: what has a place in the attestation."""


@dataclass(frozen=True, kw_only=True)
class GceVm:
    """The VM of Google's that we run in: an `Attester`.

    Args:
        hardware: of the SEV-SNP or TDX machine below; None: the VM has none, and nothing proves its memory.
        tcti: how tpm2-tools reach the vTPM: as `Tools` takes it.
        banks: which PCRs are quoted, all 24 of each.
        event_log: the firmware's log; a machine without one has none.
        timeout: seconds that one command may take.
        collateral: what goes along: ``ak_issuers``, the certificates above the key's, and the hardware's.
    """

    hardware: Attester | None = None
    tcti: str | None = None
    banks: tuple[TpmHash, ...] = (TpmHash.SHA256,)
    event_log: Path = EVENT_LOG
    timeout: float = 60
    collateral: Collateral = field(default_factory=lambda: Collateral(items={}))

    @property
    def tee(self) -> Tee:
        """`Tee.GCP`."""
        return Tee.GCP

    @property
    def simulated(self) -> bool:
        """As the hardware is; a vTPM alone is Google's, by its certificate."""
        return self.hardware is not None and self.hardware.simulated

    def is_certified(self) -> bool:
        """Whether Google has certified a key of the vTPM; not where it can not be asked."""
        try:
            with scratch() as folder:
                _certificate(Tools(tcti=self.tcti, timeout=self.timeout), folder)
        except UnavailableError:
            return False
        return True

    def collect(self, report_data: bytes) -> CollectedEvidence:
        """Return an attestation whose quotes and hardware answer ``report_data``: 1 to 64 bytes.

        Raises:
            MisuseError: ``evidence.report-data-size``.
            UnavailableError: ``gcp.no-ak-certificate``: Google has certified no key of this vTPM; ``gcp.other-key``:
                the vTPM makes another key than the one that was certified; ``tpm.*``: it could not be asked; or the
                hardware's own.
            MalformedError: what one of them gave is not what it should be.
        """
        if not 0 < len(report_data) <= _MOST:
            raise MisuseError("evidence.report-data-size", "the hardware and a vTPM carry so much and no more",
                              got=f"{len(report_data)} bytes", expected=f"1 to {_MOST} bytes")  # fmt: skip
        hardware, beside = self._ask_hardware(report_data)
        tools = Tools(tcti=self.tcti, timeout=self.timeout)
        with scratch() as folder:
            certificate, public = _certified_key(tools, folder)
            quotes = [self._quote(tools, folder, public, bank, report_data) for bank in self.banks]
        strongest = quotes[-1]
        log = log_that_leads_to(strongest.pcrs, bank=strongest.bank, log=self.event_log)
        raw = AttestationForm(public=public[2:], quotes=quotes, certificate=certificate, event_log=log or b"",
                              hardware=hardware).encode()  # fmt: skip
        parse(raw)
        items = {**beside, **self.collateral.items}
        return CollectedEvidence(tee=Tee.GCP, raw=raw, collateral=Collateral(items=items))

    def _ask_hardware(self, nonce: bytes) -> tuple[HardwareReport | None, dict[str, bytes]]:
        """Its report, and what goes along beside the attestation."""
        if self.hardware is None:
            return None, {}
        collected = self.hardware.collect(nonce.ljust(_MOST, b"\0"))
        items = collected.collateral.items
        report = HardwareReport(
            tee=collected.tee, raw=collected.raw, leaf=items.get("leaf"), chain=items.get("chain")
        )
        return report, {name: raw for name, raw in items.items() if name not in _IN_REPORT}

    def _quote(self, tools: Tools, folder: Path, public: bytes, bank: TpmHash, nonce: bytes) -> QuotedBank:
        parts = tools.quote(_KEY, public, nonce, bank=bank, folder=folder)
        return QuotedBank(bank=bank, message=parts.message, signature=parts.signature, pcrs=parts.values)


def is_google(product: Path = PRODUCT) -> bool:
    """Whether the machine's firmware says that it is Google's; it may be confidential or not."""
    try:
        return product.read_text(encoding="ascii", errors="replace").strip() == _GOOGLE
    except OSError:
        return False


def _certified_key(tools: Tools, folder: Path) -> tuple[bytes, bytes]:
    """The certificate (DER) of the key that is now in the vTPM, and the key's TPM2B_PUBLIC."""
    number, certificate = _certificate(tools, folder)
    template = read_template(tools.index(f"0x{number + 1:08x}", folder=folder))
    options = ["-G", template.algorithm, "-g", template.name_alg, "-a", f"0x{template.attributes:08x}"]
    for option, name, content in (("-L", _POLICY, template.policy), ("-u", _UNIQUE, template.unique)):
        if content:
            (folder / name).write_bytes(content)
            options += [option, name]
    tools.run("tpm2_createprimary", "-Q", "-C", "e", *options, "-c", _KEY, "-f", "tss", "-o", PUBLIC, folder=folder)
    public = read_part(folder / PUBLIC)
    made = read_public(public[2:]).key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if not hmac.compare_digest(made, read_certificate(certificate).public_key):
        raise UnavailableError("gcp.other-key", "the vTPM makes another key than the one that was certified",
                               where=f"0x{number:08x}", hint="its endorsement seed was changed, or the index "
                               "overwritten: make the VM anew")  # fmt: skip
    return certificate, public


def _certificate(tools: Tools, folder: Path) -> tuple[int, bytes]:
    """The first index that has one, and what is in it."""
    why: UnavailableError | None = None
    for number in _INDICES:
        try:
            return number, _without_padding(tools.index(f"0x{number:08x}", folder=folder))
        except UnavailableError as reason:
            if reason.code != "tpm.tool":
                raise
            why = why or reason
    raise UnavailableError("gcp.no-ak-certificate", "Google has certified no attestation key of this vTPM",
                           got=why.got if why else None, expected=" or ".join(f"0x{one:08x}" for one in _INDICES),
                           hint="Confidential VMs have one; elsewhere enrol the TPM's own key: "
                           '[hardware] tee = "tpm"')  # fmt: skip


def _without_padding(raw: bytes) -> bytes:
    """A certificate may stand in an index that is larger than it."""
    end = 4 + int.from_bytes(raw[2:4], "big") if raw[:2] == b"\x30\x82" else len(raw)
    return raw[:end] if not any(raw[end:]) else raw
