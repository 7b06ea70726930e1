"""Attacks on key release: the operator starts machines of his own making and asks the broker for keys with them."""

from dataclasses import replace

from sealroom.attacks.attack import Attack, Refusal, Target, refusal_of
from sealroom.embedded.launch import Guest
from sealroom.errors import SealroomError
from sealroom.testing.snp import POLICY_DEBUG

__all__ = ["ATTACKS"]


async def _debug_guest(target: Target) -> Refusal | None:
    launch = replace(target.guest.launch, policy=target.guest.launch.policy | POLICY_DEBUG)
    return await _boot(target, guest=replace(target.guest, launch=launch))


async def _old_firmware(target: Target) -> Refusal | None:
    microcode = target.guest.platform.tcb["microcode"]
    old = target.guest.platform.at_tcb(microcode=microcode - 1)
    return await _boot(target, guest=replace(target.guest, platform=old))


async def _other_model(target: Target) -> Refusal | None:
    return await _boot(target, resource=target.other_resource)


async def _boot(target: Target, *, guest: Guest | None = None, resource: str | None = None) -> Refusal | None:
    try:
        await target.launch_room(guest=guest, resource=resource)
    except SealroomError as error:
        return refusal_of(error)
    return None


ATTACKS = (
    Attack(
        name="debug-guest",
        tried="the same image started with the debug interface open",
        noticed_by="broker",
        codes=frozenset({"snp.debug"}),
        run=_debug_guest,
    ),
    Attack(
        name="old-firmware",
        tried="the same image on firmware below the minimum TCB",
        noticed_by="broker",
        codes=frozenset({"snp.tcb-below-minimum"}),
        run=_old_firmware,
    ),
    Attack(
        name="other-model",
        tried="a genuine room asks for the key of another model",
        noticed_by="broker",
        codes=frozenset({"init-data.not-accepted"}),
        run=_other_model,
    ),
)
