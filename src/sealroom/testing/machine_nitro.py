"""Simulated AWS Nitro enclaves."""

import hashlib

from sealroom.binding import carried_init_data
from sealroom.evidence import Attester, Tee
from sealroom.testing.machine_parts import CpuKind, CpuRules, Launched
from sealroom.testing.nitro import NitroMachine, SimulatedNitro

__all__ = ["CPU"]

_INIT_DATA = 16
"""The register that holds what an enclave was started for: `sealroom.binding.INIT_DATA_FIELD`."""


class _Nitro(CpuKind):
    tee = Tee.NITRO
    words = "Nitro enclave"

    def create(self) -> NitroMachine:
        return NitroMachine.create()

    def attester(self, platform: NitroMachine, launched: Launched) -> Attester:
        bound = carried_init_data(Tee.NITRO, launched.init_data, size=48)
        return SimulatedNitro(machine=platform, pcrs=_registers(launched) | {_INIT_DATA: bound})

    def rules(self, platform: NitroMachine, launched: Launched) -> CpuRules:
        pcrs = {f"pcr{index}": value.hex() for index, value in _registers(launched).items()}
        root = platform.vendor.root_fingerprint
        tables = f"""\
[nitro]
# What was launched: the image, its kernel, its application. Simulated hardware measures the installed sealroom
# package in place of the image, and derives the rest from it.
{"".join(f'{name} = ["{value}"]{chr(10)}' for name, value in pcrs.items())}"""
        return CpuRules(roots=(root,), tables=tables, facts={"root": f"sha256:{root.hex()}", **pcrs})


def _registers(launched: Launched) -> dict[int, bytes]:
    """PCR0 of the whole image, 1 of its kernel, 2 of its application."""
    parts = {index: hashlib.sha384(b"simulated PCR%d " % index + launched.measurement).digest() for index in (1, 2)}
    return {0: launched.measurement, **parts}


CPU = _Nitro()
