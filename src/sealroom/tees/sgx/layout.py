"""The enclave report inside a quote (Intel SDM volume 3D, REPORT)."""

from dataclasses import dataclass, field
from functools import lru_cache

from sealroom.errors import MalformedError, MisuseError
from sealroom.evidence import Evidence, Tee
from sealroom.tees._dcap.layouts import ENCLAVE_REPORT, HEADER
from sealroom.tees._dcap.quote import SGX, Quote, read_quote

__all__ = ["EnclaveReport", "SgxEvidence", "parse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnclaveReport:
    """The report's fields under Intel's names. Untrusted until `verify` has said otherwise."""

    cpu_svn: bytes
    misc_select: bytes
    cet_attributes: bytes
    isv_ext_prod_id: bytes
    attributes: int
    xfrm: int
    mr_enclave: bytes
    mr_signer: bytes
    config_id: bytes
    isv_prod_id: int
    isv_svn: int
    config_svn: int
    isv_family_id: bytes
    report_data: bytes


@dataclass(frozen=True, kw_only=True)
class SgxEvidence(Evidence):
    """An SGX quote, parsed. `quote` and `report` are always what `raw` says: they are read when this is made."""

    tee: Tee = Tee.SGX
    quote: Quote = field(init=False)
    report: EnclaveReport = field(init=False)

    def __post_init__(self) -> None:
        if self.tee is not Tee.SGX:
            raise MisuseError("sgx.other-tee", "SGX evidence is of the TEE sgx", got=self.tee.value)
        quote = read_quote(self.raw)
        if quote.tee_type != SGX:
            raise MalformedError("sgx.other-tee", "this is a quote of another TEE", where=HEADER.where("tee_type"),
                                 got=hex(quote.tee_type), expected=hex(SGX), hint="verify it as TDX")  # fmt: skip
        object.__setattr__(self, "quote", quote)
        object.__setattr__(self, "report", EnclaveReport(**ENCLAVE_REPORT.parse(quote.body)))  # type: ignore[arg-type]  # the table's names


@lru_cache(maxsize=64)
def parse(raw: bytes) -> SgxEvidence:
    """Read an SGX quote of version 3, 4 or 5; bytes after its stated end are ignored.

    What is read is a pure function of ``raw`` and never changes, so that it is remembered.

    Raises:
        MalformedError: ``dcap.*``, ``sgx.*``: the bytes are no such quote.
        UnverifiedError: ``dcap.unsupported-certification``.
    """
    return SgxEvidence(raw=bytes(raw))
