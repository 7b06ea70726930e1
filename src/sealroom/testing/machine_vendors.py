"""The vendors of a simulated machine as services, and the machine as silicon is: with nothing along that silicon does
not give.

    with vendors_of(machine) as served:      # one address that speaks the paths of Intel, AMD and NVIDIA
        room on bare(guest)                  # fetches there what a simulated machine has along otherwise
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from sealroom.collateral.fetch.amd import vcek_path
from sealroom.evidence import Attester, Collateral, CollectedEvidence, DeviceAttester, Tee
from sealroom.pem import as_pem
from sealroom.tees.needs import AmdRequest, NvidiaRequest, what_is_needed
from sealroom.testing.dcap import DcapPlatform
from sealroom.testing.machine_tdx import fresh_collateral
from sealroom.testing.machines import SimulatedGuest, SimulatedMachine
from sealroom.testing.nvidia import GpuMachine
from sealroom.testing.snp import SnpPlatform
from sealroom.testing.vendor_service import (
    Posts,
    Replies,
    Reply,
    Served,
    kds_replies,
    nvidia_replies,
    ocsp_replies,
    pccs_replies,
    serving,
)

__all__ = ["Bare", "bare", "vendors_of"]

_GIVEN = frozenset({"cert_chain"})
"""What a device hands out itself."""


class Bare:
    """A part of a machine, without what its vendor has to say."""

    def __init__(self, silicon: Attester | DeviceAttester) -> None:
        self._silicon = silicon
        self.tee = silicon.tee
        self.simulated = silicon.simulated

    def collect(self, report_data: bytes) -> CollectedEvidence:
        """Return its evidence."""
        collected = self._silicon.collect(report_data)
        items = {name: item for name, item in collected.collateral.items.items() if name in _GIVEN}
        return replace(collected, collateral=Collateral(items=items))


def bare(guest: SimulatedGuest) -> SimulatedGuest:
    """The same guest on hardware that gives what silicon gives, and no more."""
    devices = {name: Bare(device) for name, device in guest.devices.items()}
    return SimulatedGuest(cpu=Bare(guest.cpu), devices=devices)


@contextmanager
def vendors_of(machine: SimulatedMachine, *, clock: Callable[[], datetime] | None = None) -> Iterator[Served]:
    """Serve what the vendors of ``machine`` say of it, until the block ends.

    Args:
        machine: on TDX or SEV-SNP, with GPUs or without.
        clock: by which Intel dates what it says; the real one if not given.
    """
    replies, posts = _of_cpu(machine.platform, clock), None
    if machine.gpus is not None:
        devices, posts = _of_devices(machine.gpus)
        replies = _either(replies, devices)
    with serving(replies, posts) as served:
        yield served


def _of_cpu(platform: Any, clock: Callable[[], datetime] | None) -> Replies:
    return _intel(platform, clock) if isinstance(platform, DcapPlatform) else _amd(platform)


def _intel(platform: DcapPlatform, clock: Callable[[], datetime] | None) -> Replies:
    def reply(path: str, query: Mapping[str, list[str]]) -> Reply | None:
        items = fresh_collateral(platform) if clock is None else fresh_collateral(platform, clock)
        return pccs_replies(items, fmspc=platform.pck.fmspc, ca=platform.pck.ca)(path, query)

    return reply


def _amd(platform: SnpPlatform) -> Replies:
    needed = what_is_needed(Tee.SNP, platform.sign(platform.report_values()))
    assert isinstance(needed, AmdRequest)  # noqa: S101 - by the first argument
    leaves = {vcek_path(needed): platform.leaf} if needed.kind == "vcek" else {}
    return kds_replies(leaves, product=platform.product.value, chain=platform.vendor.chain(platform.kind),
                       crl=platform.vendor.crl())  # fmt: skip


def _of_devices(machine: GpuMachine) -> tuple[Replies, Posts]:
    rims: dict[str, bytes] = {}
    answers: dict[int, bytes] = {}
    for device in machine.devices.values():
        items, chain = device.items(), as_pem(*device.certificates)
        needed = what_is_needed(Tee.NVIDIA, device.report(bytes(32)), certificates=chain)
        assert isinstance(needed, NvidiaRequest)  # noqa: S101 - by the first argument
        rims[needed.vbios_rim] = items["vbios_rim"]
        if needed.driver_rim is not None:
            rims[needed.driver_rim] = items["driver_rim"]
        answers |= device.answers_by_serial()
    return nvidia_replies(rims), ocsp_replies(answers)


def _either(first: Replies, second: Replies) -> Replies:
    return lambda path, query: first(path, query) or second(path, query)
