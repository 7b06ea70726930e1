"""Asks the machine's own silicon for a report, through Linux configfs-tsm (kernel 6.7 and later).

Specification: Documentation/ABI/testing/configfs-tsm. An entry is a directory that we make, write to, read from and
remove. Reading ``outblob`` runs the request. Entries can be seen and written by every privileged process, so each
call makes one of its own under a name that nobody else has, and ``generation`` (which counts every write) must be
what our own writes alone make it, before and after the read.
"""

import errno
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sealroom.binding import REPORT_DATA_SIZE
from sealroom.errors import MisuseError, UnavailableError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.pem import as_pem
from sealroom.tees.snp.certificate_table import read_certificate_table
from sealroom.tees.snp.layout import SigningKey, parse
from sealroom.x509_reader import read_certificate

__all__ = ["REPORT_DIRECTORY", "ConfigfsTsm", "TsmDirectory"]

REPORT_DIRECTORY = Path("/sys/kernel/config/tsm/report")
_PROVIDER = "sev_guest"
_BUSY = frozenset({errno.EBUSY, errno.EAGAIN, errno.EINTR})
"""Another request is on its way (EWOULDBLOCK is EAGAIN on Linux): worth asking again."""

_HINTS = {
    errno.ENOENT: "is this an SEV-SNP guest, kernel 6.7 or later, configfs mounted, the module sev-guest loaded?",
    errno.EACCES: "reports can be asked for by root only",
    errno.EPERM: "reports can be asked for by root only",
    errno.ENXIO: "no provider is loaded: modprobe sev-guest",
    errno.ENOTTY: "the provider was unloaded: modprobe sev-guest",
    errno.EINVAL: "the privilege level asked for may be below the guest's own (privlevel_floor)",
    errno.EIO: "the host or the firmware refused the request; the kernel's log says more",
    errno.ETIMEDOUT: "the host did not answer; it may limit how often a guest may ask",
}


class TsmDirectory:
    """The file operations that a report takes. `sealroom.testing.tsm` emulates a kernel by extending it."""

    def __init__(self, path: Path = REPORT_DIRECTORY) -> None:
        self.path = path

    def create(self, entry: str) -> None:
        """Make an entry."""
        (self.path / entry).mkdir()

    def write(self, entry: str, attribute: str, content: bytes) -> None:
        """Write an attribute in one piece: the kernel takes a write as a whole or not."""
        file = os.open(self.path / entry / attribute, os.O_WRONLY)
        try:
            written = os.write(file, content)
        finally:
            os.close(file)
        if written != len(content):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def read(self, entry: str, attribute: str) -> bytes:
        """Read an attribute to its end."""
        return (self.path / entry / attribute).read_bytes()

    def remove(self, entry: str) -> None:
        """Remove an entry."""
        (self.path / entry).rmdir()


