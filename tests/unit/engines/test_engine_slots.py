"""Slots: whose memory is whose, who is next, and what must be wiped before."""

import asyncio

import pytest

from sealroom.engines.slots import Holds, SlotLeases


async def test_a_caller_gets_the_own_slot_back_and_may_build_on_it() -> None:
    slots = SlotLeases(2)
    first = await slots.lease(b"anna")
    assert (first.wipe_first, first.reuse) == (False, False)
    slots.release(first, Holds.OWN)
    again = await slots.lease(b"anna")
    assert (again.slot, again.wipe_first, again.reuse) == (first.slot, False, True)


async def test_a_clean_slot_is_preferred_to_anothers() -> None:
    slots = SlotLeases(2)
    anna = await slots.lease(b"anna")
    slots.release(anna, Holds.OWN)
    bert = await slots.lease(b"bert")
    assert bert.slot != anna.slot
    assert not bert.wipe_first


async def test_anothers_slot_is_wiped_first_and_the_longest_idle_goes() -> None:
    slots = SlotLeases(2)
    leases = [await slots.lease(caller) for caller in (b"anna", b"bert")]
    for lease in leases:
        slots.release(lease, Holds.OWN)
    carl = await slots.lease(b"carl")
    assert (carl.slot, carl.wipe_first, carl.reuse) == (leases[0].slot, True, False)


async def test_single_shots_never_build_on_anything_not_even_their_own() -> None:
    slots = SlotLeases(1)
    slots.release(await slots.lease(None), Holds.OWN)
    lease = await slots.lease(None)
    assert (lease.wipe_first, lease.reuse) == (True, False)


async def test_what_is_unknown_is_wiped_for_the_same_caller_too() -> None:
    slots = SlotLeases(1)
    slots.release(await slots.lease(b"anna"), Holds.UNKNOWN)
    lease = await slots.lease(b"anna")
    assert (lease.wipe_first, lease.reuse) == (True, False)


async def test_first_come_first_served() -> None:
    slots = SlotLeases(1)
    running = await slots.lease(b"anna")
    served: list[bytes] = []

    async def wait(caller: bytes) -> None:
        lease = await slots.lease(caller)
        served.append(caller)
        slots.release(lease, Holds.OWN)

    tasks = [asyncio.create_task(wait(caller)) for caller in (b"bert", b"anna", b"carl")]
    await asyncio.sleep(0)
    assert slots.waiting == 3
    slots.release(running, Holds.OWN)
    await asyncio.gather(*tasks)
    assert served == [b"bert", b"anna", b"carl"]


async def test_who_gives_up_in_the_queue_leaves_no_trace() -> None:
    slots = SlotLeases(1)
    running = await slots.lease(b"anna")
    leaver = asyncio.create_task(slots.lease(b"bert"))
    await asyncio.sleep(0)
    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    slots.release(running, Holds.OWN)
    assert (slots.waiting, slots.busy) == (0, 0)
    assert (await slots.lease(b"anna")).reuse


async def test_who_gives_up_at_the_moment_of_the_handover_hands_it_on_unclaimed() -> None:
    slots = SlotLeases(1)
    running = await slots.lease(b"anna")
    leaver = asyncio.create_task(slots.lease(b"bert"))
    await asyncio.sleep(0)
    slots.release(running, Holds.OWN)  # bert has it now, and does not know yet
    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    # anna's state is still in there; it must not count as bert's
    lease = await slots.lease(b"bert")
    assert (lease.wipe_first, lease.reuse) == (True, False)


async def test_a_new_engine_holds_nothing() -> None:
    slots = SlotLeases(1)
    slots.release(await slots.lease(b"anna"), Holds.OWN)
    slots.reset()
    lease = await slots.lease(b"anna")
    assert (lease.wipe_first, lease.reuse) == (False, False)
