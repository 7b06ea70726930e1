"""TPM evidence as Confidential Containers carries it: quote, signature, PCRs, the key, and perhaps an event log."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sealroom.errors import MisuseError
from sealroom.evidence import Evidence, Tee
from sealroom.tees._tpm.attest import QuoteAttest, TpmSignature, read_attest, read_signature
from sealroom.tees._tpm.evidence_json import octets, pcr_values, read_object, require_members
from sealroom.tees._tpm.quote import Pcrs

__all__ = ["TpmEvidence", "TpmQuote", "parse"]

_MUST = frozenset({"tpm_quote", "ak_public"})
_MAY = frozenset({"svn", "event_log", "eventlog"})
_QUOTE = frozenset({"message", "signature", "pcrs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmQuote:
    """A quote and what came with it; untrusted."""

    message: bytes = field(repr=False)
    attest: QuoteAttest
    signature: TpmSignature
    pcrs: Pcrs = field(repr=False)
    key: bytes = field(repr=False)
    """SubjectPublicKeyInfo of the attestation key, DER."""
    event_log: bytes | None = field(repr=False, default=None)


@dataclass(frozen=True, kw_only=True)
class TpmEvidence(Evidence):
    """The evidence, parsed. `quote` is always what `raw` says: it is read from there when this is made."""

    tee: Tee = Tee.TPM
    quote: TpmQuote = field(init=False)

    def __post_init__(self) -> None:
        if self.tee is not Tee.TPM:
            raise MisuseError("tpm.other-tee", "a TPM's quote is of the TEE tpm", got=self.tee.value)
        object.__setattr__(self, "quote", _quote(read_object(self.raw, must=_MUST, may=_MAY, area="tpm")))


def parse(raw: bytes) -> TpmEvidence:
    """Read TPM evidence.

    Raises:
        MalformedError, UnverifiedError: ``tpm.*``: the bytes are no such evidence.
    """
    return TpmEvidence(raw=bytes(raw))


def _quote(document: Mapping[str, object]) -> TpmQuote:
    quoted = require_members(document["tpm_quote"], must=_QUOTE, may=frozenset(), area="tpm")
    message, signature = (octets(quoted[name], name, area="tpm") for name in ("message", "signature"))
    attest = read_attest(message)
    log = document.get("event_log", document.get("eventlog"))
    return TpmQuote(
        message=message,
        attest=attest,
        signature=read_signature(signature),
        pcrs=pcr_values(quoted["pcrs"], attest, area="tpm"),
        key=octets(document["ak_public"], "ak_public", area="tpm"),
        event_log=None if log is None else octets(log, "event_log", area="tpm"),
    )
