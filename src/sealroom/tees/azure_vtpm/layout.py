"""Evidence of an Azure guest, as Confidential Containers carries it, or a token of Azure's.

version 1, 2    version, tpm_quote, hcl_report, and vcek (DER) or td_quote
none            quote, report, vcek (PEM) of SEV-SNP; tpm_quote, hcl_report, td_quote of TDX, by older agents
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sealroom.errors import MalformedError, MisuseError
from sealroom.evidence import Evidence, Tee
from sealroom.jose import Jwt, parse_jwt, read_json
from sealroom.pem import is_pem, read_pem
from sealroom.tees._tpm.attest import QuoteAttest, Scheme, TpmHash, TpmSignature, read_attest, read_signature
from sealroom.tees._tpm.evidence_json import octets, pcr_values, require_members
from sealroom.tees._tpm.quote import Pcrs
from sealroom.tees.azure_vtpm.hcl import HclReport, read_hcl
from sealroom.tees.azure_vtpm.runtime_data import RuntimeData, read_runtime_data

__all__ = ["AzureEvidence", "AzureGuest", "parse"]

_AREA = "azure-vtpm"
_TOKEN = b"e"
"""How the base64 of a JSON object begins."""
_VERSIONS = frozenset({1, 2})
_MUST = frozenset({"version", "tpm_quote", "hcl_report"})
_MAY = frozenset({"vcek", "td_quote", "additional_evidence", "event_log"})
_QUOTE = frozenset({"message", "signature", "pcrs"})
_OLD_SNP, _OLD_TDX = frozenset({"quote", "report", "vcek"}), frozenset({"tpm_quote", "hcl_report", "td_quote"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureGuest:
    """What a guest gathers; untrusted."""

    hcl: HclReport
    runtime: RuntimeData
    message: bytes = field(repr=False)
    attest: QuoteAttest
    signature: TpmSignature
    pcrs: Pcrs = field(repr=False)
    vcek: bytes | None = field(repr=False)
    td_quote: bytes | None = field(repr=False)
    event_log: bytes | None = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class AzureEvidence(Evidence):
    """One of the two forms, parsed from `raw` when this is made."""

    tee: Tee = Tee.AZURE_VTPM
    guest: AzureGuest | None = field(init=False)
    token: Jwt | None = field(init=False)

    def __post_init__(self) -> None:
        if self.tee is not Tee.AZURE_VTPM:
            raise MisuseError("azure-vtpm.other-tee", "this is evidence of the TEE azure-vtpm", got=self.tee.value)
        is_token = self.raw.lstrip()[:1] == _TOKEN
        object.__setattr__(self, "token", parse_jwt(self.raw, area=_AREA) if is_token else None)
        object.__setattr__(self, "guest", None if is_token else _guest(self.raw))


def parse(raw: bytes) -> AzureEvidence:
    """Read a guest's evidence, or a token of Microsoft Azure Attestation.

    Raises:
        MalformedError, UnverifiedError: ``azure-vtpm.*``, ``tpm.*``: the bytes are neither.
    """
    return AzureEvidence(raw=bytes(raw))


def _guest(raw: bytes) -> AzureGuest:
    document = _document(read_json(raw, area=_AREA))
    if type(document["version"]) is not int or document["version"] not in _VERSIONS:
        raise MalformedError("azure-vtpm.evidence", "the evidence is of another version",
                             got=ascii(document["version"])[:20], expected="1 or 2")  # fmt: skip
    if document.get("additional_evidence"):
        raise MalformedError("azure-vtpm.evidence", "further evidence came along that is not verified here",
                             where="additional_evidence", hint="devices' evidence goes beside this, under their own "
                             "names")  # fmt: skip
    quoted = require_members(document["tpm_quote"], must=_QUOTE, may=frozenset(), area=_AREA)
    message = octets(quoted["message"], "message", area=_AREA)
    attest = read_attest(message)
    hcl = read_hcl(octets(document["hcl_report"], "hcl_report", area=_AREA))
    _require_own_parts(document, hcl.inner)
    return AzureGuest(
        hcl=hcl, runtime=read_runtime_data(hcl.runtime_data), message=message, attest=attest,
        signature=signature_of(octets(quoted["signature"], "signature", area=_AREA)),
        pcrs=pcr_values(quoted["pcrs"], attest, area=_AREA), vcek=_vcek(document),
        td_quote=_optional(document, "td_quote"), event_log=_optional(document, "event_log"),
    )  # fmt: skip


def _document(said: Any) -> Mapping[str, Any]:
    """The members under their present names."""
    if isinstance(said, dict) and set(said) == _OLD_SNP:
        said = {"tpm_quote": said["quote"], "hcl_report": said["report"], "vcek": said["vcek"], "version": 1}
    elif isinstance(said, dict) and set(said) == _OLD_TDX:
        said = {**said, "version": 1}
    return require_members(said, must=_MUST, may=_MAY, area=_AREA)


def _require_own_parts(document: Mapping[str, Any], inner: Tee) -> None:
    """What belongs to the other kind of hardware would be looked at by nobody."""
    foreign = "td_quote" if inner is Tee.SNP else "vcek"
    if document.get(foreign) is not None:
        raise MalformedError("azure-vtpm.evidence", f"the report is of {inner.value}, and {foreign} is not",
                             where=foreign)  # fmt: skip


def signature_of(raw: bytes) -> TpmSignature:
    """The vTPM's signature: bare bytes of RSASSA with SHA-256, as Azure's tools give it, or with its scheme."""
    if len(raw) in {256, 384, 512}:
        return TpmSignature(scheme=Scheme.RSASSA, digest=TpmHash.SHA256, rsa=raw)
    return read_signature(raw)


def _vcek(document: Mapping[str, Any]) -> bytes | None:
    """DER; the text of a PEM block, as it once was, is taken apart."""
    text = document.get("vcek")
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else b""
    if not is_pem(raw):
        return _optional(document, "vcek")
    blocks = read_pem(raw, "CERTIFICATE")
    if len(blocks) != 1:
        raise MalformedError("azure-vtpm.evidence", "the VCEK is more than one certificate", where="vcek",
                             got=len(blocks), expected=1)  # fmt: skip
    return blocks[0]


def _optional(document: Mapping[str, Any], name: str) -> bytes | None:
    value = document.get(name)
    return None if value is None else octets(value, name, area=_AREA)
