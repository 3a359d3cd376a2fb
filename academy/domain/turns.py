"""The rule that decides which waiting jobs are next, so that all tenants get a fair share of the workers."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """The unfinished jobs of one tenant in one queue.

    `running` is the number of jobs that were sent to the queue and have not ended. `paused` is how many of these wait
    for their next attempt. `waiting` has the ids of the jobs that were not sent yet, the oldest first.
    """

    tenant_id: int
    running: int
    waiting: tuple[int, ...] = ()
    paused: int = 0


def choose(lines: Iterable[Line], *, slots: int, reserved: int) -> list[int]:
    """Return the ids of the jobs to send to the queue now, in the order in which to send them.

    `slots` is the number of jobs that the workers of the queue can run at once.

    The next turn is for the tenant that runs the fewest jobs, and among equals for the one whose job has waited
    longest. A tenant that runs nothing always gets a turn, so if there are more tenants than slots, each tenant has
    one job in the queue. Any further job of a tenant needs a free slot besides the `reserved` slots, which are kept
    for tenants that run nothing. At least one slot is never reserved.

    A paused job takes no slot from other tenants. For its own tenant it counts as running, so that jobs that fail
    repeatedly do not pile up in the queue.
    """
    lines = list(lines)
    shared = max(1, slots - reserved)
    total = sum(line.running - line.paused for line in lines)
    heads = [(line.running, line.waiting[0], line.waiting[1:]) for line in lines if line.waiting]
    heapq.heapify(heads)
    chosen: list[int] = []
    while heads:
        running, job, rest = heads[0]
        if running and max(running, total) >= shared:
            break  # all other tenants run as many or more
        chosen.append(job)
        total += 1
        if rest:
            heapq.heapreplace(heads, (running + 1, rest[0], rest[1:]))
        else:
            heapq.heappop(heads)
    return chosen
