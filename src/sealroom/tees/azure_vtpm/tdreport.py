"""The TDREPORT in a paravisor's report, and whether a quote was made of just it.

A TDREPORT's MAC can be checked by the machine that made it alone, so that nothing in it counts by itself. The quote
that the host's enclave made of it repeats all that says what the TD is, and is signed. Offsets are those of Intel's
TDX module ABI (TDREPORT_STRUCT), and of quotes.
"""

from sealroom.errors import UnverifiedError
from sealroom.tees._dcap.quote import read_quote
from sealroom.tees.azure_vtpm.hcl import HclReport

__all__ = ["require_quote_of", "tdreport_data"]

_REPORT_DATA, _TDINFO = slice(128, 192), slice(512, 912)
_IN_QUOTE = slice(120, 584)
"""Attributes, XFAM, MRTD, configuration, owner and the four registers, then report data: of TD 1.0 and of TD 1.5."""


def tdreport_data(report: HclReport) -> bytes:
    """The 64 bytes of report data."""
    return report.hardware_report[_REPORT_DATA]


def require_quote_of(report: HclReport, quote: bytes) -> None:
    """Raise unless ``quote`` is of the TD that the TDREPORT in ``report`` is of, as it was then.

    Raises:
        MalformedError: ``dcap.*``: it is no quote.
        UnverifiedError: ``azure-vtpm.tdreport``.
    """
    said = report.hardware_report[_TDINFO] + tdreport_data(report)
    signed = read_quote(quote).body[_IN_QUOTE]
    if said != signed:
        at = next((index for index, (one, other) in enumerate(zip(said, signed, strict=False)) if one != other), 0)
        raise UnverifiedError("azure-vtpm.tdreport", "the quote was made of another TDREPORT than the one that came",
                              where=f"0x{_IN_QUOTE.start + at:x} of the quote's body", got=signed[at : at + 32].hex(),
                              expected=said[at : at + 32].hex(),
                              hint="ask the host's service for a quote of this TDREPORT")  # fmt: skip
