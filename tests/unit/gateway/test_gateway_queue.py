"""The queue is bounded, fair, and a caller who leaves gives its place back."""

import asyncio

import pytest

from sealroom.gateway.errors import BusyError, api_error
from sealroom.gateway.queue_service import EngineQueue


async def hold(queue: EngineQueue, until: asyncio.Event, order: list[int], name: int) -> None:
    async with queue.place():
        order.append(name)
        await until.wait()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_more_than_the_queue_holds_is_turned_away_at_once_with_an_advice() -> None:
    queue, done, order = EngineQueue(concurrency=1, queue=2, wait_seconds=60), asyncio.Event(), []
    tasks = [asyncio.create_task(hold(queue, done, order, name)) for name in range(3)]
    await settle()
    assert (queue.working, queue.waiting) == (1, 2)
    with pytest.raises(BusyError) as caught:
        await asyncio.wait_for(hold(queue, done, order, 9), 1)
    refusal = api_error(caught.value)
    assert refusal.status == 429
    assert dict(refusal.headers())[b"retry-after"].isdigit()
    done.set()
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2]
    assert (queue.working, queue.waiting) == (0, 0)


async def test_a_wait_that_is_too_long_ends_in_a_refusal_not_in_a_hang() -> None:
    queue, done, order = EngineQueue(concurrency=1, queue=2, wait_seconds=0.01), asyncio.Event(), []
    first = asyncio.create_task(hold(queue, done, order, 0))
    await settle()
    with pytest.raises(BusyError):
        await hold(queue, done, order, 1)
    done.set()
    await first
    assert queue.waiting == 0


async def test_a_caller_who_leaves_the_queue_leaves_no_hole_in_it() -> None:
    queue, done, order = EngineQueue(concurrency=1, queue=1, wait_seconds=60), asyncio.Event(), []
    first = asyncio.create_task(hold(queue, done, order, 0))
    await settle()
    leaver = asyncio.create_task(hold(queue, done, order, 1))
    await settle()
    leaver.cancel()
    await asyncio.gather(leaver, return_exceptions=True)
    second = asyncio.create_task(hold(queue, done, order, 2))
    await settle()
    done.set()
    await asyncio.gather(first, second)
    assert order == [0, 2]


async def test_without_a_queue_a_taken_slot_means_no() -> None:
    queue, done, order = EngineQueue(concurrency=1, queue=0, wait_seconds=60), asyncio.Event(), []
    first = asyncio.create_task(hold(queue, done, order, 0))
    await settle()
    with pytest.raises(BusyError):
        await hold(queue, done, order, 1)
    done.set()
    await first
    await hold(queue, done, order, 2)
