"""Asks the machine's own silicon for evidence, through Linux configfs-tsm (kernel 6.7 and later).

Specification: Documentation/ABI/testing/configfs-tsm. An entry is a directory that we make, write to, read from and
remove. Reading ``outblob`` runs the request. Entries can be seen and written by every privileged process, so each
call makes one of its own under a name that nobody else has, and ``generation`` (which counts every write) must be
what our own writes alone make it, before and after the read.
"""

import errno
import os
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sealroom.binding import REPORT_DATA_SIZE
from sealroom.errors import MisuseError, UnavailableError
from sealroom.evidence import Collateral, CollectedEvidence, Tee

__all__ = [
    "REPORT_DIRECTORY",
    "TsmAnswer",
    "TsmAttester",
    "TsmDirectory",
    "TsmReports",
    "provider_of",
    "require_report_data",
]

REPORT_DIRECTORY = Path("/sys/kernel/config/tsm/report")
_BUSY = frozenset({errno.EBUSY, errno.EAGAIN, errno.EINTR})
"""Another request is on its way (EWOULDBLOCK is EAGAIN on Linux): worth asking again."""

_HINTS = {
    errno.ENOENT: "is this a confidential guest, kernel 6.7 or later, configfs mounted, the guest's module loaded "
    "(sev-guest, tdx-guest or arm-cca-guest)?",
    errno.EACCES: "reports can be asked for by root only",
    errno.EPERM: "reports can be asked for by root only",
    errno.ENXIO: "no provider is loaded: modprobe sev-guest, tdx-guest or arm-cca-guest",
    errno.ENOTTY: "the provider was unloaded: modprobe sev-guest, tdx-guest or arm-cca-guest",
    errno.EINVAL: "the privilege level asked for may be below the guest's own (privlevel_floor)",
    errno.EIO: "the host or the firmware refused the request; the kernel's log says more (a TDX guest needs a quote "
    "generation service on its host)",
    errno.ETIMEDOUT: "the host did not answer; it may limit how often a guest may ask, or lack a quote generation "
    "service",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TsmAnswer:
    """What the kernel gave: untrusted bytes."""

    outblob: bytes = field(repr=False)
    """The report or quote."""
    auxblob: bytes = field(repr=False)
    """What the host adds, such as a certificate table; empty if it adds nothing."""


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


class TsmReports:
    """Requests to one provider.

    Args:
        directory: where reports are asked for.
        provider: the kernel's name of the TEE that is expected: ``sev_guest``, ``tdx_guest``.
        privlevel: the privilege level to ask at (VMPL); None leaves it to the kernel.
        attempts: how often to ask while the kernel is busy or the entry is disturbed.
        pause: waits between attempts; seconds.
    """

    def __init__(
        self,
        directory: TsmDirectory,
        *,
        provider: str,
        privlevel: int | None = None,
        attempts: int = 8,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._directory = directory
        self._provider = provider
        self._privlevel = privlevel
        self._attempts = attempts
        self._pause = pause

    def ask(self, report_data: bytes, *, carries: Callable[[bytes], bytes]) -> TsmAnswer:
        """Return an answer whose report carries ``report_data`` (64 bytes).

        Args:
            report_data: what the report must bind.
            carries: reads the report data out of an answer.

        Raises:
            MisuseError: ``evidence.report-data-size``: not 64 bytes.
            UnavailableError: ``tsm.no-report``: the kernel gave none; ``tsm.other-provider``: this is another TEE;
                ``tsm.disturbed``: the entry was written to by somebody else, each time.
            MalformedError: what the kernel gave is no report (raised by ``carries``).
        """
        require_report_data(report_data)
        for attempt in range(1, self._attempts + 1):
            try:
                return self._attempt(report_data, carries)
            except OSError as reason:
                if reason.errno not in _BUSY or attempt == self._attempts:
                    raise self._no_report(reason) from None
            except _DisturbedError:
                if attempt == self._attempts:
                    raise self._disturbed(attempt) from None
            self._pause(min(0.01 * 2**attempt, 1.0))
        raise MisuseError("tsm.attempts", "at least one attempt is needed", got=self._attempts)

    def _attempt(self, report_data: bytes, carries: Callable[[bytes], bytes]) -> TsmAnswer:
        with _entry(self._directory) as entry:
            self._require_provider(entry)
            generation = self._generation(entry)
            generation += self._write(entry, report_data)
            if self._generation(entry) != generation:
                raise _DisturbedError
            raw = self._directory.read(entry, "outblob")
            table = self._read_if_there(entry, "auxblob")
            if self._generation(entry) != generation:
                raise _DisturbedError
        if carries(raw) != report_data:
            raise _DisturbedError
        return TsmAnswer(outblob=raw, auxblob=table)

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
        provider = _provider(self._directory, entry)
        if provider != self._provider:
            raise UnavailableError("tsm.other-provider", "this machine's reports are of another TEE", got=provider,
                                   expected=self._provider, where=str(self._directory.path))  # fmt: skip

    def _read_if_there(self, entry: str, attribute: str) -> bytes:
        try:
            return self._directory.read(entry, attribute)
        except FileNotFoundError:
            return b""

    def _disturbed(self, attempts: int) -> UnavailableError:
        return UnavailableError(
            "tsm.disturbed",
            "somebody else writes to our report entries",
            where=str(self._directory.path),
            got=f"{attempts} attempts, each disturbed",
            hint="another privileged process interferes; find it",
        )

    def _no_report(self, reason: OSError) -> UnavailableError:
        return UnavailableError(
            "tsm.no-report",
            "the kernel gives no attestation report",
            where=str(self._directory.path),
            got=f"{errno.errorcode.get(reason.errno or 0, 'an error')}: {reason.strerror}",
            hint=_HINTS.get(reason.errno or 0, "the kernel's log may say more"),
        )


class TsmAttester(ABC):
    """The silicon of the machine that we run in, through configfs-tsm: an `Attester`. A TEE adds what is its own.

    Args:
        directory: where evidence is asked for.
        privlevel: the privilege level to ask at; None leaves it to the kernel.
        collateral: what goes along, under the names of `Collateral`.
        attempts: how often to ask while the kernel is busy or the entry is disturbed.
        pause: waits between attempts; seconds.
    """

    tee: Tee
    provider: str
    """The kernel's name for it."""
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
        self._reports = TsmReports(directory or TsmDirectory(), provider=self.provider, privlevel=privlevel,
                                   attempts=attempts, pause=pause)  # fmt: skip
        self._collateral = collateral or Collateral(items={})

    def collect(self, report_data: bytes) -> CollectedEvidence:
        """Return evidence that carries ``report_data`` (64 bytes).

        Raises:
            MisuseError, UnavailableError, MalformedError: as `TsmReports.ask`.
        """
        answer = self._reports.ask(report_data, carries=self.report_data)
        return self.evidence(answer, self._collateral)

    @abstractmethod
    def report_data(self, raw: bytes) -> bytes:
        """Read the report data out of an answer.

        Raises:
            MalformedError: it is no evidence of this TEE.
        """

    def evidence(self, answer: TsmAnswer, collateral: Collateral) -> CollectedEvidence:
        """Evidence of an answer, and of what goes along."""
        return CollectedEvidence(tee=self.tee, raw=answer.outblob, collateral=collateral)


def provider_of(directory: TsmDirectory) -> str | None:
    """The kernel's name of this machine's TEE; None without configfs-tsm or a provider, or if we may not ask."""
    try:
        with _entry(directory) as entry:
            return _provider(directory, entry)
    except OSError:
        return None


def require_report_data(report_data: bytes) -> None:
    """Raise `MisuseError` unless it has the one size.

    Shorter data is not padded here: whoever binds something must know what is bound.
    """
    if len(report_data) != REPORT_DATA_SIZE:
        raise MisuseError("evidence.report-data-size", "report data has one size", got=len(report_data),
                          expected=REPORT_DATA_SIZE)  # fmt: skip


@contextmanager
def _entry(directory: TsmDirectory) -> Iterator[str]:
    entry = f"sealroom-{os.getpid()}-{secrets.token_hex(8)}"
    directory.create(entry)
    try:
        yield entry
    finally:
        directory.remove(entry)


def _provider(directory: TsmDirectory, entry: str) -> str:
    return directory.read(entry, "provider").strip().decode("ascii", "replace")


class _DisturbedError(Exception):
    """Somebody else wrote to our entry; never leaves this module."""
