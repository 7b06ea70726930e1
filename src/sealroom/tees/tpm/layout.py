"""TPM evidence as Confidential Containers carries it: quote, signature, PCRs, the key, and perhaps an event log.

The key is a SubjectPublicKeyInfo, as their agent writes it, or the TPM's own structure, which says more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.errors import MalformedError, MisuseError
from sealroom.evidence import Evidence, Tee
from sealroom.tees._tpm.attest import QuoteAttest, TpmSignature, read_attest, read_signature
from sealroom.tees._tpm.evidence_json import octets, pcr_values, read_object, require_members
from sealroom.tees._tpm.public import TpmPublic, read_public
from sealroom.tees._tpm.quote import Pcrs

__all__ = ["TpmEvidence", "TpmQuote", "parse"]

_MUST = frozenset({"tpm_quote", "ak_public"})
_MAY = frozenset({"svn", "event_log", "eventlog"})
_QUOTE = frozenset({"message", "signature", "pcrs"})
_SEQUENCE = b"\x30"


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmQuote:
    """A quote and what came with it; untrusted."""

    message: bytes = field(repr=False)
    attest: QuoteAttest
    signature: TpmSignature
    pcrs: Pcrs = field(repr=False)
    key: bytes = field(repr=False)
    """SubjectPublicKeyInfo of the attestation key, DER."""
    area: bytes | None = field(repr=False, default=None)
    """The same as TPMT_PUBLIC, where it came so: then it says what the key may sign."""
    public: TpmPublic | None = None
    """`area`, read."""
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
    key, area, public = _key(octets(document["ak_public"], "ak_public", area="tpm"))
    return TpmQuote(
        message=message,
        attest=attest,
        signature=read_signature(signature),
        pcrs=pcr_values(quoted["pcrs"], attest, area="tpm"),
        key=key,
        area=area,
        public=public,
        event_log=_event_log(document),
    )


def _key(raw: bytes) -> tuple[bytes, bytes | None, TpmPublic | None]:
    """A SubjectPublicKeyInfo as it is, or TPMT_PUBLIC or TPM2B_PUBLIC with the SubjectPublicKeyInfo of its key."""
    if raw.startswith(_SEQUENCE):
        return raw, None, None
    area = raw[2:] if int.from_bytes(raw[:2], "big") == len(raw) - 2 else raw
    public = read_public(area)
    return public.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), area, public


def _event_log(document: Mapping[str, object]) -> bytes | None:
    """The log under either of its names."""
    found = [document[name] for name in ("event_log", "eventlog") if document.get(name) is not None]
    if len(found) > 1:
        raise MalformedError("tpm.evidence", "the evidence has two event logs", got=len(found), expected=1)
    return octets(found[0], "event_log", area="tpm") if found else None
