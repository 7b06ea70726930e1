"""Simulated Arm realms."""

import hashlib

from sealroom.binding import carried_init_data
from sealroom.evidence import Attester, Tee
from sealroom.testing.cca import CcaPlatform, SimulatedCca
from sealroom.testing.machine_parts import CpuKind, CpuRules, Launched

__all__ = ["CPU"]

_PERSONALIZATION = 64


class _Cca(CpuKind):
    tee = Tee.CCA
    words = "Arm CCA realm"

    def create(self) -> CcaPlatform:
        return CcaPlatform.create()

    def attester(self, platform: CcaPlatform, launched: Launched) -> Attester:
        bound = carried_init_data(Tee.CCA, launched.init_data, size=_PERSONALIZATION)
        return SimulatedCca(platform=platform, initial_measurement=_initial(launched), personalization=bound)

    def rules(self, platform: CcaPlatform, launched: Launched) -> CpuRules:
        initial, implementation = _initial(launched).hex(), platform.implementation_id.hex()
        tables = f"""\
[cca]
# What the realm was started with. Simulated hardware measures the installed sealroom package in place of memory.
rim = ["{initial}"]
# The make of the machine.
implementation_id = ["{implementation}"]
"""
        facts: dict[str, object] = {"key": f"sha256:{platform.fingerprint.hex()}", "rim": initial}
        return CpuRules(roots=(platform.fingerprint,), tables=tables, facts=facts)


def _initial(launched: Launched) -> bytes:
    return hashlib.sha256(b"simulated RIM " + launched.measurement).digest()


CPU = _Cca()
