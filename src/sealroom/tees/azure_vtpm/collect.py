"""Asks for evidence inside a confidential VM of Azure: its vTPM through tpm2-tools, and the host for what goes along.

There is no device of the hardware's own in such a VM. The paravisor keeps the hardware's report in the vTPM since
boot, with the vTPM's key in it; the quote answers. The user data of that report is left as it is: setting it would
make a new report for each nonce, which takes seconds, and prove nothing that the quote does not.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sealroom.errors import MisuseError, UnavailableError, UnverifiedError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.tees._dcap.quote import read_quote
from sealroom.tees._tpm.attest import Scheme, TpmHash, read_signature
from sealroom.tees._tpm.collect_tools import EVENT_LOG, QuotedParts, Tools, log_that_leads_to, scratch
from sealroom.tees._tpm.public import read_public
from sealroom.tees.azure_vtpm.collect_host import HostServices
from sealroom.tees.azure_vtpm.hcl import HclReport, read_hcl
from sealroom.tees.azure_vtpm.layout import parse
from sealroom.tees.azure_vtpm.runtime_data import read_runtime_data
from sealroom.tees.azure_vtpm.tdreport import require_quote_of
from sealroom.tees.azure_vtpm.writing import EvidenceForm

__all__ = ["AZURE_CHASSIS", "CHASSIS", "AzureVtpm", "is_azure"]

CHASSIS = Path("/sys/class/dmi/id/chassis_asset_tag")
AZURE_CHASSIS = "7783-7084-3265-9085-8269-3286-77"
"""Asset tag of the chassis of every VM of Azure's, confidential or not."""
_REPORT, _KEY = "0x01400001", "0x81000003"
"""The NV index of the hardware's report, and the handle of the attestation key."""
_LONGEST = 50
"""Bytes of extra data that Azure's vTPM takes."""
_BANK = TpmHash.SHA256


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proof:
    """What the host gave for a report of the hardware: the same as long as the report is."""

    of: bytes = field(repr=False)
    vcek: bytes | None = field(repr=False, default=None)
    chain: bytes | None = field(repr=False, default=None)
    td_quote: bytes | None = field(repr=False, default=None)


class AzureVtpm:
    """The confidential VM that we run in: an `Attester`.

    Args:
        tcti: how tpm2-tools reach the vTPM, as for `Tools`.
        host: the host's services.
        event_log: the firmware's log; a machine without one has none.
        collateral: what goes along, before what the host gives: ``chain``; of TDX, Intel's.
        timeout: seconds that one command of the tools may take.
    """

    tee = Tee.AZURE_VTPM
    simulated = False

    def __init__(
        self, tcti: str | None = None, *, host: HostServices | None = None, event_log: Path = EVENT_LOG,
        collateral: Collateral | None = None, timeout: float = 60,
    ) -> None:  # fmt: skip
        self._tools = Tools(tcti=tcti, timeout=timeout)
        self._host = host or HostServices()
        self._event_log = event_log
        self._collateral = collateral or Collateral(items={})
        self._proof: _Proof | None = None

    @property
    def inner(self) -> Tee:
        """What the hardware is: the key broker's protocol has a name for each."""
        with scratch() as folder:
            return read_hcl(self._tools.index(_REPORT, folder=folder)).inner

    def is_confidential(self) -> bool:
        """Whether the vTPM holds a report of the hardware, as that of a confidential VM alone does.

        Raises:
            UnavailableError: ``tpm.*``: it can not be asked.
        """
        with scratch() as folder:
            return int(_REPORT, 16) in self._tools.indices(folder=folder)

    def collect(self, report_data: bytes) -> CollectedEvidence:
        """Return evidence whose quote answers ``report_data``: 32 bytes of `sealroom.binding.carried`, or the key
        broker's 48; 50 at most.

        Raises:
            MisuseError: ``evidence.report-data-size``.
            UnavailableError: ``tpm.*``: the vTPM gave nothing; ``azure-vtpm.other-key``: its key is not that of the
                report; ``azure-vtpm.host``: the host gave nothing; ``azure-vtpm.other-quote``: it gave a quote of
                something else.
            MalformedError: what came is something else.
        """
        if not 0 < len(report_data) <= _LONGEST:
            raise MisuseError("evidence.report-data-size", "Azure's vTPM takes fewer bytes than these",
                              got=f"{len(report_data)} bytes", expected=f"1 to {_LONGEST} bytes")  # fmt: skip
        with scratch() as folder:
            raw = self._tools.index(_REPORT, folder=folder)
            public = self._tools.public_of(_KEY, folder=folder)
            report = read_hcl(raw)
            _require_same_key(report, public)
            parts = self._tools.quote(_KEY, public, report_data, bank=_BANK, folder=folder)
        proof = self._proof_of(report)
        form = EvidenceForm(
            hcl_report=raw, message=parts.message, signature=_bare(parts), pcrs=tuple(parts.values.values()),
            vcek=proof.vcek, td_quote=proof.td_quote,
            event_log=log_that_leads_to(parts.values, bank=_BANK, log=self._event_log),
        )  # fmt: skip
        items = {} if proof.chain is None else {"chain": proof.chain}
        return CollectedEvidence(tee=Tee.AZURE_VTPM, raw=parse(form.encode()).raw,
                                 collateral=Collateral(items={**items, **self._collateral.items}))  # fmt: skip

    def _proof_of(self, report: HclReport) -> _Proof:
        """Asked once for each report: the host's services answer few questions a minute."""
        proof = self._proof
        if proof is None or proof.of != report.hardware_report:
            proof = self._proof = _ASKED[report.inner](self._host, report)
        return proof


def is_azure(chassis: Path = CHASSIS) -> bool:
    """Whether the machine's firmware says that it is Azure's; it may be confidential or not."""
    try:
        return chassis.read_text(encoding="ascii", errors="replace").strip() == AZURE_CHASSIS
    except OSError:
        return False


def _of_snp(host: HostServices, report: HclReport) -> _Proof:
    vcek, chain = host.certificates()
    return _Proof(of=report.hardware_report, vcek=vcek, chain=chain)


def _of_tdx(host: HostServices, report: HclReport) -> _Proof:
    raw = host.td_quote(report.hardware_report)
    try:
        require_quote_of(report, raw)
    except UnverifiedError as reason:
        raise UnavailableError("azure-vtpm.other-quote", "the host answered with a quote of another TDREPORT",
                               where=reason.where, got=reason.got, expected=reason.expected,
                               hint="ask again; restart the VM if it stays so") from None  # fmt: skip
    return _Proof(of=report.hardware_report, td_quote=raw[: read_quote(raw).size])


_ASKED: dict[Tee, Callable[[HostServices, HclReport], _Proof]] = {Tee.SNP: _of_snp, Tee.TDX: _of_tdx}


def _require_same_key(report: HclReport, public: bytes) -> None:
    key = read_runtime_data(report.runtime_data).key
    if read_public(public[2:]).key.public_numbers() != key.public_numbers():
        raise UnavailableError("azure-vtpm.other-key", "the vTPM's key is not the one that its report names",
                               where=f"{_KEY} and {_REPORT}", hint="restart the VM: the report was made for another "
                               "vTPM")  # fmt: skip


def _bare(parts: QuotedParts) -> bytes:
    """RSASSA's bytes alone, as Azure's tools carry them; any other signature with its scheme."""
    signature = read_signature(parts.signature)
    plain = signature.scheme is Scheme.RSASSA and signature.digest is TpmHash.SHA256
    return signature.rsa if plain else parts.signature
