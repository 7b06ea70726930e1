"""Simulated machines with AMD SEV-SNP. They lie in files of their own form (`snp_store`, `snp_guest`)."""

from pathlib import Path

from sealroom.binding import carried_init_data
from sealroom.evidence import Attester, Tee
from sealroom.testing.machine_parts import CpuKind, CpuRules, Launched
from sealroom.testing.snp import SimulatedSnp, SnpPlatform
from sealroom.testing.snp_guest import Launch, load_guest, save_guest
from sealroom.testing.snp_store import platform_at

__all__ = ["CPU", "snp_rules"]


class _Snp(CpuKind):
    tee = Tee.SNP
    words = "SEV-SNP hardware"

    def create(self) -> SnpPlatform:
        return SnpPlatform.create()

    def attester(self, platform: SnpPlatform, launched: Launched) -> Attester:
        return SimulatedSnp(platform=platform, measurement=launched.measurement, host_data=_host_data(launched))

    def rules(self, platform: SnpPlatform, launched: Launched) -> CpuRules:
        return snp_rules(platform, launched)

    def platform_at(self, folder: Path) -> SnpPlatform:
        return platform_at(folder)

    def launch(self, folder: Path, platform: SnpPlatform, launched: Launched) -> None:
        save_guest(folder, platform, Launch(measurement=launched.measurement, host_data=_host_data(launched)))

    def guest_at(self, folder: Path) -> Attester:
        return load_guest(folder)


def snp_rules(platform: SnpPlatform, launched: Launched, *, table: str = "snp") -> CpuRules:
    """What accepts a guest on ``platform``; ``table``: another one, where a cloud has wrapped the evidence."""
    tcb = "\n".join(f"{part} = {level}" for part, level in platform.tcb.items())
    tables = f"""\
[{table}]
# What was launched. Simulated hardware measures the installed sealroom package in place of memory pages.
measurement = ["{launched.measurement.hex()}"]
allow = ["smt"]

# The oldest firmware that is acceptable, part by part.
[{table}.minimum_tcb.{platform.product.value}]
{tcb}
"""
    facts: dict[str, object] = {
        "product": platform.product.value, "root": f"sha256:{platform.root_fingerprint.hex()}",
        "measurement": launched.measurement.hex(), "host_data": _host_data(launched).hex(),
        "minimum_tcb": dict(platform.tcb),
    }  # fmt: skip
    return CpuRules(roots=(platform.root_fingerprint,), tables=tables, facts=facts)


def _host_data(launched: Launched) -> bytes:
    return carried_init_data(Tee.SNP, launched.init_data, size=32)


CPU = _Snp()
