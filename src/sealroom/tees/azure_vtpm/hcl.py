"""The HCL report: what the paravisor keeps in the vTPM's NV index 0x01400001, around the hardware's own report.

    0x000 "HCLA", version, size, request type, status, reserved    0x020 hardware report, 1184 bytes
    0x4C0 sizes and types of the runtime data, 20 bytes            0x4D4 runtime data: JSON, then zeros

The hardware's report data is a hash of exactly the JSON, whose length stands before it: hashing less would leave
something unbound, hashing more would bind what was never written.
"""

import hashlib
from dataclasses import dataclass, field

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.evidence import Tee

__all__ = ["HclReport", "read_hcl", "require_bound"]

_HEADER, _HARDWARE, _RUNTIME, _JSON = 0, 32, 1216, 1236
_HARDWARE_SIZE, _RUNTIME_HEADER = 1184, 20
_TDREPORT_SIZE = 1024
_MAX_SIZE = 16 * 1024
_TYPES = {2: Tee.SNP, 4: Tee.TDX}
_HASHES = {1: hashlib.sha256, 2: hashlib.sha384, 3: hashlib.sha512}


@dataclass(frozen=True, slots=True, kw_only=True)
class HclReport:
    """The report's parts; untrusted."""

    version: int
    report_size: int
    request_type: int
    status: int
    inner: Tee
    report_type: int
    hash_type: int
    data_size: int
    hardware_report: bytes = field(repr=False)
    """Of SNP, 1184 bytes; of TDX a TDREPORT, 1024 bytes."""
    runtime_data: bytes = field(repr=False)
    """The JSON, exactly."""


def read_hcl(raw: bytes) -> HclReport:
    """Read the contents of the NV index.

    Raises:
        MalformedError: ``azure-vtpm.hcl``.
    """
    if not _JSON < len(raw) <= _MAX_SIZE or raw[:4] != b"HCLA":
        raise _bad("this is no report of the paravisor", raw[:4].hex(), "HCLA")
    version, size, request, status = (_u32(raw, at) for at in (4, 8, 12, 16))
    data_size, runtime_version, kind, hash_type, length = (_u32(raw, _RUNTIME + 4 * index) for index in range(5))
    if version not in {1, 2} or request != 2 or any(raw[20:_HARDWARE]):
        raise _bad("the header is of another version or request", f"{version}, {request}", "1 or 2, then 2")
    if runtime_version != 1 or kind not in _TYPES or hash_type not in _HASHES:
        raise _bad("the runtime data is of another kind", f"{runtime_version}, {kind}, {hash_type}", None)
    if data_size != length + _RUNTIME_HEADER or not 2 <= length <= len(raw) - _JSON or any(raw[_JSON + length :]):
        raise _bad("the runtime data is not as long as it says", f"{length} bytes", f"at most {len(raw) - _JSON}")
    hardware = raw[_HARDWARE:_RUNTIME]
    if _TYPES[kind] is Tee.TDX and any(hardware[_TDREPORT_SIZE:]):
        raise _bad("something follows the TDREPORT", None, "zeros")
    return HclReport(
        version=version, report_size=size, request_type=request, status=status, inner=_TYPES[kind], report_type=kind,
        hash_type=hash_type, data_size=data_size,
        hardware_report=hardware if _TYPES[kind] is Tee.SNP else hardware[:_TDREPORT_SIZE],
        runtime_data=raw[_JSON : _JSON + length],
    )  # fmt: skip


def require_bound(report: HclReport, report_data: bytes) -> None:
    """Raise unless ``report_data``, 64 bytes that the hardware signed, is the hash of the runtime data, then zeros.

    Raises:
        UnverifiedError: ``azure-vtpm.runtime-data``.
    """
    digest = _HASHES[report.hash_type](report.runtime_data).digest()
    if report_data != digest.ljust(64, b"\x00"):
        raise UnverifiedError("azure-vtpm.runtime-data", "the hardware does not vouch for this runtime data",
                              where="report data", got=report_data.hex(), expected=digest.hex(),
                              hint="its key or configuration was exchanged: do not go on")  # fmt: skip


def _u32(raw: bytes, at: int) -> int:
    return int.from_bytes(raw[at : at + 4], "little")


def _bad(message: str, got: object, expected: object) -> MalformedError:
    return MalformedError("azure-vtpm.hcl", message, got=got, expected=expected)
