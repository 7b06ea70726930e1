"""Checks on the devices that the CPU's evidence vouches for: each alone, then all together.

No device passes unseen: under a policy that says nothing of devices, a bundle that brings one is refused.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from sealroom.evidence import Check, Claims, Tee
from sealroom.policy.checks import left_open
from sealroom.policy.model import Policy
from sealroom.policy.nvidia import device_set_checks, is_switch, nvidia_checks
from sealroom.policy.trust import root_check, window_check

__all__ = ["device_checks", "device_names"]


def device_checks(policy: Policy, claims: Claims, devices: Sequence[Claims], at: datetime) -> Iterator[Check]:
    """Every check on ``devices``; the names begin with the device's own, ``gpu0``.

    Of a device's evidence that stands alone, ``claims`` are the device's, and it is the whole set.
    """
    if policy.nvidia is None:
        yield from _not_asked_for(policy, devices)
        return
    scoped = replace(policy, scope="nvidia")
    for name, device in zip(device_names(devices), devices, strict=True):
        yield replace(root_check(policy, device), name=f"{name}.root")
        yield replace(window_check(device, at), name=f"{name}.window")
        for check in nvidia_checks(scoped, device):
            yield replace(check, name=f"{name}.{check.name.partition('.')[2]}")
    alone = (claims,) if claims.tee is Tee.NVIDIA else ()
    yield from device_set_checks(scoped, (*alone, *devices))


def device_names(devices: Sequence[Claims]) -> tuple[str, ...]:
    """``gpu0``, ``gpu1`` … ``switch0`` …, in the order of the bundle."""
    counted = {"gpu": 0, "switch": 0}
    names = []
    for device in devices:
        kind = "switch" if is_switch(device) else "gpu"
        names.append(f"{kind}{counted[kind]}")
        counted[kind] += 1
    return tuple(names)


def _not_asked_for(policy: Policy, devices: Sequence[Claims]) -> Iterator[Check]:
    got = ", ".join(f"{device.tee.value} {device.hardware_model}" for device in devices)
    if devices and policy.leaves_open("devices"):
        yield left_open(policy, "devices", "devices", got)
    elif devices:
        yield Check(
            name="devices",
            got=got,
            wanted="no device, since the policy says nothing of any",
            passed=False,
            source="default",
            code="policy.no-device-rules",
            fix=f"add a table [{Tee.NVIDIA}] with what the devices may be, or a reason: [unchecked] devices",
        )
