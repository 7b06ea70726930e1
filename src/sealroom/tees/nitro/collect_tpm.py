"""Asks the NitroTPM of the EC2 instance that we run in for a document, through AWS's ``nitro-tpm-attest``.

The program takes what a document shall carry from files, and prints the document. It reaches the TPM by a command of
AWS's own, which tpm2-tools do not know.
Source: AWS, "Get the NitroTPM Attestation Document"; the program's own source.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from sealroom.errors import UnavailableError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.tees._tsm.collect import require_report_data
from sealroom.tees.nitro.collect import require_answer
from sealroom.tees.nitro.layout import parse

__all__ = ["PROGRAM", "VENDOR", "NitroTpm", "has_nitro_tpm"]

PROGRAM = "nitro-tpm-attest"
VENDOR = Path("/sys/class/dmi/id/sys_vendor")
_EC2 = "Amazon EC2"


def has_nitro_tpm(vendor: Path, program: str = PROGRAM) -> bool:
    """Whether this is an instance of EC2 on which AWS's program is installed; whether it has a TPM is seen elsewhere.

    Args:
        vendor: the file in which the firmware says who made the machine.
        program: name or path.
    """
    try:
        return vendor.read_text(errors="replace").strip() == _EC2 and shutil.which(program) is not None
    except OSError:
        return False


class NitroTpm:
    """The NitroTPM of this instance: an `Attester`.

    Args:
        program: name or path.
        timeout: seconds that it may take.
    """

    tee = Tee.NITRO
    simulated = False

    def __init__(self, program: str = PROGRAM, *, timeout: float = 60) -> None:
        self._program = program
        self._timeout = timeout

    def document(self, user_data: bytes, *, nonce: bytes | None = None, public_key: bytes | None = None) -> bytes:
        """A document that carries these, as `sealroom.tees.nitro.collect.NitroModule.document`.

        Raises:
            UnavailableError: ``nitro.no-document``: there is none; ``nitro.other-document``: it says something else,
                or is not of a NitroTPM.
            MalformedError: ``nitro.*``: what was printed is no document.
        """
        given = {"user-data": user_data, "nonce": nonce, "public-key": public_key}
        with tempfile.TemporaryDirectory(prefix="sealroom-nitro-") as name:
            words = []
            for option, content in given.items():
                if content is not None:
                    (Path(name) / option).write_bytes(content)
                    words += [f"--{option}", option]
            raw = self._printed(words, Path(name))
        require_answer(parse(raw).document, (user_data, nonce, public_key), where=self._program, tpm=True)
        return raw

    def collect(self, report_data: bytes) -> CollectedEvidence:
        """Return a document whose user data is ``report_data`` (64 bytes).

        Raises:
            MisuseError: ``evidence.report-data-size``.
            UnavailableError, MalformedError: as `document`.
        """
        require_report_data(report_data)
        return CollectedEvidence(tee=Tee.NITRO, raw=self.document(report_data), collateral=Collateral(items={}))

    def _printed(self, words: list[str], folder: Path) -> bytes:
        if (path := shutil.which(self._program)) is None:
            raise self._no_document("the program is not installed")
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}
        try:
            done = subprocess.run([path, *words], cwd=folder, env=environment, stdin=subprocess.DEVNULL,  # noqa: S603 - no shell, and no argument that a stranger chose
                                  capture_output=True, timeout=self._timeout, check=False)  # fmt: skip
        except subprocess.TimeoutExpired:
            raise self._no_document(f"no answer within {self._timeout:g} s") from None
        except OSError as reason:
            raise self._no_document(f"it could not be run: {reason.strerror}") from None
        if done.returncode:
            said = ascii(done.stderr.decode("utf-8", "replace").strip())[-300:]
            raise self._no_document(f"exit status {done.returncode}: {said}")
        return done.stdout

    def _no_document(self, got: str) -> UnavailableError:
        return UnavailableError("nitro.no-document", "the NitroTPM gives no attestation document",
                                where=self._program, got=got, hint="install aws-nitro-tpm-tools, and be root; the "
                                "image must have been registered with a TPM")  # fmt: skip
