"""The ACPI table that says where a TD's event log is (CCEL; ACPI 6.5 section 5.2.34)."""

import struct
from dataclasses import dataclass

from sealroom.errors import MalformedError

__all__ = ["CcelTable", "read_ccel_table"]

_TABLE = struct.Struct("<4sI28xBBHQQ")
TDX = 2
"""Type of confidential computing: 1 is SEV."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CcelTable:
    """What the table says."""

    signature: str
    cc_type: int
    cc_subtype: int
    log_area_length: int
    log_area_address: int
    """Physical; Linux shows the area itself as ``/sys/firmware/acpi/tables/data/CCEL``."""


def read_ccel_table(raw: bytes) -> CcelTable:
    """Read the table (56 bytes).

    Raises:
        MalformedError: ``eventlog.ccel-table``.
    """
    if len(raw) != _TABLE.size:
        raise _malformed("has another length", f"{len(raw)} bytes", f"{_TABLE.size}")
    signature, length, cc_type, cc_subtype, _reserved, laml, lasa = _TABLE.unpack(raw)
    if (signature, length, sum(raw) & 0xFF) != (b"CCEL", _TABLE.size, 0):
        raise _malformed("has another signature, length or checksum", f"{signature!r}, {length}", "CCEL, 56")
    return CcelTable(signature="CCEL", cc_type=cc_type, cc_subtype=cc_subtype, log_area_length=laml,
                     log_area_address=lasa)  # fmt: skip


def _malformed(what: str, got: str, expected: str) -> MalformedError:
    return MalformedError("eventlog.ccel-table", f"the ACPI table {what}", got=got, expected=expected,
                          hint="the log itself is in /sys/firmware/acpi/tables/data/CCEL")  # fmt: skip
