import asyncio

import pytest

from malmoi.core.errors import EngineUnavailable, Overloaded
from malmoi.serve.admission import Admission, Lane


def lane(slots: int = 1, max_queued: int = 4, max_wait: float = 30.0) -> Lane:
    return Lane("m", slots=slots, max_queued=max_queued, max_wait=max_wait)


async def queued(lane: Lane, account: str, served: list[str], on_place=None) -> asyncio.Task[None]:
    async def go() -> None:
        await lane.acquire(account, on_place)
        served.append(account)

    task = asyncio.create_task(go())
    for _ in range(3):  # until it waits in the queue
        await asyncio.sleep(0)
    return task


async def test_runs_as_many_as_there_are_slots_and_queues_the_rest() -> None:
    it = lane(slots=2)
    await it.acquire("a")
    await it.acquire("a")
    served: list[str] = []
    third = await queued(it, "a", served)
    assert (it.num_running, it.num_waiting, served) == (2, 1, [])
    it.release("a")
    await third
    assert (it.num_running, it.num_waiting, served) == (2, 0, ["a"])


async def test_a_full_queue_is_refused_at_once_with_whole_seconds() -> None:
    it = lane(max_queued=2)
    await it.acquire("a")
    tasks = [await queued(it, "a", []) for _ in range(2)]
    with pytest.raises(Overloaded) as before:
        it.check("a")
    with pytest.raises(Overloaded) as at_last:
        await asyncio.wait_for(it.acquire("a"), 10)
    for caught in (before, at_last):
        assert isinstance(caught.value.retry_after, int)
        assert caught.value.retry_after >= 1
    for task in tasks:
        task.cancel()


async def test_no_queue_at_all_still_lets_free_slots_be_used() -> None:
    it = lane(max_queued=0)
    it.check("a")
    await it.acquire("a")
    with pytest.raises(Overloaded):
        await it.acquire("b")


async def test_a_heavy_account_delays_another_by_one_request() -> None:
    it = lane(max_queued=20)
    await it.acquire("heavy")
    served: list[str] = []
    tasks = [await queued(it, "heavy", served) for _ in range(10)]
    tasks.append(await queued(it, "light", served))
    for done in ("heavy", "light", "heavy"):
        it.release(done)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert served[0] == "light"
    assert served[1:] == ["heavy", "heavy"]
    for task in tasks:
        task.cancel()


async def test_two_light_accounts_in_turns_do_not_starve_a_third() -> None:
    it = lane(max_queued=20)
    served: list[str] = []
    await it.acquire("one")
    tasks = [await queued(it, "patient", served), await queued(it, "two", served)]
    for _ in range(4):
        running = served[-1] if served else "one"
        it.release(running)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        tasks.append(await queued(it, running, served))
    assert "patient" in served[:2]
    for task in tasks:
        task.cancel()


async def test_a_full_queue_makes_room_for_an_account_that_does_not_fill_it() -> None:
    it = lane(max_queued=3)
    await it.acquire("heavy")
    served: list[str] = []
    heavy = [await queued(it, "heavy", served) for _ in range(3)]
    light = await queued(it, "light", served)
    with pytest.raises(Overloaded):
        await heavy[-1]  # the newest of the one who fills it
    it.release("heavy")
    await light
    assert served == ["light"]
    for task in heavy[:2]:
        task.cancel()


async def test_waiting_too_long_ends_in_unavailable_and_frees_the_place() -> None:
    it = lane(max_wait=0.01)
    await it.acquire("a")
    with pytest.raises(EngineUnavailable) as caught:
        await it.acquire("b")
    assert caught.value.retry_after >= 1
    assert it.num_waiting == 0


async def test_a_cancelled_waiter_gives_its_place_back_even_in_the_instant_it_was_served() -> None:
    it = lane()
    await it.acquire("a")
    task = await queued(it, "b", [])
    it.release("a")  # b holds the slot now, but has not run yet
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (it.num_running, it.num_waiting) == (0, 0)


async def test_places_in_the_queue_are_told() -> None:
    it = lane()
    await it.acquire("a")
    first: list[int] = []
    second: list[int] = []
    tasks = [await queued(it, "a", [], first.append), await queued(it, "a", [], second.append)]
    it.release("a")
    await tasks[0]
    it.release("a")
    await tasks[1]
    assert first == [1, 0]
    assert second == [2, 1, 0]


async def test_more_slots_let_waiters_run_at_once() -> None:
    it = lane()
    await it.acquire("a")
    served: list[str] = []
    task = await queued(it, "b", served)
    it.slots = 2
    await task
    assert served == ["b"]


async def test_there_is_one_lane_a_model() -> None:
    admission = Admission(slots=1, max_queued=1, max_wait=1.0)
    assert admission.lane("x") is admission.lane("x")
    assert admission.lane("x") is not admission.lane("y")
    assert len(admission.lanes()) == 2
