"""Queries on the jobs that wait for their turn, of all tenants: for `academy.dispatch` and the gauges alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, Min, Q, QuerySet, Window
from django.db.models.functions import Now, RowNumber

from academy.adapters.db.django.patience import limit_waiting
from academy.domain.turns import Line

LOCKS = 7322
"""The first half of the advisory locks of queues; the second one is the queue's name, hashed."""
WAITS = Q(status="PENDING", dispatched_at=None)
PAUSES = Q(status="PENDING", dispatched_at__gt=Now())
"""Jobs whose last attempt failed: their message is hidden until then."""


@dataclass(frozen=True, slots=True)
class Load:
    """How many jobs of a queue have not begun, since when the oldest of these exists, and how many run."""

    waiting: int
    running: int
    oldest: datetime | None


def lock_queue(queue: str) -> bool:
    """Let one process at a time choose what is sent to this queue, until its transaction ends.

    Returns False at once if another process chooses now.
    """
    limit_waiting()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", [LOCKS, queue])
        (locked,) = cursor.fetchone()
    return bool(locked)


def somebody_waits(unfinished: QuerySet[Any]) -> bool:
    return unfinished.filter(WAITS).exists()


def lines_of(unfinished: QuerySet[Any], most: int) -> list[Line]:
    """Each tenant with unfinished jobs: how many were sent to the queue, and the oldest `most` of those that wait."""
    sent = unfinished.exclude(WAITS).values("tenant_id")
    counts = sent.annotate(running=Count("pk"), paused=Count("pk", filter=PAUSES))
    counted = {
        tenant: (running, paused) for tenant, running, paused in counts.values_list("tenant_id", "running", "paused")
    }
    place = Window(RowNumber(), partition_by="tenant_id", order_by="pk")
    heads = unfinished.filter(WAITS).annotate(place=place).filter(place__lte=most).order_by("tenant_id", "pk")
    waiting: dict[int, list[int]] = {}
    for tenant_id, pk in heads.values_list("tenant_id", "pk"):
        waiting.setdefault(tenant_id, []).append(pk)
    lines = []
    for tenant in sorted(counted.keys() | waiting.keys()):
        running, paused = counted.get(tenant, (0, 0))
        lines.append(Line(tenant, running, tuple(waiting.get(tenant, ())), paused))
    return lines


def mark_sent(unfinished: QuerySet[Any], ids: Sequence[int]) -> list[Any]:
    """Give those of these jobs that still wait their turn; return their rows with tenants, in the order of the ids.

    One that is being cancelled at this moment is left out.
    """
    free = unfinished.filter(WAITS, pk__in=ids).select_for_update(skip_locked=True, of=("self",), no_key=True)
    rows = {row.pk: row for row in free.select_related("tenant")}
    unfinished.filter(pk__in=rows).update(dispatched_at=Now())
    return [rows[pk] for pk in ids if pk in rows]


def mark_sent_again(unfinished: QuerySet[Any], pk: int, sent_at: datetime) -> Any:
    """The row of a job, with its tenant, that is to be sent again; None if that was done or it ended meanwhile."""
    if not unfinished.filter(pk=pk, dispatched_at=sent_at).update(dispatched_at=Now()):
        return None
    return unfinished.select_related("tenant").filter(pk=pk).first()


def sent_before(
    unfinished: QuerySet[Any], age: timedelta, *, columns: Sequence[str], after: int, most: int
) -> list[Any]:
    """The first unfinished jobs behind the id `after` that were sent longer ago than this, with these columns alone.

    The clock of the database decides, which also wrote when they were sent.
    """
    found = unfinished.filter(dispatched_at__lt=Now() - age, pk__gt=after).order_by("pk")
    return list(found.only("tenant_id", "dispatched_at", *columns)[:most])


def load_of(unfinished: QuerySet[Any]) -> Load:
    found = unfinished.aggregate(
        waiting=Count("pk", filter=Q(status="PENDING")),
        running=Count("pk", filter=Q(status="PROCESSING")),
        oldest=Min("updated_at", filter=Q(status="PENDING")),
    )
    return Load(**found)
