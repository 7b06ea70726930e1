"""Every attack, in the order of an exchange. The one list to extend."""

from collections.abc import AsyncIterator

from sealroom.attacks import on_evidence, on_release, on_the_exchange, on_weights
from sealroom.attacks.attack import Attack, Outcome, Refusal, Target, refusal_of
from sealroom.errors import SealroomError

__all__ = ["ATTACKS", "run_all"]

ATTACKS: tuple[Attack, ...] = (
    *on_evidence.ATTACKS,
    *on_release.ATTACKS,
    *on_weights.ATTACKS,
    *on_the_exchange.ATTACKS,
)


async def run_all(target: Target) -> AsyncIterator[Outcome]:
    """Run every attack on ``target``, one after the other."""
    for attack in ATTACKS:
        yield Outcome(attack=attack, refusal=await _run(attack, target))


async def _run(attack: Attack, target: Target) -> Refusal | None:
    """An attack that itself broke down proves nothing, and shows under its own code."""
    try:
        return await attack.run(target)
    except SealroomError as error:
        return Refusal("attack.broke-down", str(refusal_of(error)))
