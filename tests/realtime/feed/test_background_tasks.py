"""Tests of ending background tasks, which run until they are cancelled."""

import asyncio

from realtime.feed.background_tasks import end_tasks


async def test_a_task_that_lost_a_cancellation_is_ended_too() -> None:
    lost: list[int] = []

    async def runs_for_ever() -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if lost:
                    raise
                lost.append(1)

    tasks = [asyncio.create_task(runs_for_ever()) for _ in range(2)]
    await asyncio.sleep(0)
    await end_tasks(tasks)
    assert lost == [1]
    assert all(task.cancelled() for task in tasks)


async def test_without_tasks_nothing_is_waited_for() -> None:
    await end_tasks([])
