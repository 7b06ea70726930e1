"""SNP evidence as JSON: the serde form of the ``sev`` crate, to and from the 1184 bytes that were signed. Section 4.

This is transcription, not verification: the bytes that come out are checked by `sealroom.tees.snp`, signature first.
That is also why an unknown member may be ignored: what it carried is then missing under the signature.
"""

from dataclasses import dataclass
from typing import Literal

from sealroom.errors import MalformedError
from sealroom.evidence import Collateral
from sealroom.kbs.json_text import Json, JsonObject
from sealroom.kbs.snp_certs import byte_list, parse_cert_chain, unreadable, write_cert_chain

__all__ = ["REPORT_SIZE", "parse_snp_json", "write_snp_json"]

REPORT_SIZE = 1184


@dataclass(frozen=True, slots=True)
class _Member:
    """One member of the struct and where it lies in the report (SEV-SNP ABI table 23)."""

    name: str
    offset: int
    size: int
    form: Literal["number", "bytes", "tcb", "version"] = "number"
    since: int = 2
    """The report version from which on the member is there; null before."""


_REPORT = (
    _Member("version", 0x00, 4),
    _Member("guest_svn", 0x04, 4),
    _Member("policy", 0x08, 8),
    _Member("family_id", 0x10, 16, "bytes"),
    _Member("image_id", 0x20, 16, "bytes"),
    _Member("vmpl", 0x30, 4),
    _Member("sig_algo", 0x34, 4),
    _Member("current_tcb", 0x38, 8, "tcb"),
    _Member("plat_info", 0x40, 8),
    _Member("key_info", 0x48, 4),
    _Member("report_data", 0x50, 64, "bytes"),
    _Member("measurement", 0x90, 48, "bytes"),
    _Member("host_data", 0xC0, 32, "bytes"),
    _Member("id_key_digest", 0xE0, 48, "bytes"),
    _Member("author_key_digest", 0x110, 48, "bytes"),
    _Member("report_id", 0x140, 32, "bytes"),
    _Member("report_id_ma", 0x160, 32, "bytes"),
    _Member("reported_tcb", 0x180, 8, "tcb"),
    _Member("cpuid_fam_id", 0x188, 1, since=3),
    _Member("cpuid_mod_id", 0x189, 1, since=3),
    _Member("cpuid_step", 0x18A, 1, since=3),
    _Member("chip_id", 0x1A0, 64, "bytes"),
    _Member("committed_tcb", 0x1E0, 8, "tcb"),
    _Member("current", 0x1E8, 3, "version"),
    _Member("committed", 0x1EC, 3, "version"),
    _Member("launch_tcb", 0x1F0, 8, "tcb"),
    _Member("launch_mit_vector", 0x1F8, 8, since=5),
    _Member("current_mit_vector", 0x200, 8, since=5),
)
_SIGNATURE = (_Member("r", 0x2A0, 72, "bytes"), _Member("s", 0x2E8, 72, "bytes"))
# Byte of each part within the eight of a TCB; Turin puts the FMC in front of the others.
_TCB_TURIN = {"fmc": 0, "bootloader": 1, "tee": 2, "snp": 3, "microcode": 7}
_TCB_BEFORE = {"bootloader": 0, "tee": 1, "snp": 6, "microcode": 7}
_VERSION = {"build": 0, "minor": 1, "major": 2}
_FAMILY_TURIN = 0x1A


def parse_snp_json(evidence: JsonObject) -> tuple[bytes, Collateral]:
    """The report's bytes and the certificates that came with it, as untrusted as they came."""
    report = evidence.get("attestation_report")
    if not isinstance(report, dict):
        raise MalformedError("kbs.snp-evidence", "the evidence has no attestation_report object")
    raw = bytearray(REPORT_SIZE)
    for member in _REPORT:
        value = report.get(member.name)
        if value is not None:
            raw[member.offset : member.offset + member.size] = _to_bytes(member, value)
        elif member.since == 2:
            raise unreadable(member.name, "it is missing")
    signature = report.get("signature")
    for member in _SIGNATURE:
        value = signature.get(member.name) if isinstance(signature, dict) else None
        raw[member.offset : member.offset + member.size] = byte_list(value, member.name, member.size)
    return bytes(raw), parse_cert_chain(evidence.get("cert_chain"))


def write_snp_json(raw: bytes, collateral: Collateral) -> JsonObject:
    """The evidence as a stock KBS reads it.

    Raises:
        MalformedError: the report has reserved bytes set: the form can not carry it.
    """
    if len(raw) != REPORT_SIZE:
        raise MalformedError(
            "kbs.snp-evidence", "an SNP report has another length", got=len(raw), expected=REPORT_SIZE
        )
    version = int.from_bytes(raw[:4], "little")
    turin = version >= 3 and raw[0x188] == _FAMILY_TURIN
    report: JsonObject = {member.name: _to_json(member, raw, version, turin) for member in _REPORT}
    report["signature"] = {member.name: list(_slice(raw, member)) for member in _SIGNATURE}
    evidence: JsonObject = {
        "attestation_report": report,
        "cert_chain": write_cert_chain(collateral, vlek=_signed_by_vlek(raw)),
    }
    if parse_snp_json(evidence)[0] != raw:
        raise MalformedError("kbs.snp-evidence", "the report has bytes set that the KBS form can not carry",
                             hint="the report is of a version that this release does not know")  # fmt: skip
    return evidence


def _slice(raw: bytes, member: _Member) -> bytes:
    return raw[member.offset : member.offset + member.size]


def _to_json(member: _Member, raw: bytes, version: int, turin: bool) -> Json:
    if version < member.since:
        return None
    field = _slice(raw, member)
    match member.form:
        case "number":
            return int.from_bytes(field, "little")
        case "bytes":
            return list(field)
        case "tcb":
            parts = _TCB_TURIN if turin else _TCB_BEFORE
            return {name: field[parts[name]] if name in parts else None for name in _TCB_TURIN}
        case "version":
            return {name: field[_VERSION[name]] for name in ("major", "minor", "build")}


def _to_bytes(member: _Member, value: Json) -> bytes:
    match member.form:
        case "number":
            return _number(value, member.name, member.size).to_bytes(member.size, "little")
        case "bytes":
            return byte_list(value, member.name, member.size)
        case "tcb":
            turin = isinstance(value, dict) and value.get("fmc") is not None
            return _scattered(value, member, _TCB_TURIN if turin else _TCB_BEFORE)
        case "version":
            return _scattered(value, member, _VERSION)


def _scattered(value: Json, member: _Member, parts: dict[str, int]) -> bytes:
    if not isinstance(value, dict):
        raise unreadable(member.name, "it is not an object")
    field = bytearray(member.size)
    for name, position in parts.items():
        field[position] = _number(value.get(name), f"{member.name}.{name}", 1)
    return bytes(field)


def _number(value: Json, name: str, size: int) -> int:
    if type(value) is not int or not 0 <= value < 1 << (8 * size):
        raise unreadable(name, f"it is not a whole number of {size} bytes")
    return value


def _signed_by_vlek(raw: bytes) -> bool:
    return int.from_bytes(raw[0x48:0x4C], "little") >> 2 & 7 == 1
