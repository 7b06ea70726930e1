"""Evidence by the protocol's name for its TEE: one table, a row a TEE."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sealroom.errors import MisuseError, RefusedError
from sealroom.evidence import Attester, Collateral, Tee
from sealroom.kbs.json_text import JsonObject
from sealroom.kbs.other_json import Document, Octets
from sealroom.kbs.snp_json import parse_snp_json, write_snp_json

__all__ = ["FORMATS", "EvidenceFormat", "format_for", "name_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceFormat:
    """How one TEE's evidence stands in ``primary_evidence``, and which of its fields hold our digests."""

    tee: Tee
    report_data_size: int
    """Bytes of the SHA-384 that evidence of this TEE carries: cut, or padded with zero bytes on the right."""
    parse: Callable[[JsonObject], tuple[bytes, Collateral]]
    write: Callable[[bytes, Collateral], JsonObject]


def _row(tee: Tee, form: Octets | Document, *, size: int) -> EvidenceFormat:
    return EvidenceFormat(tee=tee, report_data_size=size, parse=form.parse, write=form.write)


def _on_snp(evidence: JsonObject) -> bool:
    return evidence.get("td_quote") is None


def _on_tdx(evidence: JsonObject) -> bool:
    return evidence.get("td_quote") is not None


FORMATS: Mapping[str, EvidenceFormat] = {
    "snp": EvidenceFormat(tee=Tee.SNP, report_data_size=64, parse=parse_snp_json, write=write_snp_json),
    "tdx": _row(Tee.TDX, Octets(member="quote", others=frozenset({"cc_eventlog", "aa_eventlog"})), size=64),
    "sgx": _row(Tee.SGX, Octets(member="quote"), size=64),
    "cca": _row(Tee.CCA, Octets(member="token", is_list=True), size=64),
    "az-snp-vtpm": _row(Tee.AZURE_VTPM, Document(accepts=_on_snp), size=48),
    "az-tdx-vtpm": _row(Tee.AZURE_VTPM, Document(accepts=_on_tdx), size=48),
    "tpm": _row(Tee.TPM, Document(), size=32),
    "nitro": _row(Tee.NITRO, Octets(member="document"), size=64),
    "gcp": _row(Tee.GCP, Octets(member="attestation"), size=48),
}
"""The last two are names of ours: the protocol has none for them."""
_INNER = {Tee.SNP: "az-snp-vtpm", Tee.TDX: "az-tdx-vtpm"}


def name_of(attester: Attester) -> str:
    """The protocol's name for the evidence that ``attester`` gives.

    Raises:
        MisuseError: ``kbs.no-name``: there is none.
    """
    names = [name for name, form in FORMATS.items() if form.tee is attester.tee]
    if len(names) == 1:
        return names[0]
    inner = getattr(attester, "inner", None)  # of a cloud's wrapper: what is inside
    if inner not in _INNER or _INNER[inner] not in names:
        raise MisuseError("kbs.no-name", "the protocol has no name for this machine's evidence",
                          got=attester.tee.value, expected=", ".join(FORMATS))  # fmt: skip
    return _INNER[inner]


def format_for(name: str) -> EvidenceFormat:
    """The row for the protocol's name of a TEE.

    Raises:
        RefusedError: ``broker.tee-not-supported``.
    """
    found = FORMATS.get(name)
    if found is None:
        raise RefusedError("broker.tee-not-supported", "evidence of this TEE is not verified here",
                           got=repr(name[:32]), expected=", ".join(FORMATS))  # fmt: skip
    return found