class ConfigfsTsm:
    """The silicon of the machine that we run in, as an `Attester`.

    Args:
        directory: where reports are asked for.
        privlevel: the VMPL to ask at; None leaves it to the kernel.
        collateral: what is to be taken in place of what the host hands out, or lacks: ``leaf``, ``chain``, ``crl``.
        attempts: how often to ask while the kernel is busy or the entry is disturbed.
        pause: waits between attempts; seconds.
    """

    simulated = False

    def __init__(
        self,
        directory: TsmDirectory | None = None,
        *,
        privlevel: int | None = None,
        collateral: Collateral | None = None,
        attempts: int = 8,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._directory = directory or TsmDirectory()
        self._privlevel = privlevel
        self._collateral = collateral or Collateral(items={})
        self._attempts = attempts
        self._pause = pause

    def collect(self, report_data: bytes) -> CollectedEvidence:
        """Return a report that carries ``report_data`` (64 bytes), with the certificates that the host gave.

        Raises:
            MisuseError: ``snp.report-data``: not 64 bytes.
            UnavailableError: ``snp.no-report``: the kernel gave none; ``snp.other-provider``: this is another TEE;
                ``snp.report-disturbed``: the entry was written to by somebody else, each time.
            MalformedError: what the kernel gave is no report.
        """
        if len(report_data) != REPORT_DATA_SIZE:
            # shorter data is not padded here: whoever binds something must know what is bound
            raise MisuseError("snp.report-data", "report data has one size", got=len(report_data),
                              expected=REPORT_DATA_SIZE)  # fmt: skip
        for attempt in range(1, self._attempts + 1):
            try:
                return self._attempt(report_data)
            except OSError as reason:
                if reason.errno not in _BUSY or attempt == self._attempts:
                    raise self._no_report(reason) from None
            except _DisturbedError:
                if attempt == self._attempts:
                    raise self._disturbed(attempt) from None
            self._pause(min(0.01 * 2**attempt, 1.0))
        raise MisuseError("snp.attempts", "at least one attempt is needed", got=self._attempts)

    def _attempt(self, report_data: bytes) -> CollectedEvidence:
        with self._entry() as entry:
            self._require_provider(entry)
            generation = self._generation(entry)
            generation += self._write(entry, report_data)
            if self._generation(entry) != generation:
                raise _DisturbedError
            raw = self._directory.read(entry, "outblob")
            table = self._read_if_there(entry, "auxblob")
            if self._generation(entry) != generation:
                raise _DisturbedError
        report = parse(raw).report
        if report.report_data != report_data:
            raise _DisturbedError
        collateral = self._with(read_certificate_table(table), report.signing_key)
        return CollectedEvidence(tee=Tee.SNP, raw=raw, collateral=collateral)

    @contextmanager
    def _entry(self) -> Iterator[str]:
        entry = f"sealroom-{os.getpid()}-{secrets.token_hex(8)}"
        self._directory.create(entry)
        try:
            yield entry
        finally:
            self._directory.remove(entry)

    def _write(self, entry: str, report_data: bytes) -> int:
        """Write the request; return how many writes that took."""
        if self._privlevel is not None:
            self._directory.write(entry, "privlevel", f"{self._privlevel}\n".encode())
        self._directory.write(entry, "inblob", report_data)
        return 1 if self._privlevel is None else 2

    def _generation(self, entry: str) -> int:
        text = self._directory.read(entry, "generation").strip()
        if not text.isdigit():
            raise _DisturbedError
        return int(text)

    def _require_provider(self, entry: str) -> None:
        provider = self._directory.read(entry, "provider").strip().decode("ascii", "replace")
        if provider != _PROVIDER:
            raise UnavailableError("snp.other-provider", "this machine's reports are not of SEV-SNP", got=provider,
                                   expected=_PROVIDER, where=str(self._directory.path))  # fmt: skip

    def _read_if_there(self, entry: str, attribute: str) -> bytes:
        try:
            return self._directory.read(entry, attribute)
        except FileNotFoundError:
            return b""

    def _with(self, table: dict[str, bytes], signing_key: SigningKey) -> Collateral:
        """The host's certificates under the names that verification asks for, ours before the host's."""
        items: dict[str, bytes] = {}
        if (leaf := table.get(signing_key.name.lower())) is not None:
            items["leaf"] = leaf
        if "ask" in table and "ark" in table:
            issuers = read_certificate(table["ask"]), read_certificate(table["ark"])
            items["chain"] = as_pem(*(issuer.der for issuer in issuers))
        if "crl" in table:
            items["crl"] = table["crl"]
        return Collateral(items={**items, **self._collateral.items})

    def _disturbed(self, attempts: int) -> UnavailableError:
        return UnavailableError(
            "snp.report-disturbed",
            "somebody else writes to our report entries",
            where=str(self._directory.path),
            got=f"{attempts} attempts, each disturbed",
            hint="another privileged process interferes; find it",
        )

    def _no_report(self, reason: OSError) -> UnavailableError:
        return UnavailableError(
            "snp.no-report",
            "the kernel gives no attestation report",
            where=str(self._directory.path),
            got=f"{errno.errorcode.get(reason.errno or 0, 'an error')}: {reason.strerror}",
            hint=_HINTS.get(reason.errno or 0, "the kernel's log may say more"),
        )


class _DisturbedError(Exception):
    """Somebody else wrote to our entry; never leaves this module."""
