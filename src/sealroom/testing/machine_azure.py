"""Simulated confidential VMs of Azure: a vTPM that the hardware's report binds, on SEV-SNP or on TDX."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sealroom.evidence import Attester, Tee
from sealroom.testing.azure import AzureMachine, SimulatedAzure
from sealroom.testing.dcap import DcapPlatform
from sealroom.testing.machine_parts import CpuKind, CpuRules, Launched
from sealroom.testing.machine_snp import snp_rules
from sealroom.testing.machine_tdx import fresh_collateral, registers, tdx_rules
from sealroom.testing.machine_tpm import booted, pcr_rules, pcr_text

__all__ = ["ON_SNP", "ON_TDX"]


class _Azure(CpuKind):
    tee = Tee.AZURE_VTPM

    def __init__(self, inner: Tee) -> None:
        self._inner = inner
        self.words = f"Azure VM on {'SEV-SNP' if inner is Tee.SNP else 'TDX'} hardware"

    def create(self) -> AzureMachine:
        return AzureMachine.create(self._inner)

    def attester(self, platform: AzureMachine, launched: Launched) -> Attester:
        paravisor = _paravisor(launched)
        if not isinstance(platform.platform, DcapPlatform):
            return SimulatedAzure(machine=platform, tpm=booted(platform.tpm, launched),
                                  values={"measurement": paravisor.measurement})  # fmt: skip
        values: dict[str, Any] = {"mr_td": paravisor.measurement, **registers(paravisor)}
        intel = platform.platform
        return SimulatedAzure(machine=platform, tpm=booted(platform.tpm, launched), values=values,
                              collateral=lambda: fresh_collateral(intel))  # fmt: skip

    def rules(self, platform: AzureMachine, launched: Launched) -> CpuRules:
        pins, hardware, paravisor = pcr_rules(platform.tpm, launched), platform.platform, _paravisor(launched)
        if isinstance(hardware, DcapPlatform):
            inner = tdx_rules(hardware, paravisor, table="azure-vtpm.tdx")
        else:
            inner = snp_rules(hardware, paravisor, table="azure-vtpm.snp")
        facts: Mapping[str, object] = {name: value.hex() for name, value in pins.items()}
        return replace(
            inner, tables=f"[azure-vtpm]\n{pcr_text(pins)}\n{inner.tables}", facts={**inner.facts, **facts}
        )


def _paravisor(launched: Launched) -> Launched:
    """What the hardware measures: what stands between it and the guest, not the guest."""
    measurement = hashlib.sha384(b"simulated paravisor " + launched.measurement).digest()
    return Launched(measurement=measurement, init_data=bytes(32))


ON_SNP, ON_TDX = _Azure(Tee.SNP), _Azure(Tee.TDX)
