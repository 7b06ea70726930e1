"""A vTPM of somebody else's making (swtpm), dressed as that of a confidential VM of Azure's."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azure_host import Host

from sealroom.tees.azure_vtpm.collect import AzureVtpm
from sealroom.testing.azure import SimulatedAzure
from sealroom.testing.azure_hcl import jwk_of, runtime_text

LARGEST_INDEX = 2048
"""Bytes that the emulator keeps in one index: less than Azure's 2600, so that the report binds one key alone."""
ATTRIBUTES = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign|noda"


@dataclass(kw_only=True)
class Vm:
    """A confidential VM: its vTPM, the host, and the attester that asks both."""

    tcti: str
    host: Host
    attester: AzureVtpm
    folder: Path
    guest: SimulatedAzure
    """The hardware."""
    key: Any
    """The vTPM's attestation key, public."""

    def tool(self, *arguments: str) -> None:
        run(self.tcti, *arguments)

    def runtime(self, key: Any = None, **more: object) -> bytes:
        return runtime_text({"keys": [jwk_of(key or self.key, "HCLAkPub", "sign")],
                             "vm-configuration": {"secure-boot": True}, **more})  # fmt: skip

    def put_report(self, raw: bytes) -> None:
        """What the paravisor keeps in the vTPM."""
        (self.folder / "report").write_bytes(raw)
        self.tool("tpm2_nvwrite", "0x01400001", "-C", "o", "-i", str(self.folder / "report"))


def run(tcti: str, *arguments: str) -> None:
    environment = {"PATH": "/usr/bin:/bin", "TPM2TOOLS_TCTI": tcti}
    subprocess.run(arguments, check=True, env=environment, capture_output=True)
