"""Linux configfs-tsm in a plain directory: the files are real, the kernel behind them is not.

The code under test makes, writes, reads and removes with the system calls that it uses on silicon; after each of them
this class does to the directory what the kernel would have done (new attributes, a higher generation, a report). What
it can not show is the kernel's own locking, and what a real configfs refuses beyond what is written here.
"""

import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from sealroom.tees._tsm.collect import TsmDirectory
from sealroom.tees.snp.certificate_table import GUIDS

__all__ = ["EmulatedTsm", "certificate_table"]


class EmulatedTsm(TsmDirectory):
    """An emulated ``/sys/kernel/config/tsm/report``.

    Args:
        path: an empty directory.
        report: what the firmware answers to report data.
        provider: the kernel's name for the TEE.
        auxblob: the host's certificate table; None: the attribute is not there.
        privlevel_floor: the lowest VMPL that may be asked at.
    """

    def __init__(
        self,
        path: Path,
        report: Callable[[bytes], bytes],
        *,
        provider: str = "sev_guest",
        auxblob: bytes | None = b"",
        privlevel_floor: int = 0,
    ) -> None:
        super().__init__(path)
        self.made: list[str] = []
        """Every entry that was ever made."""
        self.errors: list[int] = []
        """Error numbers that the next reads of ``outblob`` give, one each."""
        self.disturb: Callable[[str], None] = lambda _entry: None
        """Runs after each read of ``outblob``: another process, at the worst moment."""
        self._report = report
        self._provider = provider
        self._auxblob = auxblob
        self._floor = privlevel_floor

    def create(self, entry: str) -> None:
        """Make an entry, with the attributes that the kernel puts into it."""
        super().create(entry)
        self.made.append(entry)
        attributes = {"inblob": b"", "outblob": b"", "generation": b"0\n", "provider": f"{self._provider}\n".encode(),
                      "privlevel": b"", "privlevel_floor": f"{self._floor}\n".encode()}  # fmt: skip
        if self._auxblob is not None:
            attributes["auxblob"] = self._auxblob
        for name, content in attributes.items():
            (self.path / entry / name).write_bytes(content)

    def write(self, entry: str, attribute: str, content: bytes) -> None:
        """Write an attribute; every write counts in ``generation``."""
        if attribute == "inblob" and len(content) > 64:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        super().write(entry, attribute, content)
        generation = self.path / entry / "generation"
        generation.write_bytes(b"%d\n" % (int(generation.read_bytes()) + 1))

    def read(self, entry: str, attribute: str) -> bytes:
        """Read an attribute; reading ``outblob`` runs the request."""
        if attribute == "outblob":
            self._run(entry)
        content = super().read(entry, attribute)
        if attribute == "outblob":
            self.disturb(entry)
        return content

    def remove(self, entry: str) -> None:
        """Remove an entry; configfs takes its attributes with it."""
        for attribute in (self.path / entry).iterdir():
            attribute.unlink()
        super().remove(entry)

    def _run(self, entry: str) -> None:
        folder = self.path / entry
        request = (folder / "inblob").read_bytes()
        level = (folder / "privlevel").read_bytes().strip()
        if self.errors:
            number = self.errors.pop(0)
            raise OSError(number, os.strerror(number))
        if len(request) != 64 or (level and int(level) < self._floor):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        (folder / "outblob").write_bytes(self._report(request))


def certificate_table(certificates: Mapping[str, bytes]) -> bytes:
    """The host's certificate table with these: ``vcek``, ``vlek``, ``ask``, ``ark``, ``crl``."""
    guids = {name: guid for guid, name in GUIDS.items()}
    offset = 24 * (len(certificates) + 1)
    entries, bodies = b"", b""
    for name, certificate in certificates.items():
        place = (offset + len(bodies)).to_bytes(4, "little")
        entries += guids[name] + place + len(certificate).to_bytes(4, "little")
        bodies += certificate
    return entries + bytes(24) + bodies
