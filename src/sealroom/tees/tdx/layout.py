"""The TD report inside a quote (TDX module ABI; Intel DCAP Quoting Library API, appendix A.3.2 and A.4)."""

from dataclasses import dataclass, field
from functools import lru_cache

from sealroom.errors import MalformedError, MisuseError
from sealroom.evidence import Evidence, Tee
from sealroom.tees._dcap.layouts import HEADER, TD_REPORT_10, TD_REPORT_15
from sealroom.tees._dcap.quote import TDX, Quote, read_quote

__all__ = ["TdReport", "TdxEvidence", "parse"]

_TD_15 = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TdReport:
    """The report's fields under Intel's names. Untrusted until `verify` has said otherwise."""

    tee_tcb_svn: bytes
    mr_seam: bytes
    mr_signer_seam: bytes
    seam_attributes: bytes
    td_attributes: int
    xfam: int
    mr_td: bytes
    mr_config_id: bytes
    mr_owner: bytes
    mr_owner_config: bytes
    rtmr0: bytes
    rtmr1: bytes
    rtmr2: bytes
    rtmr3: bytes
    report_data: bytes
    tee_tcb_svn_2: bytes | None = None
    """None before TD 1.5."""
    mr_service_td: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class TdxEvidence(Evidence):
    """A TDX quote, parsed. `quote` and `report` are always what `raw` says: they are read when this is made."""

    tee: Tee = Tee.TDX
    quote: Quote = field(init=False)
    report: TdReport = field(init=False)

    def __post_init__(self) -> None:
        if self.tee is not Tee.TDX:
            raise MisuseError("tdx.other-tee", "TDX evidence is of the TEE tdx", got=self.tee.value)
        quote = read_quote(self.raw)
        if quote.tee_type != TDX:
            raise MalformedError("tdx.other-tee", "this is a quote of another TEE", where=HEADER.where("tee_type"),
                                 got=hex(quote.tee_type), expected=hex(TDX), hint="verify it as SGX")  # fmt: skip
        layout = TD_REPORT_15 if quote.body_type == _TD_15 else TD_REPORT_10
        object.__setattr__(self, "quote", quote)
        object.__setattr__(self, "report", TdReport(**layout.parse(quote.body)))  # type: ignore[arg-type]  # the table's names


@lru_cache(maxsize=64)
def parse(raw: bytes) -> TdxEvidence:
    """Read a TDX quote of version 4 or 5; bytes after its stated end are ignored.

    What is read is a pure function of ``raw`` and never changes, so that it is remembered.

    Raises:
        MalformedError: ``dcap.*``, ``tdx.*``: the bytes are no such quote.
        UnverifiedError: ``dcap.unsupported-certification``.
    """
    return TdxEvidence(raw=bytes(raw))
