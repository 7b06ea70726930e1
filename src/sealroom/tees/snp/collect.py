"""Asks the machine's own SEV-SNP firmware for a report: through configfs-tsm, or through ``/dev/sev-guest``.

Both are `Attester`s, and hand out the certificates that the host gave beside the report.
"""

from pathlib import Path

from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.pem import as_pem
from sealroom.tees._tsm.collect import TsmAnswer, TsmAttester, require_report_data
from sealroom.tees.snp.certificate_table import read_certificate_table
from sealroom.tees.snp.collect_device import SevGuestDevice
from sealroom.tees.snp.layout import SigningKey, parse
from sealroom.x509_reader import read_certificate

__all__ = ["PROVIDER", "SnpConfigfs", "SnpDevice"]

PROVIDER = "sev_guest"
"""The kernel's name for SEV-SNP under configfs-tsm."""


class SnpConfigfs(TsmAttester):
    """The silicon of the machine that we run in, through configfs-tsm (kernel 6.7 and later).

    ``collateral`` is what is to be taken in place of what the host hands out, or lacks: ``leaf``, ``chain``, ``crl``;
    ``privlevel`` the VMPL to ask at.
    """

    tee = Tee.SNP
    provider = PROVIDER

    def report_data(self, raw: bytes) -> bytes:
        """The report data of a report."""
        return _report_data(raw)

    def evidence(self, answer: TsmAnswer, collateral: Collateral) -> CollectedEvidence:
        """The report with the certificates that the host gave."""
        return _collected(answer.outblob, answer.auxblob, collateral)


class SnpDevice:
    """The same through ``/dev/sev-guest`` (kernel 5.19 and later), where there is no configfs-tsm.

    Args:
        device: the character device.
        vmpl: the privilege level to ask at.
        collateral: as for `SnpConfigfs`.
    """

    tee = Tee.SNP
    simulated = False

    def __init__(
        self, device: SevGuestDevice | Path | None = None, *, vmpl: int = 0, collateral: Collateral | None = None
    ) -> None:
        self._device = device if isinstance(device, SevGuestDevice) else SevGuestDevice(device)
        self._vmpl = vmpl
        self._collateral = collateral or Collateral(items={})

    def collect(self, report_data: bytes) -> CollectedEvidence:
        """Return a report that carries ``report_data`` (64 bytes), with the certificates that the host gave.

        Raises:
            MisuseError: ``evidence.report-data-size``.
            UnavailableError: ``snp.no-report``: the device or the firmware gave none; ``snp.other-report``: it gave
                one over something else.
            MalformedError: what it gave is no report.
        """
        require_report_data(report_data)
        report, table = self._device.extended_report(report_data, vmpl=self._vmpl)
        self._device.require_answer(_report_data(report), report_data)
        return _collected(report, table, self._collateral)


def _report_data(raw: bytes) -> bytes:
    return parse(raw).report.report_data


def _collected(raw: bytes, table: bytes, ours: Collateral) -> CollectedEvidence:
    collateral = _certificates(read_certificate_table(table), parse(raw).report.signing_key, ours)
    return CollectedEvidence(tee=Tee.SNP, raw=raw, collateral=collateral)


def _certificates(table: dict[str, bytes], signing_key: SigningKey, ours: Collateral) -> Collateral:
    """The host's certificates under the names that verification asks for, ours before the host's."""
    items: dict[str, bytes] = {}
    if (leaf := table.get(signing_key.name.lower())) is not None:
        items["leaf"] = leaf
    if "ask" in table and "ark" in table:
        issuers = read_certificate(table["ask"]), read_certificate(table["ark"])
        items["chain"] = as_pem(*(issuer.der for issuer in issuers))
    if "crl" in table:
        items["crl"] = table["crl"]
    return Collateral(items={**items, **ours.items})
