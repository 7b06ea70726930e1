"""Asks Gramine for a quote of the enclave that we run in, through ``/dev/attestation``.

Gramine's documentation, "Attestation and Secret Provisioning": ``attestation_type`` says which kind of quote there
is; what is written to ``user_report_data`` (64 bytes) goes into the report that the next read of ``quote`` makes. The
files belong to this enclave alone, so that nobody else writes between our write and our read; our own threads may,
and the answer is compared with the question.
"""

import errno
import threading
from pathlib import Path

from sealroom.binding import REPORT_DATA_SIZE
from sealroom.errors import MisuseError, UnavailableError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.tees.sgx.layout import parse

__all__ = ["DIRECTORY", "GramineAttestation"]

DIRECTORY = Path("/dev/attestation")
_KIND = "dcap"
_ASKING = threading.Lock()


class GramineAttestation:
    """The enclave that we run in, as an `Attester`.

    Args:
        directory: where Gramine keeps its files.
        collateral: what goes along with the quote, under the names of `Collateral`.
    """

    tee = Tee.SGX
    simulated = False

    def __init__(self, directory: Path = DIRECTORY, *, collateral: Collateral | None = None) -> None:
        self._directory = directory
        self._collateral = collateral or Collateral(items={})

    def collect(self, report_data: bytes) -> CollectedEvidence:
        """Return a quote that carries ``report_data`` (64 bytes).

        Raises:
            MisuseError: ``evidence.report-data-size``.
            UnavailableError: ``sgx.no-quote``: not in Gramine, or it makes no DCAP quotes here; ``sgx.other-quote``:
                the quote is over something else.
            MalformedError: what Gramine gave is no quote.
        """
        if len(report_data) != REPORT_DATA_SIZE:
            raise MisuseError("evidence.report-data-size", "report data has one size", got=len(report_data),
                              expected=REPORT_DATA_SIZE)  # fmt: skip
        try:
            raw = self._quote(report_data)
        except OSError as reason:
            raise self._no_quote(f"{errno.errorcode.get(reason.errno or 0, 'an error')}: {reason.strerror}") from None
        evidence = parse(raw)
        if evidence.report.report_data != report_data:
            raise UnavailableError("sgx.other-quote", "Gramine answered with a quote over something else",
                                   where=str(self._directory), got=evidence.report.report_data.hex(),
                                   expected=report_data.hex())  # fmt: skip
        return CollectedEvidence(tee=Tee.SGX, raw=raw, collateral=self._collateral)

    def _quote(self, report_data: bytes) -> bytes:
        with _ASKING:
            kind = (self._directory / "attestation_type").read_text(encoding="ascii", errors="replace").strip()
            if kind != _KIND:
                raise self._no_quote(f"attestation_type {kind}")
            (self._directory / "user_report_data").write_bytes(report_data)
            return (self._directory / "quote").read_bytes()

    def _no_quote(self, got: str) -> UnavailableError:
        return UnavailableError(
            "sgx.no-quote",
            "Gramine gives no quote",
            where=str(self._directory),
            got=got,
            expected="attestation_type dcap",
            hint='run inside Gramine with SGX, and set sgx.remote_attestation = "dcap" in the manifest',
        )
