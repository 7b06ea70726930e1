"""Asks the TDX module, and the host's quoting enclave, for a quote: through configfs-tsm, or ``/dev/tdx_guest``.

Both are `Attester`s. A quote brings its PCK certificates; everything else that verification needs (TCB info, QE
identity, revocation lists) is Intel's, is fetched ahead of time, and goes along as collateral.
"""

from sealroom.errors import UnavailableError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.tees._tsm.collect import TsmAnswer, TsmAttester, require_report_data
from sealroom.tees.tdx.collect_device import QuoteService, TdxGuestDevice
from sealroom.tees.tdx.layout import parse

__all__ = ["PROVIDER", "TdxConfigfs", "TdxDevice"]

PROVIDER = "tdx_guest"
"""The kernel's name for TDX under configfs-tsm."""


class TdxConfigfs(TsmAttester):
    """The silicon of the machine that we run in, through configfs-tsm (kernel 6.7 and later)."""

    tee = Tee.TDX
    provider = PROVIDER

    def report_data(self, raw: bytes) -> bytes:
        """The report data of a quote."""
        return _report_data(raw)

    def evidence(self, answer: TsmAnswer, collateral: Collateral) -> CollectedEvidence:
        """The quote, and what goes along."""
        return _collected(answer.outblob, collateral)


class TdxDevice:
    """The same through ``/dev/tdx_guest`` and the host's quote generation service, without configfs-tsm.

    Args:
        device: the character device.
        service: the host's service.
        collateral: as for `TdxConfigfs`.
    """

    tee = Tee.TDX
    simulated = False

    def __init__(
        self,
        device: TdxGuestDevice | None = None,
        service: QuoteService | None = None,
        *,
        collateral: Collateral | None = None,
    ) -> None:
        self._device = device or TdxGuestDevice()
        self._service = service or QuoteService()
        self._collateral = collateral or Collateral(items={})

    def collect(self, report_data: bytes) -> CollectedEvidence:
        """Return a quote that carries ``report_data`` (64 bytes).

        Raises:
            MisuseError: ``evidence.report-data-size``.
            UnavailableError: ``tdx.no-report``, ``tdx.no-quote``; ``tdx.other-quote``: it is over something else.
            MalformedError: what the service gave is no quote.
        """
        require_report_data(report_data)
        raw = self._service.quote(self._device.td_report(report_data))
        if (got := _report_data(raw)) != report_data:
            raise UnavailableError("tdx.other-quote", "the host's service answered with a quote over something else",
                                   got=got.hex(), expected=report_data.hex())  # fmt: skip
        return _collected(raw, self._collateral)


def _report_data(raw: bytes) -> bytes:
    return parse(raw).report.report_data


def _collected(raw: bytes, collateral: Collateral) -> CollectedEvidence:
    # the kernel's buffer is longer than the quote, and filled with zeros
    return CollectedEvidence(tee=Tee.TDX, raw=raw[: parse(raw).quote.size], collateral=collateral)
