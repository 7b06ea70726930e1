"""AWS's program ``nitro-tpm-attest``: the way to the documents of an EC2 instance's NitroTPM.

It takes what a document shall carry from files, and prints the document. It reaches the TPM by a command of AWS's
own, which tpm2-tools do not know.
Source: AWS, "Get the NitroTPM Attestation Document"; the program's own source.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from sealroom.errors import UnavailableError

__all__ = ["PROGRAM", "VENDOR", "AttestProgram", "has_nitro_tpm"]

PROGRAM = "nitro-tpm-attest"
VENDOR = Path("/sys/class/dmi/id/sys_vendor")
_EC2 = "Amazon EC2"


def has_nitro_tpm(vendor: Path, program: str = PROGRAM) -> bool:
    """Whether this is an instance of EC2 on which the program is installed; whether it has a TPM is seen elsewhere.

    Args:
        vendor: the file in which the firmware says who made the machine.
        program: name or path.
    """
    try:
        return vendor.read_text(errors="replace").strip() == _EC2 and shutil.which(program) is not None
    except OSError:
        return False


class AttestProgram:
    """The program.

    Args:
        path: its name, or where it is.
        timeout: seconds that it may take.
    """

    def __init__(self, path: str = PROGRAM, *, timeout: float = 60) -> None:
        self.path = path
        self._timeout = timeout

    def document(self, *, user_data: bytes, nonce: bytes | None, public_key: bytes | None) -> bytes:
        """What it prints when it is asked for a document that carries these.

        Raises:
            UnavailableError: ``nitro.no-document``.
        """
        given = {"user-data": user_data, "nonce": nonce, "public-key": public_key}
        with tempfile.TemporaryDirectory(prefix="sealroom-nitro-") as name:
            words = []
            for option, content in given.items():
                if content is not None:
                    (Path(name) / option).write_bytes(content)
                    words += [f"--{option}", option]
            return self._printed(words, Path(name))

    def _printed(self, words: list[str], folder: Path) -> bytes:
        if (path := shutil.which(self.path)) is None:
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
        return UnavailableError("nitro.no-document", "the NitroTPM gives no attestation document", where=self.path,
                                got=got, hint="install aws-nitro-tpm-tools, and be root; the image must have been "
                                "registered with a TPM")  # fmt: skip
