"""Asks the TPM of the machine that we run in for a quote, through tpm2-tools.

The attestation key is a primary key of the endorsement hierarchy: a TPM derives the same one from its seed each time,
so that nothing has to be kept, and a key that was enrolled once stays the same until the TPM is replaced. A key that
was made before can be named by its handle instead.
"""

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sealroom.errors import MisuseError, SealroomError, UnavailableError, UnverifiedError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.tees._tpm.attest import HASHES, Scheme, TpmHash
from sealroom.tees._tpm.event_log import verify_log
from sealroom.tees._tpm.public import read_public
from sealroom.tees._tpm.quote import require_pcrs
from sealroom.tees.tpm.layout import TpmEvidence, parse

__all__ = ["DEVICE", "EVENT_LOG", "TpmTools"]

DEVICE = Path("/dev/tpmrm0")
"""The kernel's resource manager: what we load into the TPM is unloaded when we are done."""
EVENT_LOG = Path("/sys/kernel/security/tpm0/binary_bios_measurements")

_CARRIED = 32
_PCRS = 24
_LARGEST_LOG = 4 * 1024 * 1024
_LARGEST_PART = 64 * 1024
_ATTEMPTS = 3
_ATTRIBUTES = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign"
_KEY, _PUBLIC, _QUOTE, _SIGNATURE, _VALUES = "ak.ctx", "ak.pub", "quote", "signature", "pcrs"


@dataclass(frozen=True, kw_only=True)
class TpmTools:
    """The TPM of the machine that we run in: an `Attester`.

    Args:
        tcti: how tpm2-tools reach it (``device:/dev/tpmrm0``, ``swtpm:port=2321``); their own variable
            ``TPM2TOOLS_TCTI`` or the device unless given.
        key: handle of an attestation key that is in the TPM (``0x81010002``), in place of the derived one.
        bank: which PCRs are quoted, all 24 of them.
        event_log: the firmware's log; a machine without one has none.
        timeout: seconds that one command may take. Slow TPMs take ten to derive a key.
    """

    tcti: str | None = None
    key: str | None = None
    bank: TpmHash = TpmHash.SHA256
    event_log: Path = EVENT_LOG
    timeout: float = 60
    collateral: Collateral = field(default_factory=lambda: Collateral(items={}))

    @property
    def tee(self) -> Tee:
        """`Tee.TPM`."""
        return Tee.TPM

    @property
    def simulated(self) -> bool:
        """A TPM in software is no machine's own: whoever runs one names its key as one that was enrolled."""
        return False

    def collect(self, report_data: bytes) -> CollectedEvidence:
        """Return a quote whose extra data is ``report_data``: the 32 bytes of `sealroom.binding.carried`.

        Raises:
            MisuseError: ``evidence.report-data-size``.
            UnavailableError: ``tpm.no-tools``, ``tpm.tool``, ``tpm.timeout``: no quote could be had;
                ``tpm.pcrs-changed``: the PCRs changed again and again while they were read.
            MalformedError: ``tpm.*``: what the tools wrote is no quote.
        """
        if len(report_data) != _CARRIED:
            raise MisuseError("evidence.report-data-size", "a quote carries the digest of report data",
                              got=f"{len(report_data)} bytes", expected=f"{_CARRIED} bytes")  # fmt: skip
        with tempfile.TemporaryDirectory(prefix="sealroom-tpm-") as name:
            folder = Path(name)
            key = self._load_key(folder)
            for _ in range(_ATTEMPTS):
                evidence = self._quote(folder, key, report_data)
                if _holds(evidence):
                    return CollectedEvidence(tee=Tee.TPM, raw=evidence.raw, collateral=self.collateral)
        raise UnavailableError("tpm.pcrs-changed", "the PCRs changed while they were read, each time",
                               got=f"{_ATTEMPTS} attempts", hint="try again when the machine is quieter")  # fmt: skip

    def _load_key(self, folder: Path) -> str:
        """What the key is called from now on; its public area is written beside."""
        if self.key is not None:
            self._run("tpm2_readpublic", "-c", self.key, "-f", "tss", "-o", _PUBLIC, folder=folder)
            return self.key
        self._run("tpm2_createprimary", "-Q", "-C", "e", "-g", "sha256", "-G", "ecc256:ecdsa-sha256:null",
                  "-a", _ATTRIBUTES, "-c", _KEY, "-f", "tss", "-o", _PUBLIC, folder=folder)  # fmt: skip
        return _KEY

    def _quote(self, folder: Path, key: str, nonce: bytes) -> TpmEvidence:
        indices = ",".join(str(index) for index in range(_PCRS))
        files = ("-m", _QUOTE, "-s", _SIGNATURE, "-f", "tss", "-o", _VALUES, "-F", "values")
        self._run("tpm2_quote", "-Q", "-c", key, *_scheme_of(folder), "-l", f"{self.bank.word}:{indices}",
                  "-q", nonce.hex(), *files, folder=folder)  # fmt: skip
        parts = {name: _read(folder / name) for name in (_QUOTE, _SIGNATURE, _VALUES, _PUBLIC)}
        size = HASHES[self.bank](b"").digest_size
        values = [parts[_VALUES][at : at + size] for at in range(0, len(parts[_VALUES]), size)]
        document: dict[str, object] = {
            "tpm_quote": {
                "message": _text(parts[_QUOTE]),
                "signature": _text(parts[_SIGNATURE]),
                "pcrs": [value.hex() for value in values],
            },
            "ak_public": _text(parts[_PUBLIC]),
        }
        if log := self._log(dict(enumerate(values))):
            document["event_log"] = _text(log)
        return parse(json.dumps(document).encode())

    def _log(self, pcrs: Mapping[int, bytes]) -> bytes | None:
        """The firmware's log, if it leads to the PCRs.

        One that does not would have the whole of the evidence refused: some software extends a PCR that the firmware
        has logged, and writes down elsewhere that it did. A policy that wants a log says so.
        """
        try:
            with self.event_log.open("rb") as file:
                raw = file.read(_LARGEST_LOG)
            verify_log(raw, {self.bank: pcrs})
        except (OSError, SealroomError):
            return None
        return raw

    def _run(self, tool: str, *arguments: str, folder: Path) -> None:
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
                                   hint="be a member of the group tss, or root; a password on the endorsement "
                                   "hierarchy needs a key by its handle")  # fmt: skip


def _scheme_of(folder: Path) -> tuple[str, ...]:
    """How the key signs, which the tool does not look up by itself; nothing for a key that signs in any way."""
    public = read_public(_read(folder / _PUBLIC)[2:])
    if public.scheme not in set(Scheme) or public.scheme_hash not in set(TpmHash):
        return ()
    return "--scheme", Scheme(public.scheme).name.lower(), "-g", TpmHash(public.scheme_hash).word


def _holds(evidence: TpmEvidence) -> bool:
    quote = evidence.quote
    try:
        require_pcrs(quote.attest, quote.pcrs, quote.signature.digest)
    except UnverifiedError:
        return False
    return True


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_PART)
    except OSError as reason:
        raise UnavailableError("tpm.tool", "a tool wrote no answer", where=path.name, got=reason.strerror) from None


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
