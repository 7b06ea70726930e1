"""The devices of a bundle, matched with what the statement says of them.

The statement names the digest of each device's evidence and of everything that was stapled to it. Once the CPU's
evidence vouches for the statement, this comparison is what keeps another machine's device, and another time's
collateral, out (``spec/evidence-bundle.md`` section 5, step 4).
"""

import hashlib
from collections.abc import Mapping

from sealroom.collateral.bundle import EvidenceBundle
from sealroom.device_statement import DeviceStatement
from sealroom.errors import UnverifiedError
from sealroom.evidence import Collateral, CollectedEvidence
from sealroom.statement import RoomStatement

__all__ = ["devices_of"]


def devices_of(bundle: EvidenceBundle, statement: RoomStatement) -> Mapping[str, CollectedEvidence]:
    """Evidence and collateral of every device that ``statement`` names, by name.

    Raises:
        UnverifiedError: ``binding.devices``: a device is here that the statement does not name, or the other way
            round; ``binding.device-evidence``, ``binding.device-collateral``: it is another one than the statement
            names; ``binding.endorsement-unused``: something is stapled that no device asked for.
    """
    stated = {device.name: device for device in statement.devices}
    if set(stated) != set(bundle.devices):
        raise UnverifiedError("binding.devices", "the bundle has other devices than the statement names",
                              got=", ".join(sorted(bundle.devices)) or "none",
                              expected=", ".join(sorted(stated)) or "none",
                              hint="somebody may have added or taken away a device: do not go on")  # fmt: skip
    used = {digest for device in statement.devices for digest in device.collateral.values()}
    if unused := set(bundle.endorsements) - used:
        raise UnverifiedError("binding.endorsement-unused", "something is stapled that the statement does not name",
                              where="endorsements", got=min(unused).hex())  # fmt: skip
    return {name: _collected(bundle, device) for name, device in stated.items()}


def _collected(bundle: EvidenceBundle, stated: DeviceStatement) -> CollectedEvidence:
    device = bundle.devices[stated.name]
    digest = hashlib.sha256(device.raw).digest()
    if device.tee is not stated.tee or digest != stated.evidence:
        raise UnverifiedError("binding.device-evidence", "a device's evidence is another than the statement names",
                              where=stated.name, got=f"{device.tee} sha256:{digest.hex()}",
                              expected=f"{stated.tee} sha256:{stated.evidence.hex()}",
                              hint="somebody may have put another machine's device here: do not go on")  # fmt: skip
    items = {}
    for name, wanted in stated.collateral.items():
        if wanted not in bundle.endorsements:
            raise UnverifiedError("binding.device-collateral", "what was stapled to a device is not in the bundle",
                                  where=f"{stated.name}, {name}", got="nothing with that digest",
                                  expected=f"sha256:{wanted.hex()}")  # fmt: skip
        items[name] = bundle.endorsements[wanted]
    # an endorsement is found by its digest, which the bundle's reader has computed
    collateral = Collateral.of_digested(items, stated.collateral)
    return CollectedEvidence(tee=device.tee, raw=device.raw, collateral=collateral)
