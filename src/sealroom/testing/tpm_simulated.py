"""A machine that has nothing but a TPM, in software: an `Attester` that nobody should trust.

    guest = SimulatedTpm(tpm=SoftTpm.create(), event_log=None)
    guest.collect(carried("tpm", report_data))

Evidence in the form of `sealroom.tees.tpm`, with the key's whole public area, as `tees.tpm.collect` writes it.
"""

import base64
import json
from dataclasses import dataclass, field

from sealroom.errors import MisuseError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.tees._tpm.attest import TpmHash
from sealroom.testing.tpm import Selection, SoftTpm, sized

__all__ = ["SimulatedTpm", "write_evidence"]

_CARRIED = 32


@dataclass(kw_only=True)
class SimulatedTpm:
    """What runs on that machine.

    Args:
        tpm: with its registers as the boot left them.
        event_log: of that boot, or none.
        bank: what to quote, all 24 registers of it.
    """

    tpm: SoftTpm = field(default_factory=SoftTpm.create)
    event_log: bytes | None = field(default=None, repr=False)
    bank: TpmHash = TpmHash.SHA256

    @property
    def tee(self) -> Tee:
        """`Tee.TPM`."""
        return Tee.TPM

    @property
    def simulated(self) -> bool:
        """Asked by a room before it listens: simulated hardware never serves the world."""
        return True

    @property
    def root_fingerprint(self) -> bytes:
        """SHA-256 of the key's SubjectPublicKeyInfo: what a policy names under ``insecure_simulated``."""
        return self.tpm.fingerprint

    def collect(self, report_data: bytes) -> CollectedEvidence:
        """Return a quote whose extra data is ``report_data``: the 32 bytes of `sealroom.binding.carried`."""
        if len(report_data) != _CARRIED:
            raise MisuseError("simulated.report-data", "a quote carries the digest of report data, 32 bytes",
                              got=len(report_data), expected=_CARRIED)  # fmt: skip
        selection = self.tpm.all_of(self.bank)
        raw = write_evidence(self.tpm, *self.tpm.quote(report_data, selection), selection=selection,
                             event_log=self.event_log)  # fmt: skip
        return CollectedEvidence(tee=Tee.TPM, raw=raw, collateral=Collateral(items={}))


def write_evidence(
    tpm: SoftTpm,
    message: bytes,
    signature: bytes,
    *,
    selection: Selection | None = None,
    event_log: bytes | None = None,
    key: bytes | None = None,
) -> bytes:
    """The JSON of a quote of one bank; ``key`` in place of the TPM2B_PUBLIC of the TPM's."""
    (values,) = tpm.values(selection).values()
    document: dict[str, object] = {
        "tpm_quote": {
            "message": _text(message),
            "signature": _text(signature),
            "pcrs": [value.hex() for value in values.values()],
        },
        "ak_public": _text(key or sized(tpm.public_area())),
    }
    if event_log is not None:
        document["event_log"] = _text(event_log)
    return json.dumps(document).encode()


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
