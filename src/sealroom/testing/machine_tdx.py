"""Simulated machines with Intel TDX."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sealroom.binding import carried_init_data
from sealroom.evidence import Attester, Collateral, CollectedEvidence, Tee, Validity
from sealroom.testing.dcap import DcapPlatform, SimulatedTdx
from sealroom.testing.machine_parts import CpuKind, CpuRules, Launched

__all__ = ["CPU", "fresh_collateral", "registers", "tdx_rules"]

_FIELD = 48
_FETCHED, _LASTS = timedelta(hours=1), timedelta(days=30)


class _Tdx(CpuKind):
    tee = Tee.TDX
    words = "TDX hardware"

    def create(self) -> DcapPlatform:
        return DcapPlatform.create()

    def attester(self, platform: DcapPlatform, launched: Launched) -> Attester:
        values: dict[str, Any] = {
            "mr_td": launched.measurement,
            "mr_config_id": _config_id(launched),
            **registers(launched),
        }
        return _Guest(platform=platform, **values)

    def rules(self, platform: DcapPlatform, launched: Launched) -> CpuRules:
        return tdx_rules(platform, launched)


class _Guest(SimulatedTdx):
    """Whose collateral was fetched an hour ago, whatever the year is."""

    def collect(self, report_data: bytes) -> CollectedEvidence:
        items = fresh_collateral(self.platform)
        return CollectedEvidence(tee=self.tee, raw=self.quote(report_data), collateral=Collateral(items=items))


def fresh_collateral(
    platform: DcapPlatform, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> dict[str, bytes]:
    """What Intel would say of ``platform`` now."""
    at = clock().replace(microsecond=0)
    window = Validity(not_before=at - _FETCHED, not_after=at + _LASTS)
    info, identity = platform.tcb_info(Tee.TDX), platform.qe_identity(Tee.TDX)
    return platform.collateral(Tee.TDX, tcb_info=replace(info, window=window),
                               qe_identity=replace(identity, window=window), window=window)  # fmt: skip


def tdx_rules(platform: DcapPlatform, launched: Launched, *, table: str = "tdx") -> CpuRules:
    """What accepts a TD on ``platform``; ``table``: another one, where a cloud has wrapped the evidence."""
    extended = registers(launched)
    tables = f"""\
[{table}]
# What was launched. Simulated hardware measures the installed sealroom package in place of firmware, and derives from
# it what stands for kernel and command line.
mr_td = ["{launched.measurement.hex()}"]
rtmr1 = ["{extended["rtmr1"].hex()}"]
rtmr2 = ["{extended["rtmr2"].hex()}"]
"""
    facts: dict[str, object] = {
        "root": f"sha256:{platform.vendor.root_fingerprint.hex()}", "measurement": launched.measurement.hex(),
        "mr_config_id": _config_id(launched).hex(),
        **{name: value.hex() for name, value in extended.items()},
    }  # fmt: skip
    return CpuRules(roots=(platform.vendor.root_fingerprint,), tables=tables, facts=facts)


def _config_id(launched: Launched) -> bytes:
    return carried_init_data(Tee.TDX, launched.init_data, size=_FIELD)


def registers(launched: Launched) -> dict[str, bytes]:
    """Of kernel and command line, as the firmware would extend them."""
    return {
        name: hashlib.sha384(f"simulated {name} ".encode() + launched.measurement).digest()
        for name in ("rtmr1", "rtmr2")
    }


CPU = _Tdx()
