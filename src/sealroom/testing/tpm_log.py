"""Event logs as firmware writes them, with the digests of every bank (TCG PC Client Platform Firmware Profile 10.4).

events = boot(secure_boot=True)
for event in events:
    tpm.extend(event.index, event.digests(BANKS))
log = write_log(events, BANKS)
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sealroom.measure.uefi_variable import encode_variable
from sealroom.tees._tpm.attest import HASHES, TpmHash
from sealroom.testing.tpm import SoftTpm

__all__ = ["BootEvent", "boot", "logged_boot", "write_log", "write_sha1_log"]

_NO_ACTION, _SEPARATOR, _IPL = 0x3, 0x4, 0xD
_VERSION, _VARIABLE, _APPLICATION = 0x8, 0x80000001, 0x80000003
_GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
_SPEC_ID = b"Spec ID Event03\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootEvent:
    """One event of a boot."""

    index: int
    """PCR."""
    type: int
    data: bytes = field(repr=False)
    """As it stands in the log."""
    measured: bytes | None = field(repr=False, default=None)
    """What the digests are of, where it is not `data`: a file."""

    def digests(self, banks: Iterable[TpmHash]) -> dict[TpmHash, bytes]:
        """What the PCRs are extended with."""
        content = self.data if self.measured is None else self.measured
        return {bank: HASHES[bank](content).digest() for bank in banks}


def boot(*, secure_boot: bool | None = True, application: bytes = b"a boot loader") -> tuple[BootEvent, ...]:
    """An ordinary boot of UEFI firmware, with Secure Boot or without (None: not said), to a loader and its kernel."""
    said = () if secure_boot is None else (
        BootEvent(index=7, type=_VARIABLE, data=encode_variable(_GLOBAL, "SecureBoot", bytes((secure_boot,)))),
    )  # fmt: skip
    return (
        BootEvent(index=0, type=_VERSION, data="1.0\0".encode("utf-16-le")),
        *said,
        *(BootEvent(index=index, type=_SEPARATOR, data=bytes(4)) for index in range(8)),
        BootEvent(index=4, type=_APPLICATION, data=bytes(32), measured=application),
        BootEvent(index=8, type=_IPL, data=b"kernel_cmdline: quiet\0", measured=b"quiet"),
    )


def logged_boot(tpm: SoftTpm, events: Iterable[BootEvent]) -> bytes:
    """Extend ``tpm`` with ``events``.

    Returns:
        The log of them.
    """
    given = tuple(events)
    for event in given:
        tpm.extend(event.index, event.digests(tpm.pcrs))
    return write_log(given, tpm.pcrs)


def write_log(events: Iterable[BootEvent], banks: Iterable[TpmHash]) -> bytes:
    """The log with a digest for each of ``banks`` in every event."""
    sizes = {bank: HASHES[bank](b"").digest_size for bank in banks}
    table = b"".join(struct.pack("<HH", bank, size) for bank, size in sizes.items())
    head = _SPEC_ID + struct.pack("<IBBBBI", 0, 0, 2, 0, 2, len(sizes)) + table + b"\0"
    first = struct.pack("<II20sI", 0, _NO_ACTION, bytes(20), len(head)) + head
    return first + b"".join(_entry(event, event.digests(sizes)) for event in events)


def write_sha1_log(events: Iterable[BootEvent]) -> bytes:
    """The older form, with SHA-1 alone."""
    return b"".join(
        struct.pack("<II", event.index, event.type) + event.digests((TpmHash.SHA1,))[TpmHash.SHA1]
        + struct.pack("<I", len(event.data)) + event.data
        for event in events
    )  # fmt: skip


def _entry(event: BootEvent, digests: Mapping[TpmHash, bytes]) -> bytes:
    written = b"".join(struct.pack("<H", bank) + digest for bank, digest in digests.items())
    head = struct.pack("<III", event.index, event.type, len(digests))
    return head + written + struct.pack("<I", len(event.data)) + event.data
