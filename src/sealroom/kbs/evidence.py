"""Evidence by the protocol's name for its TEE: one table, a row a TEE."""

from collections.abc import Callable
from dataclasses import dataclass

from sealroom.errors import RefusedError
from sealroom.evidence import Collateral, Tee
from sealroom.kbs.json_text import JsonObject
from sealroom.kbs.snp_json import parse_snp_json, write_snp_json

__all__ = ["FORMATS", "EvidenceFormat", "format_for"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceFormat:
    """How one TEE's evidence stands in ``primary_evidence``, and which of its fields hold our digests."""

    tee: Tee
    report_data_size: int
    parse: Callable[[JsonObject], tuple[bytes, Collateral]]
    write: Callable[[bytes, Collateral], JsonObject]


FORMATS: dict[str, EvidenceFormat] = {
    "snp": EvidenceFormat(tee=Tee.SNP, report_data_size=64, parse=parse_snp_json, write=write_snp_json),
}  # fmt: skip


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
