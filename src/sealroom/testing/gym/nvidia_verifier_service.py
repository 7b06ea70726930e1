"""NVIDIA's own verifier, as a program that is asked one question a line (``tests/interop/nvidia``).

It runs in an environment of its own, since it pins older libraries than ours, and is asked without a GPU and without
a network: about the report, the device's certificates and the reference values, and not about revocation.
"""

import base64
import json
import os
import select
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sealroom.errors import MalformedError, UnavailableError
from sealroom.evidence import Tee
from sealroom.pem import as_pem, read_pem
from sealroom.testing.gym.judges import Answer
from sealroom.testing.gym.mutation import Level, Mutation, Sample
from sealroom.testing.gym.nvidia_rims import certificates_of

__all__ = ["NvidiaLocalVerifier"]

_PATIENCE = 20
"""Seconds for one verdict."""
_NEEDS = frozenset({"cert_chain", "driver_rim", "vbios_rim"})
_MAX_LINE = 1 << 20


class NvidiaLocalVerifier:
    """``nv-local-gpu-verifier``.

    Args:
        program: starts it; ``scripts/setup-beside`` makes one.

    Raises:
        UnavailableError: ``gym.verifier``: it does not answer.
    """

    def __init__(self, program: Path) -> None:
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._roots: dict[str, tuple[str, str]] = {}
        self._architectures: dict[str, str] = {}
        told = self._ask({})
        if told is None:
            raise UnavailableError("gym.verifier", "the program does not answer", where=str(program))
        self.name = f"nv-local-gpu-verifier {told['version']}"

    def is_asked(self, original: Sample, mutation: Mutation) -> bool:
        """Reports of GPUs with both RIMs, as long as all three documents are there."""
        sample = mutation.sample
        if (
            sample.tee is not Tee.NVIDIA
            or not set(original.collateral) >= _NEEDS
            or mutation.level is Level.REVOCATION
        ):
            return False
        if mutation.level is Level.ORIGINAL:
            self._roots[sample.name] = _roots(sample)
            chain = b"".join(_blocks(sample.collateral["cert_chain"]))
            self._architectures[sample.name] = "hopper" if b"GH100" in chain else "blackwell"
        return sample.name in self._roots and set(sample.collateral) >= _NEEDS

    def judge(self, sample: Sample) -> Answer:
        """Ask it; whatever its functions raise is its answer, and no crash, since its own program catches all too."""
        device_root, rim_root = self._roots[sample.name]
        items = {name: base64.b64encode(sample.collateral[name]).decode() for name in ("driver_rim", "vbios_rim")}
        said = self._ask({
            "report": base64.b64encode(sample.raw).decode(), **items, "nonce": sample.raw[4:36].hex(),
            "chain": sample.collateral["cert_chain"].decode("latin-1"), "at": sample.at.timestamp(),
            "architecture": self._architectures[sample.name],
            "device_root": device_root, "rim_root": rim_root,
        })  # fmt: skip
        if said is None:
            return Answer(accepted=False, word=f"no answer within {_PATIENCE} s", crashed=True)
        return Answer(accepted=bool(said["accepted"]), word=str(said["word"]))

    def _ask(self, question: Mapping[str, Any]) -> Any:
        """The first answer, which needs no question, says the version."""
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603 - the program that was named
                [self._program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
            )
            version = self._line()
            if not question:
                return version
        if self._process.stdin is not None:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
        return self._line()

    def _line(self) -> Any:
        process, found = self._process, b""
        while process is not None and process.stdout is not None and not found.endswith(b"\n"):
            ready, _, _ = select.select([process.stdout], [], [], _PATIENCE)
            chunk = os.read(process.stdout.fileno(), _MAX_LINE) if ready else b""
            if not chunk:
                process.kill()
                process.wait()
                self._process = None
                return None
            found += chunk
        return json.loads(found)


def _blocks(chain: bytes) -> list[bytes]:
    try:
        return read_pem(chain.rstrip(b"\0"), "CERTIFICATE")
    except MalformedError:
        return [chain]


def _roots(sample: Sample) -> tuple[str, str]:
    """Those that it is to trust: of the sample as it was before anything was done to it."""
    device = as_pem(_blocks(sample.collateral["cert_chain"])[-1])
    return device.decode(), as_pem(certificates_of(sample.collateral["driver_rim"])[-1]).decode()
