"""Asks the TPM of the machine that we run in for a quote, through tpm2-tools.

The attestation key is a primary key of the endorsement hierarchy: a TPM derives the same one from its seed each time,
so that nothing has to be kept, and a key that was enrolled once stays the same until the TPM is replaced. A key that
was made before can be named by its handle instead.
"""

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path

from sealroom.errors import MisuseError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.tees._tpm.attest import TpmHash
from sealroom.tees._tpm.collect_tools import (
    DEVICE,
    EVENT_LOG,
    PUBLIC,
    QuotedParts,
    Tools,
    log_that_leads_to,
    read_part,
    scratch,
)
from sealroom.tees.tpm.layout import parse

__all__ = ["DEVICE", "EVENT_LOG", "TpmTools"]

_CARRIED = 32
_ATTRIBUTES = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign"
_KEY = "ak.ctx"


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
        tools = Tools(tcti=self.tcti, timeout=self.timeout)
        with scratch() as folder:
            key, public = self._load_key(tools, folder)
            parts = tools.quote(key, public, report_data, bank=self.bank, folder=folder)
        raw = self._written(parts, public)
        parse(raw)
        return CollectedEvidence(tee=Tee.TPM, raw=raw, collateral=self.collateral)

    def _load_key(self, tools: Tools, folder: Path) -> tuple[str, bytes]:
        """What the key is called from now on, and its public area."""
        if self.key is not None:
            return self.key, tools.public_of(self.key, folder=folder)
        tools.run("tpm2_createprimary", "-Q", "-C", "e", "-g", "sha256", "-G", "ecc256:ecdsa-sha256:null",
                  "-a", _ATTRIBUTES, "-c", _KEY, "-f", "tss", "-o", PUBLIC, folder=folder)  # fmt: skip
        return _KEY, read_part(folder / PUBLIC)

    def _written(self, parts: QuotedParts, public: bytes) -> bytes:
        document: dict[str, object] = {
            "tpm_quote": {
                "message": _text(parts.message),
                "signature": _text(parts.signature),
                "pcrs": [value.hex() for value in parts.values.values()],
            },
            "ak_public": _text(public),
        }
        if log := log_that_leads_to(parts.values, bank=self.bank, log=self.event_log):
            document["event_log"] = _text(log)
        return json.dumps(document).encode()


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
