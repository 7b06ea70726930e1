"""Simulated confidential VMs of Google: a vTPM under Google's certificate, and the hardware that answers with it."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sealroom.evidence import Attester, Tee
from sealroom.tees._tpm.attest import TpmHash
from sealroom.testing.dcap import DcapPlatform
from sealroom.testing.gcp import GcpMachine, SimulatedGcp
from sealroom.testing.machine_parts import CpuKind, CpuRules, Launched
from sealroom.testing.machine_snp import snp_rules
from sealroom.testing.machine_tdx import fresh_collateral, registers, tdx_rules
from sealroom.testing.machine_tpm import booted, pcr_rules, pcr_text

__all__ = ["ON_SNP", "ON_TDX"]

_BANKS = (TpmHash.SHA256,)
"""What `tees.gcp.collect` has quoted."""


class _Gcp(CpuKind):
    tee = Tee.GCP

    def __init__(self, inner: Tee) -> None:
        self._inner = inner
        self.words = f"Google VM on {'SEV-SNP' if inner is Tee.SNP else 'TDX'} hardware"

    def create(self) -> GcpMachine:
        return GcpMachine.create(self._inner)

    def attester(self, platform: GcpMachine, launched: Launched) -> Attester:
        firmware, tpm = _firmware(launched), booted(platform.tpm, launched)
        intel = platform.platform
        if not isinstance(intel, DcapPlatform):
            return SimulatedGcp(machine=platform, tpm=tpm, banks=_BANKS, values={"measurement": firmware.measurement})
        values: dict[str, Any] = {"mr_td": firmware.measurement, **registers(firmware)}
        return SimulatedGcp(machine=platform, tpm=tpm, banks=_BANKS, values=values,
                            collateral=lambda: fresh_collateral(intel))  # fmt: skip

    def rules(self, platform: GcpMachine, launched: Launched) -> CpuRules:
        pins, hardware, firmware = pcr_rules(platform.tpm, launched), platform.platform, _firmware(launched)
        if isinstance(hardware, DcapPlatform):
            inner = tdx_rules(hardware, firmware, table="gcp.tdx")
        elif hardware is not None:
            inner = snp_rules(hardware, firmware, table="gcp.snp")
        else:
            raise AssertionError("a kind of machine without hardware")
        vendor = platform.vendor.root_fingerprint
        facts: Mapping[str, object] = {name: value.hex() for name, value in pins.items()}
        project = f'# Whose machine it is, as Google certifies it.\nproject_id = ["{platform.instance.project_id}"]\n'
        return replace(inner, roots=(vendor, *inner.roots), facts={**inner.facts, **facts},
                       tables=f"[gcp]\n{pcr_text(pins)}{project}\n{inner.tables}")  # fmt: skip


def _firmware(launched: Launched) -> Launched:
    """What the hardware measures: the cloud's firmware, which measures into the vTPM what it starts."""
    measurement = hashlib.sha384(b"simulated firmware " + launched.measurement).digest()
    return Launched(measurement=measurement, init_data=bytes(32))


ON_SNP, ON_TDX = _Gcp(Tee.SNP), _Gcp(Tee.TDX)
