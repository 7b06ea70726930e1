"""Simulated machines that have nothing but a TPM."""

from dataclasses import replace

from sealroom.evidence import Attester, Tee
from sealroom.tees._tpm.attest import TpmHash
from sealroom.testing.machine_parts import CpuKind, CpuRules, Launched
from sealroom.testing.tpm import SoftTpm
from sealroom.testing.tpm_simulated import SimulatedTpm

__all__ = ["CPU", "booted", "pcr_rules"]

_KERNEL, _INIT_DATA = 4, 8
"""The registers of what the firmware starts, and of what that was started for (`binding.INIT_DATA_FIELD`)."""


class _Tpm(CpuKind):
    tee = Tee.TPM
    words = "machine with a TPM and nothing else"

    def create(self) -> SoftTpm:
        return SoftTpm.create()

    def attester(self, platform: SoftTpm, launched: Launched) -> Attester:
        return SimulatedTpm(tpm=booted(platform, launched))

    def rules(self, platform: SoftTpm, launched: Launched) -> CpuRules:
        key = platform.fingerprint
        pins = pcr_rules(platform, launched)
        facts: dict[str, object] = {
            "key": f"sha256:{key.hex()}",
            **{name: value.hex() for name, value in pins.items()},
        }
        return CpuRules(roots=(key,), tables="[tpm]\n" + pcr_text(pins), facts=facts)


def booted(platform: SoftTpm, launched: Launched) -> SoftTpm:
    """The TPM after it has started ``launched``: switched on anew, so that nothing of an earlier guest is in it."""
    tpm = replace(platform, pcrs=SoftTpm(key=platform.key).pcrs)
    tpm.measure(_KERNEL, launched.measurement)
    tpm.extend(_INIT_DATA, dict.fromkeys(tpm.pcrs, launched.init_data))
    return tpm


def pcr_rules(platform: SoftTpm, launched: Launched) -> dict[str, bytes]:
    """The register that says which software runs, by its name among measurements."""
    return {f"pcr{_KERNEL:02d}": booted(platform, launched).pcrs[TpmHash.SHA256][_KERNEL]}


def pcr_text(pins: dict[str, bytes]) -> str:
    """TOML for ``pins``."""
    lines = "".join(f'{name} = ["{value.hex()}"]\n' for name, value in pins.items())
    return f"""\
# What was started. Simulated hardware measures the installed sealroom package in place of a boot loader.
{lines}"""


CPU = _Tpm()
