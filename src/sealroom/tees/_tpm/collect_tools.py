"""Asks the TPM of the machine that we run in, through tpm2-tools: quotes, keys, indices, and the firmware's log."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sealroom.errors import SealroomError, UnavailableError, UnverifiedError
from sealroom.tees._tpm.attest import HASHES, Scheme, TpmHash, read_attest, read_signature
from sealroom.tees._tpm.event_log import verify_log
from sealroom.tees._tpm.public import TpmPublic, read_public
from sealroom.tees._tpm.quote import require_pcrs

__all__ = ["DEVICE", "EVENT_LOG", "PUBLIC", "QuotedParts", "Tools", "log_that_leads_to", "read_part", "scratch"]

DEVICE = Path("/dev/tpmrm0")
"""The kernel's resource manager: what we load into the TPM is unloaded when we are done."""
EVENT_LOG = Path("/sys/kernel/security/tpm0/binary_bios_measurements")

_PCRS = 24
_LARGEST_LOG = 4 * 1024 * 1024
_LARGEST_PART = 64 * 1024
_ATTEMPTS = 3
PUBLIC = "ak.pub"
"""Where the tools write the public area of a key."""
_QUOTE, _SIGNATURE, _VALUES, _INDEX = "quote", "signature", "pcrs", "index"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotedParts:
    """What a TPM gave. The values are those that the quote is a digest of; nothing else about it was verified."""

    message: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    """TPMT_SIGNATURE."""
    values: Mapping[int, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """tpm2-tools, and the TPM that they reach.

    Args:
        tcti: how they reach it (``device:/dev/tpmrm0``, ``swtpm:port=2321``); their own variable ``TPM2TOOLS_TCTI``
            or the device unless given.
        timeout: seconds that one command may take.
    """

    tcti: str | None = None
    timeout: float = 60

    def quote(self, key: str, public: bytes, nonce: bytes, *, bank: TpmHash, folder: Path) -> QuotedParts:
        """A quote by ``key``, whose TPM2B_PUBLIC is ``public``, over all 24 PCRs of ``bank``, and their values.

        Raises:
            UnavailableError: as `run`; ``tpm.pcrs-changed``: they changed again and again while they were read.
            MalformedError: ``tpm.*``: what the tools wrote is no quote.
        """
        scheme = _scheme_of(read_public(public[2:]))
        for _ in range(_ATTEMPTS):
            parts = self._quote(key, nonce, scheme, bank, folder)
            if _holds(parts, bank):
                return parts
        raise UnavailableError("tpm.pcrs-changed", "the PCRs changed while they were read, each time",
                               got=f"{_ATTEMPTS} attempts", hint="try again when the machine is quieter")  # fmt: skip

    def public_of(self, handle: str, *, folder: Path) -> bytes:
        """TPM2B_PUBLIC of a key that is in the TPM."""
        self.run("tpm2_readpublic", "-Q", "-c", handle, "-f", "tss", "-o", PUBLIC, folder=folder)
        return read_part(folder / PUBLIC)

    def index(self, handle: str, *, folder: Path) -> bytes:
        """The contents of an NV index, read with the owner's authorization."""
        self.run("tpm2_nvread", handle, "-C", "o", "-o", _INDEX, folder=folder)
        return read_part(folder / _INDEX)

    def indices(self, *, folder: Path) -> frozenset[int]:
        """The handles of all NV indices."""
        listed = self.run("tpm2_getcap", "handles-nv-index", folder=folder)
        return frozenset(int(found, 16) for found in re.findall(rb"0x([0-9A-Fa-f]{1,8})\b", listed))

    def run(self, tool: str, *arguments: str, folder: Path) -> bytes:
        """Run one of the tools in ``folder``; return what it prints.

        Raises:
            UnavailableError: ``tpm.no-tools``, ``tpm.tool``, ``tpm.timeout``.
        """
        path = shutil.which(tool)
        if path is None:
            raise UnavailableError("tpm.no-tools", "tpm2-tools are not installed", expected=tool,
                                   hint="install the package tpm2-tools")  # fmt: skip
        tcti = self.tcti or os.environ.get("TPM2TOOLS_TCTI") or f"device:{DEVICE}"
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TPM2TOOLS_TCTI": tcti}
        try:
            done = subprocess.run([path, *arguments], cwd=folder, env=environment, stdin=subprocess.DEVNULL,  # noqa: S603 - no shell, and no argument that a stranger chose
                                  capture_output=True, timeout=self.timeout, check=False)  # fmt: skip
        except subprocess.TimeoutExpired:
            raise UnavailableError("tpm.timeout", "the TPM did not answer in time", where=tool,
                                   expected=f"within {self.timeout:g} s") from None  # fmt: skip
        except OSError as reason:
            raise UnavailableError("tpm.tool", "a tool could not be run", where=tool, got=reason.strerror) from None
        if done.returncode:
            said = ascii(done.stderr.decode("utf-8", "replace").strip())[-300:]
            raise UnavailableError("tpm.tool", "the TPM could not be asked", where=f"{tool} through {tcti}", got=said,
                                   hint="be a member of the group tss, or root; a password on a hierarchy needs a "
                                   "key by its handle")  # fmt: skip
        return done.stdout

    def _quote(self, key: str, nonce: bytes, scheme: tuple[str, ...], bank: TpmHash, folder: Path) -> QuotedParts:
        indices = ",".join(str(index) for index in range(_PCRS))
        files = ("-m", _QUOTE, "-s", _SIGNATURE, "-f", "tss", "-o", _VALUES, "-F", "values")
        self.run("tpm2_quote", "-Q", "-c", key, *scheme, "-l", f"{bank.word}:{indices}", "-q", nonce.hex(), *files,
                 folder=folder)  # fmt: skip
        message, signature, joined = (read_part(folder / name) for name in (_QUOTE, _SIGNATURE, _VALUES))
        size = HASHES[bank](b"").digest_size
        values = [joined[at : at + size] for at in range(0, len(joined), size)]
        return QuotedParts(message=message, signature=signature, values=dict(enumerate(values)))


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for what the tools write, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="sealroom-tpm-") as name:
        yield Path(name)


def log_that_leads_to(values: Mapping[int, bytes], *, bank: TpmHash, log: Path) -> bytes | None:
    """The firmware's log, if it leads to the PCRs.

    One that does not would have the whole of the evidence refused: some software extends a PCR that the firmware
    has logged, and writes down elsewhere that it did. A policy that wants a log says so.
    """
    try:
        with log.open("rb") as file:
            raw = file.read(_LARGEST_LOG)
        verify_log(raw, {bank: values})
    except (OSError, SealroomError):
        return None
    return raw or None


def read_part(path: Path) -> bytes:
    """What a tool wrote.

    Raises:
        UnavailableError: ``tpm.tool``: it wrote nothing.
    """
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_PART)
    except OSError as reason:
        raise UnavailableError("tpm.tool", "a tool wrote no answer", where=path.name, got=reason.strerror) from None


def _scheme_of(public: TpmPublic) -> tuple[str, ...]:
    """How the key signs, which the tool does not look up by itself; nothing for a key that signs in any way."""
    if public.scheme not in set(Scheme) or public.scheme_hash not in set(TpmHash):
        return ()
    return "--scheme", Scheme(public.scheme).name.lower(), "-g", TpmHash(public.scheme_hash).word


def _holds(parts: QuotedParts, bank: TpmHash) -> bool:
    attest, signature = read_attest(parts.message), read_signature(parts.signature)
    try:
        require_pcrs(attest, {bank: parts.values}, signature.digest)
    except UnverifiedError:
        return False
    return True
