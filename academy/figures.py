"""The product's part of the operators' figures: jobs, queues, slots and dead letters (`REALTIME_FIGURES`).

The push engine calls `figures` about every 10 seconds while somebody watches. Each call runs the same number of SQL
statements, however many academies, jobs and watchers there are.
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.utils import timezone

from academy import dispatch
from academy.adapters.db.django import repositories_core
from academy.adapters.db.django.repositories_turns import Load
from academy.adapters.queue.sqs import QUEUES, QueueUnavailableError, outbox_queue
from realtime import conf
from realtime.records.keys import SYSTEM_TENANT

log = structlog.get_logger(__name__)

BEGUN = timedelta(seconds=5)
"""A job that was claimed less than this time ago may have no lease yet, so it does not count as stalled."""
MOST_RUNNING = 2000
MOST_STALLED = 20
"""How many stalled jobs are named at most. Further ones are only counted."""

Figures = dict[str, Any]


def figures(shown: list[int]) -> dict[int, Figures]:
    """Return the figures of the whole system (key 0), and of each academy that is shown or has unfinished jobs.

    Raises DatabaseError or RedisError if the database or Redis fails.
    """
    loads = {queue: dispatch.loads_of(queue) for queue in QUEUES}
    stalled = [(queue, *job) for queue in QUEUES for job in _stalled(queue)]
    tenants = set(shown).union(*loads.values())
    names = repositories_core.names_of(tenants)
    stalled_of = Counter(tenant_id for _queue, tenant_id, _topic in stalled)
    found = {
        tenant_id: {
            "code": names.get(tenant_id, ("", ""))[0],
            "name": names.get(tenant_id, ("", ""))[1],
            "stalled": stalled_of[tenant_id],
            **_added_up([by_tenant[tenant_id] for by_tenant in loads.values() if tenant_id in by_tenant]),
            "queues": {queue: _shown(loads[queue].get(tenant_id)) for queue in QUEUES},
        }
        for tenant_id in tenants
    }
    found[SYSTEM_TENANT] = {
        "queues": _queues(loads, Counter(queue for queue, _tenant, _topic in stalled)),
        "stalled": len(stalled),
        "stalled_jobs": [
            {"tenant": names.get(tenant_id, ("", ""))[0], "topic": topic}
            for _queue, tenant_id, topic in stalled[:MOST_STALLED]
        ],
    }
    return found


def _stalled(queue: str) -> list[tuple[int, str]]:
    """Return the tenant and the topic of each running job whose worker no longer renews its lease."""
    running = dispatch.running_for(queue, BEGUN, most=MOST_RUNNING)
    left = conf.publisher().leases_seconds_left(running)
    return [job for job, seconds in zip(running, left, strict=True) if seconds <= 0]


def _queues(loads: dict[str, dict[int, Load]], stalled: Counter[str]) -> list[Figures]:
    """Return the figures of each queue. Depth and dead letters are None for a queue that `_depths` leaves out."""
    depths = _depths()
    return [
        {
            "queue": queue,
            **_added_up(list(by_tenant.values())),
            "stalled": stalled[queue],
            "slots": dispatch.slots_of(queue),
            "depth": depths.get(queue, (None, None))[0],
            "dead_letters": depths.get(queue, (None, None))[1],
        }
        for queue, by_tenant in loads.items()
    ]


def _depths() -> dict[str, tuple[int, int]]:
    """Return how many messages and how many dead letters each queue has.

    If a queue does not answer, leave it out, and do not ask the queues after it.
    """
    found = {}
    try:
        for name in QUEUES:
            queue = outbox_queue(name)
            found[name] = queue.depth(), queue.dead_letters()
    except QueueUnavailableError as problem:
        log.debug("queue_depth_not_known", error=str(problem))
    return found


def _added_up(loads: list[Load]) -> Figures:
    oldest = [load.oldest for load in loads if load.oldest]
    return {
        "waiting": sum(load.waiting for load in loads),
        "running": sum(load.running for load in loads),
        "oldest_waiting": _age(min(oldest)) if oldest else None,
    }


def _shown(load: Load | None) -> Figures:
    return {"waiting": load.waiting, "running": load.running} if load else {"waiting": 0, "running": 0}


def _age(then: datetime) -> int:
    return max(0, round((timezone.now() - then).total_seconds()))
